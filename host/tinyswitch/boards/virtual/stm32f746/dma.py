"""DMA2, streams 2 and 7 (RM0385, 8.5): from a peripheral into memory, once or in a ring."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Halt, Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine

EN, TEIE, HTIE, TCIE, CIRC, MINC = 1 << 0, 1 << 2, 1 << 3, 1 << 4, 1 << 8, 1 << 10
PSIZE, MSIZE, PL, CHSEL = 3 << 11, 3 << 13, 3 << 16, 7 << 25
CONTROL = EN | TEIE | HTIE | TCIE | CIRC | MINC | PSIZE | MSIZE | PL | CHSEL
TCIF, HTIF, TEIF, DMEIF, FEIF = 1 << 5, 1 << 4, 1 << 3, 1 << 2, 1 << 0
FLAGS = TCIF | HTIF | TEIF | DMEIF | FEIF
SHIFTS = (0, 6, 16, 22)  # of a stream's flags in LISR (streams 0 to 3) or HISR (4 to 7)
STREAMS = (2, 7)
IRQS = (56, 57, 58, 59, 60, 68, 69, 70)
USART1_RX_CHANNEL, SAI2_B_CHANNEL = 4, 0  # RM0385, table 26: on stream 2, on stream 7


class Stream:
    """One stream, peripheral to memory, in items of 8 or 16 bits, direct mode."""

    def __init__(self, machine: Machine, number: int):
        self.machine, self.number = machine, number
        self.name = f"DMA2_S{number}"
        self.reset()

    def reset(self) -> None:
        self.control = self.left = self.peripheral = self.memory = 0
        self.flags = 0
        self._length = 0  # NDTR when the stream was enabled

    def enabled_for(self, channel: int, register: int) -> bool:
        """Whether the stream takes what ``channel`` offers in the data register at that address."""
        control = self.control
        return bool(control & EN) and control >> 25 & 7 == channel and self.peripheral == register

    def wants_interrupts(self) -> bool:
        return bool(self.control & EN and self.control & (HTIE | TCIE))

    def item_bytes(self) -> int:
        return 1 << (self.control >> 11 & 3)

    def to_the_next_flag(self) -> int:
        """Items until the half or the whole is done."""
        half = self._length // 2
        return self.left - half if self.left > half else self.left

    def transfer(self, data: bytes) -> int:
        """Stores items from the present position on; returns how many bytes, fewer if the stream ends.

        Raises Halt if there's no memory there.
        """
        size = self.item_bytes()
        done = 0
        while done < len(data) and self.control & EN:
            run = min((len(data) - done) // size, self.to_the_next_flag())
            self._store((self._length - self.left) * size, data[done : done + run * size])
            self._count(self.left - run)
            done += run * size
        self._update_line()
        return done

    def _store(self, position: int, data: bytes) -> None:
        step = bool(self.control & MINC)
        address = self.memory + (position if step else 0)
        data = data if step else data[-self.item_bytes() :]
        place = self.machine.cpu.memory_at(address, len(data), write=True)
        if place is None:
            raise Halt(f"DMA2 stream {self.number} writes to 0x{address:08x}, where the chip has no RAM")
        memory, offset = place
        memory[offset : offset + len(data)] = data

    def _count(self, left: int) -> None:
        if left == self._length // 2:
            self.flags |= HTIF
        if left == 0:
            self.flags |= TCIF
            if self.control & CIRC:
                left = self._length
            else:
                self.control &= ~EN
        self.left = left

    def _update_line(self) -> None:
        high = (self.flags & TCIF and self.control & TCIE) or (self.flags & HTIF and self.control & HTIE)
        self.machine.exceptions.set_line(IRQS[self.number], bool(high))

    def clear(self, flags: int) -> None:
        self.flags &= ~flags
        self._update_line()

    def read_CR(self) -> int:
        return self.control

    def write_CR(self, value: int) -> None:
        self.machine.catch_up()
        if self.control & EN and (value ^ self.control) & (CIRC | MINC | PSIZE | MSIZE | CHSEL):
            raise Refused(
                f"{self.name}CR: only EN and the interrupts may be changed while the stream is enabled"
            )
        if value & EN and not self.control & EN:
            self._check(value)
            self._length = self.left
        self.control = value
        self._update_line()
        self.machine.timer_changed()

    def _check(self, control: int) -> None:
        size, memory_size = control >> 11 & 3, control >> 13 & 3
        if not self.left:
            raise Refused(f"{self.name}CR: enabled with {self.name[5:]}NDTR 0")
        if self.flags:
            raise Refused(
                f"{self.name}CR: enabled while flags of the last transfer are set; clear them first"
            )
        if size > 1 or size != memory_size:
            raise Refused(f"{self.name}CR: only PSIZE and MSIZE both 8 or both 16 bits are modelled")
        if (self.memory | self.peripheral) & size:
            raise Refused(f"{self.name}CR: enabled with an odd address for items of 16 bits")

    def _set_up(self, register: str, attribute: str, value: int) -> None:
        if self.control & EN:
            raise Refused(f"{self.name}{register} can't be written while the stream is enabled")
        setattr(self, attribute, value)

    def read_NDTR(self) -> int:
        self.machine.catch_up()
        return self.left

    def write_NDTR(self, value: int) -> None:
        self._set_up("NDTR", "left", value)

    def read_PAR(self) -> int:
        return self.peripheral

    def write_PAR(self, value: int) -> None:
        self._set_up("PAR", "peripheral", value)

    def read_M0AR(self) -> int:
        return self.memory

    def write_M0AR(self, value: int) -> None:
        self._set_up("M0AR", "memory", value)


def _registers() -> dict[int, Register]:
    high = sum(FLAGS << SHIFTS[n - 4] for n in STREAMS if n >= 4)
    low = sum(FLAGS << SHIFTS[n] for n in STREAMS if n < 4)
    registers = {
        0x00: Register("LISR"),
        0x04: Register("HISR"),
        0x08: Register("LIFCR", 0, low, readable=False),
        0x0C: Register("HIFCR", 0, high, readable=False),
    }
    for n in STREAMS:
        at = 0x10 + 0x18 * n
        registers |= {
            at: Register(f"S{n}CR", 0, CONTROL),
            at + 0x04: Register(f"S{n}NDTR", 0, 0xFFFF),
            at + 0x08: Register(f"S{n}PAR", 0, 0xFFFFFFFF),
            at + 0x0C: Register(f"S{n}M0AR", 0, 0xFFFFFFFF),
            at + 0x14: Register(f"S{n}FCR", 0x21),
        }
    return registers


class Dma2(Peripheral):
    """The streams' registers; :attr:`streams` by number."""

    name = "DMA2"
    base = 0x40026400
    clock = ("AHB1ENR", 22)
    registers: ClassVar = _registers()

    def __init__(self, machine: Machine):
        self.streams = {n: Stream(machine, n) for n in STREAMS}
        super().__init__(machine)
        for n, stream in self.streams.items():
            for name in ("CR", "NDTR", "PAR", "M0AR"):
                self._readers[f"S{n}{name}"] = getattr(stream, f"read_{name}")
                self._writers[f"S{n}{name}"] = getattr(stream, f"write_{name}")
        for name, first in (("L", 0), ("H", 4)):
            self._readers[f"{name}ISR"] = partial(self._flags, first)
            self._writers[f"{name}IFCR"] = partial(self._clear, first)

    def reset(self) -> None:
        super().reset()
        for stream in self.streams.values():
            stream.reset()

    def _flags(self, first: int) -> int:
        self.machine.catch_up()
        return sum(
            stream.flags << SHIFTS[n - first] for n, stream in self.streams.items() if first <= n < first + 4
        )

    def _clear(self, first: int, value: int) -> None:
        self.machine.catch_up()
        for n, stream in self.streams.items():
            if first <= n < first + 4:
                stream.clear(value >> SHIFTS[n - first] & FLAGS)
