"""Watchdog timer (nRF52840 PS v1.1, 6.36): counts 32,768 Hz in emulated time."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.nrf52840.nordic import Nordic
from tinyswitch.boards.virtual.peripheral import Register

LOW_HZ = 32_768
RELOAD = 0x6E524635
REQUESTS = 8
LEAST = 0xF  # CRV
SLEEP, HALT = 1 << 0, 1 << 3
RESET_CYCLES = 2  # of the 32,768 Hz clock between TIMEOUT and the reset


class Wdt(Nordic):
    """Once started it cannot be stopped or changed, and only its own reset ends it: a reset by software
    doesn't (5.3.6.6, reset behaviour)."""

    name = "WDT"
    base = 0x40010000
    irq = 16
    has_inten = False
    tasks: ClassVar = {"START": 0x000}
    events: ClassVar = {"TIMEOUT": 0x100}
    plain: ClassVar = {
        0x400: Register("RUNSTATUS"),
        0x404: Register("REQSTATUS", 1),
        0x504: Register("CRV", 0xFFFFFFFF, 0xFFFFFFFF),
        0x508: Register("RREN", 1, (1 << REQUESTS) - 1),
        0x50C: Register("CONFIG", SLEEP, SLEEP | HALT),
        **{0x600 + 4 * i: Register(f"RR{i}", 0, 0xFFFFFFFF, readable=False) for i in range(REQUESTS)},
    }

    def __init__(self, machine, ppi):
        self._running = False
        super().__init__(machine, ppi)
        for i in range(REQUESTS):
            self._writers[f"RR{i}"] = lambda value, i=i: self._request(i, value)

    def reset(self) -> None:
        if self._running and self.machine.reset_cause == "software":
            return
        super().reset()
        self._running = False
        self._expires = 0  # by its clock
        self._asked = 0  # reload requests since the last reload
        self._bites: int | None = None  # machine time of the reset, after TIMEOUT

    def _clock(self) -> int:
        """Processor cycles, without those in sleep if it pauses then."""
        return self.machine.now() if self.values["CONFIG"] & SLEEP else self.machine.awake()

    def _cycles(self, counts: int) -> int:
        return round(counts * self.machine.clocks.core_hz / LOW_HZ)

    def task_START(self) -> None:
        if self._running:
            return
        if self.values["CRV"] < LEAST:
            raise Refused(f"WDT_CRV: {self.values['CRV']} is below {LEAST}, the least")
        self._running = True
        self._reload()

    def _reload(self) -> None:
        self._asked = 0
        self._expires = self._clock() + self._cycles(self.values["CRV"] + 1)

    def _request(self, number: int, value: int) -> None:
        if value != RELOAD:
            raise Refused(f"WDT_RR{number}: 0x{value:08x} isn't the reload request 0x{RELOAD:08x}")
        self._asked |= 1 << number
        if self._running and self._asked & self.values["RREN"] == self.values["RREN"]:
            self._reload()

    def _set_up(self, name: str, value: int) -> None:
        if self._running and value != self.values[name]:
            raise Refused(f"WDT_{name}: can't be changed once the watchdog runs")
        self.values[name] = value

    def write_CRV(self, value: int) -> None:
        self._set_up("CRV", value)

    def write_RREN(self, value: int) -> None:
        self._set_up("RREN", value)

    def write_CONFIG(self, value: int) -> None:
        self._set_up("CONFIG", value)

    def read_RUNSTATUS(self) -> int:
        return int(self._running)

    def read_REQSTATUS(self) -> int:
        return self.values["RREN"] & ~self._asked

    def next_event(self) -> int | None:
        if self._bites is not None:
            return self._bites
        if not self._running or (self.machine.sleeping and not self.values["CONFIG"] & SLEEP):
            return None
        return self.machine.now() + max(0, self._expires - self._clock())

    def advance(self) -> None:
        if self._bites is None and self._running and self._clock() >= self._expires:
            self._bites = self.machine.now() + self._cycles(RESET_CYCLES)
            self.trigger("TIMEOUT")
        if self._bites is not None and self.machine.now() >= self._bites:
            self._running = False
            self.machine.request_reset("watchdog")
