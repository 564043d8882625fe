"""Flash and RAM of a firmware, from its ELF and its plans.

``{"models": [name], "ram": {...}, "flash": {...}, "ram_capacity": bytes or None}``, all sizes in bytes:

ram
    activations, scratch: feature maps, and accumulators with step counters, of the model with the largest
    arena (all models share it); static: every other variable, receive ring included; stack_reserved: what the
    stack may use; total: their sum.
flash
    weights: int8 weights; tables: everything else that is generated; code: the rest; total; capacity.

The native board has no limits (capacity None) and no reserve for the stack (0).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from tinyswitch.compiler import Plan, Stream
from tinyswitch.errors import TinyswitchError
from tinyswitch.firmware.project import Spec

WEIGHTS = re.compile(r"m\d+_w\d+")
GENERATED = re.compile(r"m\d+_.*|ts_model_table|ts_model_count|ts_arena_bytes|ts_stream_table")
STACK_SECTION = ".stack"
BAR = 30  # characters


@dataclass(frozen=True)
class Image:
    """What an ELF occupies, bytes."""

    flash: int  # code, constants, start values of variables
    ram: int  # variables, without the stack
    stack: int  # reserved
    symbols: dict[str, int]  # sizes of objects; statics of the same name are summed


def read_elf(path: Path) -> Image:
    """Adds up what is loaded and what is variable; raises TinyswitchError if it is no ELF."""
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            # segments, not sections: these leave out what aligns them
            flash = sum(s["p_filesz"] for s in elf.iter_segments("PT_LOAD"))
            wanted = SH_FLAGS.SHF_ALLOC | SH_FLAGS.SHF_WRITE
            writable = {s.name: s["sh_size"] for s in elf.iter_sections() if s["sh_flags"] & wanted == wanted}
            stack = writable.pop(STACK_SECTION, 0)
            return Image(flash, sum(writable.values()), stack, _objects(elf))
    except (OSError, ELFError) as error:
        raise TinyswitchError(f"{path}: not a firmware ({error}); build it again") from None


def _objects(elf: ELFFile) -> dict[str, int]:
    sizes: dict[str, int] = {}
    table = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table else ():
        if symbol["st_info"]["type"] == "STT_OBJECT":
            sizes[symbol.name] = sizes.get(symbol.name, 0) + symbol["st_size"]
    return sizes


def measure(spec: Spec, plans: Sequence[Plan], streams: Sequence[Stream | None] = ()) -> dict[str, Any]:
    """The figures of the firmware in ``spec.elf``; ``streams``: streaming forms of models that it has too."""
    image = read_elf(spec.elf)
    weights = sum(n for name, n in image.symbols.items() if WEIGHTS.fullmatch(name))
    generated = sum(n for name, n in image.symbols.items() if GENERATED.fullmatch(name))
    arena = image.symbols.get("ts_arena", 0)
    largest = max([*plans, *(s.body for s in streams if s)], key=lambda p: p.arena_bytes)
    return {
        "models": [p.name for p in plans],
        "ram": {
            "activations": largest.activation_bytes,
            "scratch": arena - largest.activation_bytes,
            "static": image.ram - arena,
            "stack_reserved": image.stack,
            "total": image.ram + image.stack,
        },
        "ram_capacity": spec.ram_bytes,
        "flash": {
            "weights": weights,
            "tables": generated - weights,
            "code": image.flash - generated,
            "total": image.flash,
            "capacity": spec.flash_bytes,
        },
    }


def write(figures: dict[str, Any], path: Path) -> None:
    """Writes the figures; there is never half a file."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(figures, indent=2) + "\n")
    os.replace(partial, path)


def report(figures: dict[str, Any]) -> str:
    """Two lines with bars, each followed by its parts."""
    flash, ram = figures["flash"], figures["ram"]
    return "\n".join(
        [
            _bar("flash", flash["total"], flash["capacity"]),
            _parts(flash, ("weights", "tables", "code")),
            _bar("RAM", ram["total"], figures["ram_capacity"]),
            _parts(ram, ("activations", "scratch", "static", "stack_reserved")),
        ]
    )


def _bar(name: str, used: int, capacity: int | None) -> str:
    if capacity is None:
        return f"{name:5}  {used:,} bytes"
    share = used / capacity
    full = round(BAR * share)
    bar = "█" * full + "░" * (BAR - full)
    return f"{name:5}  [{bar}]  {used:,} of {capacity:,} bytes ({share:.1%})"


def _parts(sizes: dict[str, Any], names: Sequence[str]) -> str:
    return "       " + ", ".join(f"{name.replace('_', ' ')} {sizes[name]:,}" for name in names)
