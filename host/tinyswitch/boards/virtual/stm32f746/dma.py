"""DMA2, stream 2 (RM0385, 8.5): bytes from a peripheral into memory, once or in a ring."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Halt, Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

EN, TEIE, HTIE, TCIE, CIRC, MINC = 1 << 0, 1 << 2, 1 << 3, 1 << 4, 1 << 8, 1 << 10
DIR, PINC, PSIZE, MSIZE, PL, CHSEL = 3 << 6, 1 << 9, 3 << 11, 3 << 13, 3 << 16, 7 << 25
TCIF, HTIF, TEIF, DMEIF, FEIF = 1 << 21, 1 << 20, 1 << 19, 1 << 18, 1 << 16
FLAGS = TCIF | HTIF | TEIF | DMEIF | FEIF
USART1_RX_CHANNEL = 4  # RM0385, table 26
IRQ = 58


class Dma2(Peripheral):
    """Stream 2 only, peripheral to memory, 8 bits, direct mode."""

    name = "DMA2"
    base = 0x40026400
    clock = ("AHB1ENR", 22)
    registers: ClassVar = {
        0x00: Register("LISR"),
        0x08: Register("LIFCR", 0, FLAGS, readable=False),
        0x40: Register("S2CR", 0, EN | TEIE | HTIE | TCIE | CIRC | MINC | PL | CHSEL),
        0x44: Register("S2NDTR", 0, 0xFFFF),
        0x48: Register("S2PAR", 0, 0xFFFFFFFF),
        0x4C: Register("S2M0AR", 0, 0xFFFFFFFF),
        0x54: Register("S2FCR", 0x21),
    }

    def reset(self) -> None:
        super().reset()
        self._length = 0  # NDTR when the stream was enabled
        self._flags = 0

    def enabled_for(self, channel: int, register: int) -> bool:
        """Whether the stream takes what ``channel`` offers in the data register at that address."""
        control = self.values["S2CR"]
        return bool(control & EN) and control >> 25 & 7 == channel and self.values["S2PAR"] == register

    def wants_interrupts(self) -> bool:
        return bool(self.values["S2CR"] & EN and self.values["S2CR"] & (HTIE | TCIE))

    def transfer(self, data: bytes) -> int:
        """Stores bytes from the present position on; returns how many, fewer if the stream ends.

        Raises Halt if there's no memory there.
        """
        done = 0
        while done < len(data) and self.values["S2CR"] & EN:
            left = self.values["S2NDTR"]
            half = self._length // 2
            run = min(len(data) - done, left - half if left > half else left)  # no flag before its end
            self._store(self._length - left, data[done : done + run])
            self._count(left - run)
            done += run
        self._update_line()
        return done

    def _store(self, position: int, data: bytes) -> None:
        step = bool(self.values["S2CR"] & MINC)
        address = self.values["S2M0AR"] + (position if step else 0)
        data = data if step else data[-1:]
        place = self.machine.cpu.memory_at(address, len(data), write=True)
        if place is None:
            raise Halt(f"DMA2 stream 2 writes to 0x{address:08x}, where the chip has no RAM")
        memory, offset = place
        memory[offset : offset + len(data)] = data

    def _count(self, left: int) -> None:
        if left == self._length // 2:
            self._flags |= HTIF
        if left == 0:
            self._flags |= TCIF
            if self.values["S2CR"] & CIRC:
                left = self._length
            else:
                self.values["S2CR"] &= ~EN
        self.values["S2NDTR"] = left

    def _update_line(self) -> None:
        control = self.values["S2CR"]
        high = (self._flags & TCIF and control & TCIE) or (self._flags & HTIF and control & HTIE)
        self.machine.exceptions.set_line(IRQ, bool(high))

    def read_LISR(self) -> int:
        self.machine.catch_up()
        return self._flags

    def write_LIFCR(self, value: int) -> None:
        self.machine.catch_up()
        self._flags &= ~value
        self._update_line()

    def read_S2NDTR(self) -> int:
        self.machine.catch_up()
        return self.values["S2NDTR"]

    def write_S2CR(self, value: int) -> None:
        self.machine.catch_up()
        if value & EN and not self.values["S2CR"] & EN:
            if not self.values["S2NDTR"]:
                raise Refused("DMA2_S2CR: enabled with S2NDTR 0")
            if self._flags:
                raise Refused("DMA2_S2CR: enabled while flags of the last transfer are set; clear them first")
            self._length = self.values["S2NDTR"]
        self.values["S2CR"] = value
        self._update_line()

    def _set_up(self, name: str, value: int) -> None:
        if self.values["S2CR"] & EN:
            raise Refused(f"DMA2_{name} can't be written while the stream is enabled")
        self.values[name] = value

    def write_S2NDTR(self, value: int) -> None:
        self._set_up("S2NDTR", value)

    def write_S2PAR(self, value: int) -> None:
        self._set_up("S2PAR", value)

    def write_S2M0AR(self, value: int) -> None:
        self._set_up("S2M0AR", value)
