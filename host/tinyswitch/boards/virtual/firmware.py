"""The firmware's ELF: what goes into memory, and which function an address is in."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from tinyswitch.errors import TinyswitchError


@dataclass(frozen=True)
class Segment:
    """Bytes of one program header. ``load``: where the programmer puts them; ``run``: where they are used."""

    load: int
    run: int
    data: bytes
    executable: bool


class Firmware:
    """An ELF for a Cortex-M. Raises TinyswitchError if ``path`` isn't one or cannot be read."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                if elf.get_machine_arch() != "ARM" or elf.elfclass != 32:
                    raise TinyswitchError(
                        f"{path}: not a firmware for an Arm Cortex-M; build it for this board"
                    )
                self.segments = _segments(elf)
                self._starts, self._functions = _functions(elf)
        except OSError as error:
            raise TinyswitchError(f"{path}: {error.strerror}; build the firmware first") from None
        except (ELFError, ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
            raise TinyswitchError(f"{path}: not a readable ELF file ({error}); build it again") from None

    def where(self, address: int) -> str:
        """``function+0x12``, or only the address if no function covers it."""
        address &= ~1
        i = bisect_right(self._starts, address) - 1
        if i >= 0:
            name, start, size = self._functions[i]
            if address < start + max(size, 2):
                return f"{name}+0x{address - start:x}"
        return f"0x{address:08x}"


def _segments(elf: ELFFile) -> list[Segment]:
    found = [
        Segment(s["p_paddr"], s["p_vaddr"], s.data(), bool(s["p_flags"] & 1))
        for s in elf.iter_segments("PT_LOAD")
    ]
    return [s for s in found if s.data]


def _functions(elf: ELFFile) -> tuple[list[int], list[tuple[str, int, int]]]:
    table = elf.get_section_by_name(".symtab")
    functions = [
        (s.name, s["st_value"] & ~1, s["st_size"])
        for s in (table.iter_symbols() if table else ())
        if s["st_info"]["type"] == "STT_FUNC" and s["st_shndx"] != "SHN_UNDEF"
    ]
    functions.sort(key=lambda f: (f[1], f[2]))
    return [f[1] for f in functions], functions
