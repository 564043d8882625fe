"""TIMER0 to TIMER4 (nRF52840 PS v1.1, 6.30): 16 MHz timers, or counters of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.nrf52840.nordic import MHZ16, Nordic
from tinyswitch.boards.virtual.peripheral import Register

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.nrf52840.ppi import Ppi

INSTANCES = (  # base, interrupt, compare registers (4.2.4, 6.30)
    (0x40008000, 8, 4),
    (0x40009000, 9, 4),
    (0x4000A000, 10, 4),
    (0x4001A000, 26, 6),
    (0x4001B000, 27, 6),
)
TIMER, COUNTER, LOW_POWER_COUNTER = 0, 1, 2
BITS = (16, 8, 24, 32)  # by BITMODE
PRESCALER_MOST = 9
ALL = 0xFFFFFFFF


class Timer(Nordic):
    """Number ``number``. COMPARE comes when the count becomes equal to CC, exactly in time."""

    has_inten = False

    def __init__(self, machine: Machine, ppi: Ppi, number: int):
        self.base, self.irq, self._channels = INSTANCES[number]
        self.name = f"TIMER{number}"
        channels = range(self._channels)
        self.tasks = {"START": 0x000, "STOP": 0x004, "COUNT": 0x008, "CLEAR": 0x00C}
        self.tasks |= {f"CAPTURE{i}": 0x040 + 4 * i for i in channels}
        self.events = {f"COMPARE{i}": 0x140 + 4 * i for i in channels}
        self.shorts = {(f"COMPARE{i}", "CLEAR"): i for i in channels}
        self.shorts |= {(f"COMPARE{i}", "STOP"): 8 + i for i in channels}
        self.plain = {
            0x504: Register("MODE", TIMER, 3),
            0x508: Register("BITMODE", 0, 3),
            0x510: Register("PRESCALER", 4, 0xF),
            **{0x540 + 4 * i: Register(f"CC{i}", 0, ALL) for i in channels},
        }
        for i in channels:
            setattr(self, f"task_CAPTURE{i}", lambda i=i: self._capture(i))
        super().__init__(machine, ppi)

    def reset(self) -> None:
        super().reset()
        self._running = False
        self._count = 0
        self._at = 0  # machine time at which the count became what it is; of timers that run

    def _mask(self) -> int:
        return (1 << BITS[self.values["BITMODE"]]) - 1

    def _step(self) -> int:
        """Processor cycles to a count."""
        return MHZ16 << self.values["PRESCALER"]

    def _is_timer(self) -> bool:
        return self.values["MODE"] == TIMER

    # Tasks

    def task_START(self) -> None:
        if not self._running:
            self._running, self._at = True, self.machine.now()

    def task_STOP(self) -> None:
        self._running = False

    def task_CLEAR(self) -> None:
        """By COMPARE's shortcut the count has just become what it is, so that periods are exact."""
        self._count = 0
        if not self._comparing:
            self._at = self.machine.now()

    def counts(self, task: str) -> bool:
        return task == "COUNT"

    def is_timely(self, task: str) -> bool:
        return task != "COUNT" or self._compares()

    def task_COUNT(self, times: int) -> None:
        if self._is_timer():
            raise Refused(f"{self.name}_TASKS_COUNT: {self.name}_MODE says timer, not counter")
        if self._running:
            self._count_on(times, 0)

    def _capture(self, channel: int) -> None:
        self.advance()
        self.values[f"CC{channel}"] = self._count

    # Counting

    _comparing = False

    def _compares(self) -> bool:
        """Whether something hangs on the moment of a COMPARE."""
        return any(self.is_wanted(event) for event in self.events)

    def _left(self, channel: int) -> int | None:
        """Counts until the count becomes equal to CC; None: never."""
        target, mask = self.values[f"CC{channel}"], self._mask()
        return None if target > mask else (target - self._count - 1 & mask) + 1

    def _count_on(self, counts: int, step: int) -> None:
        """Counts, with all COMPARE events on the way."""
        mask = self._mask()
        while counts and self._running:
            left = [self._left(i) for i in range(self._channels)]
            run = min([counts, *(n for n in left if n is not None)])
            self._count = self._count + run & mask
            self._at += run * step
            counts -= run
            self._comparing = True
            for channel, n in enumerate(left):
                if n == run:
                    self.trigger(f"COMPARE{channel}")
            self._comparing = False

    def advance(self) -> None:
        if self._running and self._is_timer():
            step = self._step()
            self._count_on((self.machine.now() - self._at) // step, step)

    def due(self, event: str) -> int | None:
        if not self._running or not self._is_timer():
            return None
        left = self._left(int(event.removeprefix("COMPARE")))
        return None if left is None else self._at + left * self._step()

    def next_event(self) -> int | None:
        if not self._running or not self._is_timer():
            return None
        times = [self.due(event) for event in self.events if self.is_wanted(event)]
        return min((t for t in times if t is not None), default=None)

    # Registers

    def _set_up(self, name: str, value: int, most: int) -> None:
        if self._running and value != self.values[name]:
            raise Refused(f"{self.name}_{name}: can only be changed while the timer is stopped")
        if value > most:
            raise Refused(f"{self.name}_{name}: {value} is over {most}, the most")
        self.values[name] = value

    def write_MODE(self, value: int) -> None:
        self._set_up("MODE", value, LOW_POWER_COUNTER)

    def write_BITMODE(self, value: int) -> None:
        self._set_up("BITMODE", value, len(BITS) - 1)

    def write_PRESCALER(self, value: int) -> None:
        self._set_up("PRESCALER", value, PRESCALER_MOST)
