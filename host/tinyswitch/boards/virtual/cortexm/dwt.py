"""Data watchpoint and trace unit: the cycle counter (ARM DDI 0403E, C1.8)."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

UNLOCK = 0xC5ACCE55
CYCCNTENA = 1
FOUR_COMPARATORS = 4 << 28


class Dwt(Peripheral):
    """CYCCNT advances by one per instruction: there is no model of the pipeline, caches and flash. Like the
    chip's it stands while the processor sleeps. ``lock``: it must be unlocked through LAR first; where the
    processor has no lock, LAR takes no effect."""

    name = "DWT"
    base = 0xE0001000
    size = 0x1000
    registers: ClassVar = {
        0x000: Register("CTRL", FOUR_COMPARATORS, CYCCNTENA),
        0x004: Register("CYCCNT", 0, 0xFFFFFFFF),
        0xFB0: Register("LAR", 0, 0xFFFFFFFF, readable=False),
        0xFB4: Register("LSR", 3),
    }

    def __init__(self, machine, demcr: Peripheral, trcena: int, *, lock: bool):
        self._demcr, self._trcena, self._lock = demcr, trcena, lock
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self._held = 0  # what the counter shows while it stands
        self._count(False, 0)
        self._locked = self._lock

    def _check(self) -> None:
        if not self._demcr.values["DEMCR"] & self._trcena:
            raise Refused("the DWT is off: DEMCR.TRCENA isn't set")
        if self._locked:
            raise Refused("the DWT is locked: DWT_LAR hasn't been given 0xC5ACCE55")

    def _running(self) -> bool:
        return bool(self.values["CTRL"] & CYCCNTENA)

    def write_CTRL(self, value: int) -> None:
        self._check()
        self._held = self.read_CYCCNT()
        self.values["CTRL"] = FOUR_COMPARATORS | value & CYCCNTENA
        self._count(self._running(), self._held)

    def _count(self, on: bool, value: int) -> None:
        """While the counter is on, ``counter_read`` in counter.c answers the firmware."""
        state = self.machine.cpu.state
        state.cyccnt_on = on
        state.cyccnt_origin = self.machine.instructions() - value & (1 << 64) - 1

    def read_CYCCNT(self) -> int:
        if not self._running():
            return self._held
        return self.machine.instructions() - self.machine.cpu.state.cyccnt_origin & 0xFFFFFFFF

    def write_CYCCNT(self, value: int) -> None:
        self._check()
        self._held = value
        self._count(self._running(), value)

    def write_LAR(self, value: int) -> None:
        self._locked = self._lock and value != UNLOCK

    def read_LSR(self) -> int:
        return (1 if self._lock else 0) | (2 if self._locked else 0)
