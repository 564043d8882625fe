"""SysTick, the core's timer (ARM DDI 0403E, B3.3)."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.cortexm.exceptions import SYS_TICK
from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

ENABLE, TICKINT, CLKSOURCE, COUNTFLAG = 1, 2, 4, 1 << 16


class SysTick(Peripheral):
    """Counts processor cycles, or a fraction ``divider`` of them if CSR.CLKSOURCE is 0; ``divider`` None:
    there is no such clock. ``sleeps``: it stands while the processor sleeps, and cannot wake it."""

    name = "SYST"
    base = 0xE000E010
    size = 0x10
    registers: ClassVar = {
        0x0: Register("CSR", 0, ENABLE | TICKINT | CLKSOURCE, COUNTFLAG),
        0x4: Register("RVR", 0, 0xFFFFFF),
        0x8: Register("CVR", 0, 0xFFFFFFFF),
        0xC: Register("CALIB"),
    }

    def __init__(self, machine, divider: int | None, sleeps: bool):
        self._divider, self._sleeps = divider, sleeps
        self._clock = machine.awake if sleeps else machine.now
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self._zero_at: int | None = None  # when it next counts to 0, by its clock; None: it is off
        self._held = 0  # the count while it stands
        self._counted = False

    def _step(self) -> int:
        return 1 if self.values["CSR"] & CLKSOURCE else self._divider or 1

    def _start(self, count: int) -> None:
        """From a count of 0 the next clock reloads."""
        reload = self.values["RVR"]
        if count == 0 and reload == 0:
            self._zero_at = None
        else:
            self._zero_at = self._clock() + self._step() * (count or reload + 1)
        self.machine.timer_changed()

    def _count(self) -> int:
        if self._zero_at is None:
            return self._held
        left = -(-(self._zero_at - self._clock()) // self._step())
        return 0 if left > self.values["RVR"] else left

    def next_event(self) -> int | None:
        if self._zero_at is None or (self._sleeps and self.machine.sleeping):
            return None
        return self.machine.now() + self._zero_at - self._clock()

    def advance(self) -> None:
        if self._zero_at is None or self._zero_at > self._clock():
            return
        self._counted = True
        if self.values["CSR"] & TICKINT:
            self.machine.exceptions.pend(SYS_TICK)
        period = self._step() * (self.values["RVR"] + 1)
        if self.values["RVR"] == 0:
            self._zero_at = None
        else:
            self._zero_at += (1 + (self._clock() - self._zero_at) // period) * period

    def read_CSR(self) -> int:
        self.advance()
        counted, self._counted = self._counted, False
        return self.values["CSR"] | (COUNTFLAG if counted else 0)

    def write_CSR(self, value: int) -> None:
        if value & ENABLE and not value & CLKSOURCE and self._divider is None:
            raise Refused("SYST_CSR: CLKSOURCE 0 chooses a clock that this chip doesn't have")
        count = self._count()
        self.values["CSR"] = value & (ENABLE | TICKINT | CLKSOURCE)
        if value & ENABLE:
            self._start(count)
        else:
            self._zero_at, self._held = None, count

    def read_CVR(self) -> int:
        self.advance()
        return self._count()

    def write_CVR(self, value: int) -> None:
        self._counted, self._held = False, 0
        if self.values["CSR"] & ENABLE:
            self._start(0)
