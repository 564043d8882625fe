"""What to say when models do not fit a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinyswitch import nets
from tinyswitch.compiler import Plan, compile_model
from tinyswitch.compiler.emit import tables_of
from tinyswitch.firmware import memory
from tinyswitch.firmware.project import Spec

BYTES_PER_PARAMETER = 1.15  # of flash: an int8 weight and its share of the channel's tables, about


def refusal(spec: Spec, plans: Sequence[Plan], overflow: dict[str, int]) -> str:
    """One line: by how much ``plans`` exceed the board, and what would fit.

    ``overflow``: bytes too many of FLASH and RAM, as the linker counts them.
    """
    causes = []
    if "FLASH" in overflow:
        causes.append(_cause("flash", spec.flash_bytes, overflow["FLASH"]))
    if "RAM" in overflow:
        causes.append(_cause("RAM", spec.ram_bytes, overflow["RAM"]))
    names = ", ".join(p.name for p in plans)
    return f"{names}: does not fit {spec.board}: {' and '.join(causes)}; {_advice(spec, plans, overflow)}"


def _cause(kind: str, capacity: int | None, excess: int) -> str:
    capacity = capacity or 0
    return f"needs {capacity + excess:,} bytes of {kind}, {excess:,} more than the {capacity:,} there are"


def _advice(spec: Spec, plans: Sequence[Plan], overflow: dict[str, int]) -> str:
    """The most of the given models that fit together; else models and nets of the project that fit."""
    sizes = flash_sizes(spec, plans)
    arena = max(p.arena_bytes for p in plans) - overflow.get("RAM", 0)
    whole = sum({name: n for size in sizes for name, n in size.items()}.values())
    room = whole - overflow["FLASH"] if "FLASH" in overflow else (spec.flash_bytes or 0)
    candidates = [i for i, p in enumerate(plans) if p.arena_bytes <= arena]
    kept = largest_choice([sizes[i] for i in candidates], room)
    if kept:
        return "these would fit: " + ", ".join(plans[candidates[k]].name for k in sorted(kept))
    known = _shipped_within(room, arena)
    if "RAM" not in overflow:
        known += [name for name in _nets_within(room) if name not in known]
    return f"of the project's own these would fit: {', '.join(known)}" if known else "nothing known would fit"


def largest_choice(sizes: Sequence[Mapping[str, int]], room: int) -> list[int]:
    """Indices of as many items as fit into ``room`` together, the smallest first.

    An item is made of parts, by name with their sizes; a part that several have takes its room once.
    """
    chosen: list[int] = []
    parts: dict[str, int] = {}
    for index in sorted(range(len(sizes)), key=lambda i: sum(sizes[i].values())):
        together = {**parts, **sizes[index]}
        if sum(together.values()) <= room:
            chosen.append(index)
            parts = together
    return chosen


def flash_sizes(spec: Spec, plans: Sequence[Plan]) -> list[dict[str, int]]:
    """Bytes of flash of each model's tables by name, from the object file of the build that did not link."""
    symbols = memory.read_elf(spec.objects / "models.o").symbols
    return [{name: symbols.get(name, 0) for name in names} for names in tables_of(plans)]


def _shipped_within(room: int, arena: int) -> list[str]:
    """Models in models/ that fit into ``room`` bytes of flash and an arena of ``arena`` bytes."""
    plans = [compile_model(path) for path in sorted(nets.MODELS.glob("*.tflite"))]
    return [p.name for p in plans if p.arena_bytes <= arena and p.weight_bytes * BYTES_PER_PARAMETER <= room]


def _nets_within(room: int) -> list[str]:
    """Nets of models/nets that fit into ``room`` bytes of flash, by their parameters."""
    return [name for name in nets.names() if nets.load(name).parameters * BYTES_PER_PARAMETER <= room]
