"""Clock control and power management, which share their registers' page (nRF52840 PS v1.1, 5.3 and 5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.nrf52840.nordic import Nordic
from tinyswitch.boards.virtual.peripheral import Register

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine

CORE_HZ = 64_000_000  # from the internal oscillator or the crystal
HFXO_SECONDS, LFRC_SECONDS = 360e-6, 600e-6  # typical start-up times: 5.4.4.1, 5.4.4.4
XTAL, RUNNING = 1 << 0, 1 << 16  # of HFCLKSTAT
LFRC = 0  # of LFCLKSRC
CAUSES = {"watchdog": 1 << 1, "software": 1 << 2}  # RESETREAS: DOG, SREQ
RESETREAS = 0x001F000F
VBUSDETECT, OUTPUTRDY = 1, 2
RETAINED = ("GPREGRET", "GPREGRET2")


class Clock(Nordic):
    """HFXO with its start-up time; RESETREAS. The core runs at 64 MHz from the start, as on the chip."""

    name = "CLOCK/POWER"
    base = 0x40000000
    irq = 0
    has_inten = False
    tasks: ClassVar = {
        "HFCLKSTART": 0x000,
        "HFCLKSTOP": 0x004,
        "LFCLKSTART": 0x008,
        "LFCLKSTOP": 0x00C,
        "CONSTLAT": 0x078,
        "LOWPWR": 0x07C,
    }
    events: ClassVar = {"HFCLKSTARTED": 0x100, "LFCLKSTARTED": 0x104}
    plain: ClassVar = {
        0x400: Register("RESETREAS", 0, RESETREAS),
        0x408: Register("HFCLKRUN"),
        0x40C: Register("HFCLKSTAT"),
        0x414: Register("LFCLKRUN"),
        0x418: Register("LFCLKSTAT"),
        0x438: Register("USBREGSTATUS", VBUSDETECT | OUTPUTRDY),  # the board is supplied through USB
        0x518: Register("LFCLKSRC", LFRC, 0),
        0x51C: Register("GPREGRET", 0, 0xFF),
        0x520: Register("GPREGRET2", 0, 0xFF),
        0x55C: Register("TRACECONFIG", 0, 3 | 3 << 16),
        0x578: Register("DCDCEN", 0, 1),
    }

    def __init__(self, machine: Machine, ppi):
        self.core_hz = CORE_HZ
        self._causes = 0
        super().__init__(machine, ppi)
        machine.clocks = self

    def reset(self) -> None:
        kept = {name: self.values[name] for name in RETAINED if name in self.values}
        super().reset()
        self.values.update(kept)
        self._crystal_at: int | None = None  # when the crystal runs; None: it is off
        self._low_at: int | None = None  # the same of the low-frequency oscillator
        self._told_crystal = self._told_low = False

    def note_reset(self, cause: str) -> None:
        """The chip was reset because of ``cause``, a key of CAUSES; bits stay until they are cleared."""
        self._causes |= CAUSES[cause]

    def start_crystal(self) -> None:
        """As somebody has done who ran before the firmware."""
        self._crystal_at, self._told_crystal = 0, True

    def task_HFCLKSTART(self) -> None:
        self._told_crystal = False
        if self._crystal_at is None:
            self._crystal_at = self.machine.now() + round(HFXO_SECONDS * CORE_HZ)

    def task_HFCLKSTOP(self) -> None:
        self._crystal_at = None

    def task_LFCLKSTART(self) -> None:
        self._told_low = False
        if self._low_at is None:
            self._low_at = self.machine.now() + round(LFRC_SECONDS * CORE_HZ)

    def task_LFCLKSTOP(self) -> None:
        self._low_at = None

    def task_CONSTLAT(self) -> None:
        """Without effect: wake-up takes no time here."""

    task_LOWPWR = task_CONSTLAT

    @property
    def low_runs(self) -> bool:
        """Whether the 32,768 Hz clock runs."""
        return self._low_at is not None and self.machine.now() >= self._low_at

    def advance(self) -> None:
        now = self.machine.now()
        if self._crystal_at is not None and not self._told_crystal and now >= self._crystal_at:
            self._told_crystal = True
            self.trigger("HFCLKSTARTED")
        if self._low_at is not None and not self._told_low and now >= self._low_at:
            self._told_low = True
            self.trigger("LFCLKSTARTED")

    def due(self, event: str) -> int | None:
        if event == "HFCLKSTARTED":
            return None if self._told_crystal else self._crystal_at
        return None if self._told_low else self._low_at

    def next_event(self) -> int | None:
        times = [self.due(event) for event in self.events if self.is_wanted(event)]
        return min((t for t in times if t is not None), default=None)

    def read_RESETREAS(self) -> int:
        return self._causes

    def write_RESETREAS(self, value: int) -> None:
        """A 1 clears a bit."""
        self._causes &= ~value

    def read_HFCLKRUN(self) -> int:
        return int(self._crystal_at is not None)

    def read_HFCLKSTAT(self) -> int:
        return RUNNING | (XTAL if self._runs(self._crystal_at) else 0)

    def read_LFCLKRUN(self) -> int:
        return int(self._low_at is not None)

    def read_LFCLKSTAT(self) -> int:
        return RUNNING if self._runs(self._low_at) else 0

    def _runs(self, since: int | None) -> bool:
        """Firmware that asks again and again waits for it."""
        if since is not None and since > self.machine.now() and self.machine.is_polling():
            self.machine.poll_until_event(since)
        return since is not None and self.machine.now() >= since

    def write_LFCLKSRC(self, value: int) -> None:
        if value != LFRC:
            raise Refused("CLOCK/POWER_LFCLKSRC: only the RC oscillator, 0, is modelled")
