"""What a peripheral is to the machine: a range of registers, and events in emulated time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine


@dataclass(frozen=True)
class Register:
    """One 32-bit register.

    ``writable``: bits that software sets; ``status``: bits that only the chip sets, writes don't matter;
    all others must be written as they reset. ``narrow``: 8- and 16-bit accesses are allowed too.
    """

    name: str
    reset: int = 0
    writable: int = 0
    status: int = 0
    readable: bool = True
    narrow: bool = False


class Peripheral:
    """Base of all peripherals: a table of registers.

    A subclass fills ``registers`` (by offset) and, where a plain store isn't what the chip does, has methods
    ``read_NAME() -> int`` and ``write_NAME(value: int)``; ``self.values`` holds what is stored, by name.
    Raise :class:`Refused` to stop the machine with a message.
    """

    name: str
    base: int
    size: int = 0x400
    clock: tuple[str, int] | None = None  # (register of the clock controller, bit) that must be set first
    registers: ClassVar[dict[int, Register]]

    def __init__(self, machine: Machine):
        self.machine = machine
        self.values: dict[str, int] = {}
        self._readers: dict[str, Callable[[], int]] = {}
        self._writers: dict[str, Callable[[int], None]] = {}
        for register in self.registers.values():
            if reader := getattr(self, f"read_{register.name}", None):
                self._readers[register.name] = reader
            if writer := getattr(self, f"write_{register.name}", None):
                self._writers[register.name] = writer
        self.reset()

    def reset(self) -> None:
        """Back to the reset values. Subclasses extend it."""
        self.values = {r.name: r.reset for r in self.registers.values()}

    def next_event(self) -> int | None:
        """Machine time, cycles, at which ``advance`` must be called at the latest; None: never."""
        return None

    def advance(self) -> None:
        """Catch up with ``machine.now()``."""

    def has_input(self) -> bool:
        """Whether bytes from the host wait for their turn, so that sleeping need not take real time."""
        return False

    def _find(self, offset: int, size: int) -> tuple[Register, int]:
        """Register and bit position of an access."""
        register = self.registers.get(offset & ~3)
        if register is None:
            raise Refused(f"{self.name} has no such register in this model")
        if size != 4 and not register.narrow:
            raise Refused(f"{self.name}_{register.name} must be accessed as 32 bits")
        return register, 8 * (offset & 3)

    def read(self, offset: int, size: int) -> int:
        register, shift = self._find(offset, size)
        if not register.readable:
            raise Refused(f"{self.name}_{register.name} can only be written")
        reader = self._readers.get(register.name)
        value = reader() if reader else self.values[register.name]
        return value >> shift & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        register, shift = self._find(offset, size)
        old = self.values[register.name]
        if size != 4:
            mask = (1 << 8 * size) - 1
            value = old & ~(mask << shift) | (value & mask) << shift
        fixed = ~register.writable & 0xFFFFFFFF
        # A set bit that the model doesn't know would be behaviour silently left out.
        if unknown := value & fixed & ~register.status & ~register.reset:
            raise Refused(f"{self.name}_{register.name}: bits 0x{unknown:08x} aren't modelled")
        writer = self._writers.get(register.name)
        if writer:
            writer(value)
        elif register.writable:
            self.values[register.name] = value & register.writable | register.reset & fixed
        else:
            raise Refused(f"{self.name}_{register.name} can only be read")
