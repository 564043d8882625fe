"""Programmable peripheral interconnect (nRF52840 PS v1.1, 6.16): an event triggers tasks without the
processor."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.nrf52840.nordic import Nordic
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

CHANNELS = 20  # 20 to 31 have fixed ends, of peripherals that aren't modelled
ALL = 0xFFFFFFFF


class Ppi(Peripheral):
    """Channels 0 to 19 and their forks; no groups. A task happens with its event; how many cycles later on
    the chip isn't modelled."""

    name = "PPI"
    base = 0x4001F000
    size = 0x1000
    registers: ClassVar = {
        0x500: Register("CHEN", 0, (1 << CHANNELS) - 1),
        0x504: Register("CHENSET", 0, (1 << CHANNELS) - 1),
        0x508: Register("CHENCLR", 0, (1 << CHANNELS) - 1),
        **{0x510 + 8 * i: Register(f"CH{i}_EEP", 0, ALL) for i in range(CHANNELS)},
        **{0x514 + 8 * i: Register(f"CH{i}_TEP", 0, ALL) for i in range(CHANNELS)},
        **{0x910 + 4 * i: Register(f"FORK{i}_TEP", 0, ALL) for i in range(CHANNELS)},
    }

    def reset(self) -> None:
        super().reset()
        self._routes: dict[int, list[tuple[Nordic, str]]] = {}  # tasks by the event's address
        self._sources: dict[Nordic, list[Nordic]] = {}  # whose events trigger a peripheral's tasks

    def signal(self, event: int, times: int) -> None:
        """The event at that address has come, ``times`` times since the last call."""
        for peripheral, task in self._routes.get(event, ()):
            peripheral.run(task, times)
            self.machine.event_at(peripheral.next_event())

    def sources(self, peripheral: Nordic) -> list[Nordic]:
        """The others whose events trigger its tasks."""
        return self._sources.get(peripheral, [])

    def is_timely(self, event: int) -> bool:
        """Whether a task hangs on the moment at which the event comes."""
        tasks = self._routes.get(event)
        return bool(tasks) and any(peripheral.is_timely(task) for peripheral, task in tasks)

    def write(self, offset: int, size: int, value: int) -> None:
        self.machine.catch_up()
        name = self._find(offset, size)[0].name
        if value and name.endswith("_EEP") and not self._name(value, "events"):
            raise Refused(f"PPI_{name}: 0x{value:08x} isn't the register of an event that this model knows")
        if value and name.endswith("_TEP") and not self._name(value, "tasks"):
            raise Refused(f"PPI_{name}: 0x{value:08x} isn't the register of a task that this model knows")
        super().write(offset, size, value)
        self._connect()
        self.machine.timer_changed()

    def _name(self, address: int, kind: str) -> tuple[Nordic, str] | None:
        """Peripheral and name of the event or task whose register is at that address."""
        peripheral = self.machine.find(address)
        if isinstance(peripheral, Nordic):
            for name, offset in getattr(peripheral, kind).items():
                if peripheral.base + offset == address:
                    return peripheral, name
        return None

    def _connect(self) -> None:
        self._routes, self._sources = {}, {}
        for i in range(CHANNELS):
            if not self.values["CHEN"] >> i & 1:
                continue
            ends = (self.values[f"CH{i}_TEP"], self.values[f"FORK{i}_TEP"])
            tasks = [end for end in (self._name(address, "tasks") for address in ends if address) if end]
            event = self._name(self.values[f"CH{i}_EEP"], "events")
            if event is None:
                continue
            self._routes.setdefault(self.values[f"CH{i}_EEP"], []).extend(tasks)
            for peripheral, _ in tasks:
                if peripheral is not event[0]:
                    self._sources.setdefault(peripheral, []).append(event[0])

    def write_CHENSET(self, value: int) -> None:
        self.values["CHEN"] |= value

    def write_CHENCLR(self, value: int) -> None:
        self.values["CHEN"] &= ~value

    def read_CHENSET(self) -> int:
        return self.values["CHEN"]

    read_CHENCLR = read_CHENSET
