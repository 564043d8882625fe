"""TIM7, a basic timer (RM0385, basic timers): counts up, and interrupts when it starts again at 0."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

CEN, URS, UIE, UIF, UG = 1 << 0, 1 << 2, 1, 1, 1
IRQ = 55


class Tim7(Peripheral):
    """The prescaler is taken over at an update event, the auto-reload value at once (no ARPE). A change of
    the chip's clocks is noticed at the next start or UG."""

    name = "TIM7"
    base = 0x40001400
    clock = ("APB1ENR", 5)
    registers: ClassVar = {
        0x00: Register("CR1", 0, CEN | URS),
        0x04: Register("CR2"),
        0x0C: Register("DIER", 0, UIE),
        0x10: Register("SR", 0, UIF),
        0x14: Register("EGR", 0, UG, readable=False),
        0x24: Register("CNT", 0, 0xFFFF),
        0x28: Register("PSC", 0, 0xFFFF),
        0x2C: Register("ARR", 0xFFFF, 0xFFFF),
    }

    def reset(self) -> None:
        super().reset()
        self._zero_at: int | None = None  # when the count was 0; None while it stands
        self._step = 1  # processor cycles that one count takes
        self._prescaler = 0  # the one in use

    def _find_step(self) -> int:
        """The timers' clock is PCLK1, or twice that if PCLK1 is divided (RCC_DCKCFGR1.TIMPRE 0)."""
        clocks = self.machine.clocks
        ratio = clocks.core_hz // clocks.pclk1_hz
        return (ratio if ratio == 1 else ratio // 2) * (self._prescaler + 1)

    def _period(self) -> int:
        return self._step * (self.values["ARR"] + 1)

    def _count(self) -> int:
        if self._zero_at is None:
            return self.values["CNT"]
        return (self.machine.now() - self._zero_at) // self._step

    def _start(self, count: int) -> None:
        """Counts on from ``count``, if it may: with an auto-reload value of 0 it stands."""
        self._step = self._find_step()
        self.values["CNT"] = count
        running = self.values["CR1"] & CEN and self.values["ARR"]
        self._zero_at = self.machine.now() - count * self._step if running else None
        self.machine.timer_changed()

    def next_event(self) -> int | None:
        if self._zero_at is None or not self.values["DIER"] & UIE:
            return None
        return self._zero_at + self._period()

    def advance(self) -> None:
        if self._zero_at is None or self.machine.now() < self._zero_at + self._period():
            return
        self._zero_at += self._period()
        self._prescaler = self.values["PSC"]
        self._step = self._find_step()
        self._zero_at += (self.machine.now() - self._zero_at) // self._period() * self._period()
        self._set_flag(UIF)

    def _set_flag(self, flag: int) -> None:
        self.values["SR"] = flag
        self.machine.exceptions.set_line(IRQ, bool(flag & self.values["DIER"]))

    def read_SR(self) -> int:
        self.advance()
        return self.values["SR"]

    def write_SR(self, value: int) -> None:
        """A 0 clears the flag, a 1 leaves it."""
        self.advance()
        self._set_flag(self.values["SR"] & value)

    def write_DIER(self, value: int) -> None:
        self.advance()
        self.values["DIER"] = value
        self._set_flag(self.values["SR"])
        self.machine.timer_changed()

    def write_CR1(self, value: int) -> None:
        self.advance()
        count = self._count()
        was, self.values["CR1"] = self.values["CR1"], value
        if (was ^ value) & CEN:
            self._start(count)

    def write_EGR(self, value: int) -> None:
        if not value & UG:
            return
        self.advance()
        self._prescaler = self.values["PSC"]
        if not self.values["CR1"] & URS:
            self._set_flag(UIF)
        self._start(0)

    def read_CNT(self) -> int:
        self.advance()
        return self._count()

    def write_CNT(self, value: int) -> None:
        self.advance()
        self._check(value, self.values["ARR"])
        self._start(value)

    def write_ARR(self, value: int) -> None:
        self.advance()
        count = self._count()
        self._check(count, value)
        self.values["ARR"] = value
        self._start(count)

    def _check(self, count: int, reload: int) -> None:
        if count > reload and self.values["CR1"] & CEN:
            raise Refused(
                f"TIM7: the count {count} is beyond ARR {reload}: the way over 65,535 isn't modelled"
            )
