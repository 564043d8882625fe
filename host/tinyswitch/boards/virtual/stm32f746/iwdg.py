"""Independent watchdog (RM0385, 24.4): counts the LSI oscillator in emulated time."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

LSI_HZ = 32_000
START, UNLOCK, RELOAD = 0xCCCC, 0x5555, 0xAAAA
UPDATE_SECONDS = 5 / LSI_HZ  # PVU and RVU stay set for up to five LSI periods
PVU, RVU = 1, 2


class Iwdg(Peripheral):
    """Resets the machine when it isn't reloaded in time. Window mode isn't modelled."""

    name = "IWDG"
    base = 0x40003000
    registers: ClassVar = {
        0x0: Register("KR", 0, 0xFFFF, readable=False),
        0x4: Register("PR", 0, 7),
        0x8: Register("RLR", 0xFFF, 0xFFF),
        0xC: Register("SR"),
    }

    def reset(self) -> None:
        super().reset()
        self._expires: float | None = None  # emulated second
        self._unlocked = False
        self._updated = {PVU: 0.0, RVU: 0.0}

    def _timeout(self) -> float:
        divider = min(4 << self.values["PR"], 256)
        return (self.values["RLR"] + 1) * divider / LSI_HZ

    def write_KR(self, value: int) -> None:
        self._unlocked = value == UNLOCK
        if value == START or (value == RELOAD and self._expires is not None):
            self._expires = self.machine.seconds() + self._timeout()
            self.machine.timer_changed()

    def _update(self, name: str, flag: int, value: int) -> None:
        if not self._unlocked:
            raise Refused(f"IWDG_{name} is locked: IWDG_KR hasn't been given 0x5555")
        if self._updated[flag] > self.machine.seconds():
            raise Refused(f"IWDG_{name}: its last update is still going on, see IWDG_SR")
        self.values[name] = value
        self._updated[flag] = self.machine.seconds() + UPDATE_SECONDS

    def write_PR(self, value: int) -> None:
        self._update("PR", PVU, value)

    def write_RLR(self, value: int) -> None:
        self._update("RLR", RVU, value)

    def read_SR(self) -> int:
        """The firmware polls it: the first read says busy, and the time passes."""
        busy = sum(flag for flag, until in self._updated.items() if until > self.machine.seconds())
        if busy:
            self.machine.poll_until(self.machine.cycle_of(max(self._updated.values())) + 1)
        return busy

    def next_event(self) -> int | None:
        return None if self._expires is None else self.machine.cycle_of(self._expires)

    def advance(self) -> None:
        if self._expires is not None and self.machine.now() >= self.machine.cycle_of(self._expires):
            self._expires = None
            self.machine.request_reset("watchdog")
