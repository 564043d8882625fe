"""USART1 (RM0385, 31.8): 8N1; the host is at the other end of its pins."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register
from tinyswitch.boards.virtual.reception import Reception
from tinyswitch.boards.virtual.stm32f746.dma import USART1_RX_CHANNEL, Stream

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine

UE, RE, TE, IDLEIE, RXNEIE, TCIE, TXEIE, OVER8 = (1 << b for b in (0, 2, 3, 4, 5, 6, 7, 15))
EIE, DMAR, OVRDIS = 1 << 0, 1 << 6, 1 << 12
ORE, IDLE, RXNE, TC, TXE, TEACK, REACK = (1 << b for b in (3, 4, 5, 6, 7, 21, 22))
CLEARABLE = 0x1F | TC  # PE, FE, NF, ORE, IDLE, TC
RXFRQ = 1 << 3
FRAME_BITS = 10
RDR_OFFSET = 0x24
IRQ = 37


class Usart1(Peripheral):
    """Bytes take as long as at the speed in BRR, in emulated time. What the host sends faster waits: a byte
    is lost only where the real one would be. Before the receiver is on, the host's bytes wait too."""

    name = "USART1"
    base = 0x40011000
    clock = ("APB2ENR", 4)
    registers: ClassVar = {
        0x00: Register("CR1", 0, UE | RE | TE | IDLEIE | RXNEIE | TCIE | TXEIE | OVER8),
        0x04: Register("CR2"),
        0x08: Register("CR3", 0, EIE | DMAR | OVRDIS),
        0x0C: Register("BRR", 0, 0xFFFF),
        0x18: Register("RQR", 0, RXFRQ, readable=False),
        0x1C: Register("ISR"),
        0x20: Register("ICR", 0, CLEARABLE, readable=False),
        RDR_OFFSET: Register("RDR", narrow=True),
        0x28: Register("TDR", 0, 0xFF, narrow=True),
    }

    def __init__(self, machine: Machine, dma: Stream):
        self._dma = dma
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self._incoming = Reception(self.machine)
        self._idle_at: int | None = None  # when the line has been idle for a frame
        self._flags = 0  # ORE, IDLE and RXNE of ISR
        self._empty_at = self._sent_at = 0  # when TXE and TC become true
        self._tc_cleared = False
        self._polled_tc = False

    def frame_cycles(self) -> int:
        """Processor cycles that a byte takes on the wire."""
        divisor = self.values["BRR"]
        if self.values["CR1"] & OVER8:
            divisor = (divisor & 0xFFF0 | (divisor & 7) << 1) / 2
        clocks = self.machine.clocks
        return max(1, round(FRAME_BITS * divisor * clocks.core_hz / clocks.pclk2_hz))

    # Receiving

    def _receiving(self) -> bool:
        return self.values["CR1"] & (UE | RE) == UE | RE

    def has_input(self) -> bool:
        return bool(self._incoming.queue)

    def next_event(self) -> int | None:
        """Only where an interrupt hangs on it; else catching up when the registers are read is enough."""
        times = []
        control = self.values["CR1"]
        if self._incoming.queue and (control & RXNEIE or self._dma.wants_interrupts()):
            times.append(self._incoming.arrival)
        if control & IDLEIE and self._idle_at is not None and not self._incoming.queue:
            times.append(self._idle_at)
        if control & TXEIE and self._empty_at > self.machine.now():
            times.append(self._empty_at)
        if control & TCIE and self._sent_at > self.machine.now():
            times.append(self._sent_at)
        return min(times, default=None)

    def advance(self) -> None:
        if not self._receiving():
            return
        frame = self.frame_cycles()
        self._incoming.fetch(frame)
        if data := self._incoming.take(frame):
            self._receive(data)
            self._idle_at = self._incoming.arrival
        if not self._incoming.queue and self._idle_at is not None and self._idle_at <= self.machine.now():
            self._flags |= IDLE
            self._idle_at = None
        if self.values["CR1"] & (RXNEIE | IDLEIE | TCIE | TXEIE) or self.values["CR3"] & EIE:
            self._update_line()

    def _receive(self, data: bytes) -> None:
        if self.values["CR3"] & DMAR and self._dma.enabled_for(USART1_RX_CHANNEL, self.base + RDR_OFFSET):
            data = data[self._dma.transfer(data) :]
        for byte in data:
            if self._flags & RXNE and not self.values["CR3"] & OVRDIS:
                self._flags |= ORE
            else:
                self.values["RDR"] = byte
                self._flags |= RXNE

    def read_RDR(self) -> int:
        self.advance()
        self._flags &= ~RXNE
        self._update_line()
        return self.values["RDR"]

    def write_RQR(self, value: int) -> None:
        if value & RXFRQ:
            self._flags &= ~RXNE

    # Sending

    def write_TDR(self, value: int) -> None:
        if self.values["CR1"] & (UE | TE) != UE | TE:
            raise Refused("USART1_TDR: the transmitter is off, see USART1_CR1")
        now, frame = self.machine.now(), self.frame_cycles()
        if self._empty_at > now:
            raise Refused("USART1_TDR: written while TXE is 0, the byte before would be lost")
        # The shift register takes it at once if idle; else TDR is full until the frame before is sent.
        self._empty_at = max(now, self._sent_at)
        self._sent_at = self._empty_at + frame
        self._tc_cleared = self._polled_tc = False
        self.machine.line.write(bytes([value & 0xFF]))
        self._update_line()

    def _status(self) -> int:
        now = self.machine.now()
        value = self._flags
        if now >= self._sent_at and not self._tc_cleared:
            value |= TC
        if now >= self._empty_at:
            value |= TXE
        control = self.values["CR1"]
        return value | (TEACK if control & TE and control & UE else 0) | (REACK if self._receiving() else 0)

    def read_ISR(self) -> int:
        """Firmware that reads it before a byte is sent waits for that: the time passes here, instead of in
        a loop. One read with TXE set and TC clear may be about receiving; the second waits for TC."""
        status = self._status()
        if not status & TXE:
            self.machine.poll_until(self._empty_at)
        elif self._sent_at > self.machine.now():
            if self._polled_tc:
                self.machine.poll_until(self._sent_at)
            self._polled_tc = True
        self.advance()
        return self._status()

    def write_ICR(self, value: int) -> None:
        self.advance()
        self._flags &= ~value
        if value & TC:
            self._tc_cleared = True
        self._update_line()

    # Control

    def write_CR1(self, value: int) -> None:
        self.advance()
        if (value ^ self.values["CR1"]) & OVER8 and self.values["CR1"] & UE:
            raise Refused("USART1_CR1: OVER8 can only be changed while UE is 0")
        if value & UE and not self.values["BRR"]:
            raise Refused("USART1_CR1: enabled with a BRR of 0")
        self.values["CR1"] = value
        self._update_line()
        self.machine.timer_changed()

    def write_BRR(self, value: int) -> None:
        if self.values["CR1"] & UE:
            raise Refused("USART1_BRR can only be written while UE is 0")
        if value < 16 and value:
            raise Refused(f"USART1_BRR: {value} is below 16, the least")
        self.values["BRR"] = value

    def write_CR3(self, value: int) -> None:
        self.advance()
        self.values["CR3"] = value
        self.machine.timer_changed()

    def _update_line(self) -> None:
        control, status = self.values["CR1"], self._status()
        high = (
            (control & RXNEIE and status & (RXNE | ORE))
            or (control & IDLEIE and status & IDLE)
            or (control & TXEIE and status & TXE)
            or (control & TCIE and status & TC)
            or (self.values["CR3"] & EIE and status & ORE)
        )
        self.machine.exceptions.set_line(IRQ, bool(high))
