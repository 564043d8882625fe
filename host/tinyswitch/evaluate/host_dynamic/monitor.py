"""What this machine has left for inference, by psutil."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import psutil

WINDOW_S = 0.25  # over which the processor's time is looked at: the system counts in steps of 10 ms


@dataclass(frozen=True)
class Reading:
    """What there is for one worker process."""

    ram_bytes: int  # for a model
    cpu: float  # of a core, 0 to 1, beside all other work
    cpu_high: float  # the same beside work of higher priority alone: what is niced gives way
    battery: float | None = None  # 0 to 1; None: there is none, or it is being charged
    deadline_s: float | None = None  # for an inference; None: none


class Monitor(Protocol):
    """Where readings come from."""

    real: bool  # the load is there, so that times measured have it in them

    def read(self, frame: int, held: int, got: float) -> Reading:
        """What there is before ``frame``.

        ``held``: bytes that the workers' present models take in all. ``got``: share of a core that the last
        inferences got, 0 if there were none.
        """


class SystemMonitor:
    """Free memory, processor and battery of this machine, within limits that the user gives."""

    real = True

    def __init__(self, workers: int, deadline_s: float | None = None, ram_limit: int | None = None):
        """``ram_limit``: bytes that a model may take although more is free."""
        self._workers, self._deadline_s, self._ram_limit = workers, deadline_s, ram_limit
        self._samples: deque[tuple[float, ...]] = deque([_sample()])
        time.sleep(WINDOW_S)

    def read(self, frame: int, held: int, got: float) -> Reading:
        """As in Monitor.

        What a worker's present model takes counts as free: the next one replaces it. Of the processor there
        is what others leave idle; where all is taken, still the turn that the system gives to each: ``got``.
        """
        free = (psutil.virtual_memory().available + held) // self._workers
        ram = free if self._ram_limit is None else min(free, self._ram_limit)
        cpu, cpu_high = (max(left, min(got, 1.0)) for left in self._cpu())
        return Reading(ram, cpu, cpu_high, _battery(), self._deadline_s)

    def _cpu(self) -> tuple[float, float]:
        """The share of a core that each worker can have beside others, and beside those not niced."""
        now = _sample()
        self._samples.append(now)
        while len(self._samples) > 2 and now[0] - self._samples[1][0] >= WINDOW_S:
            self._samples.popleft()
        seconds, busy, niced, own = (new - old for new, old in zip(now, self._samples[0], strict=True))
        others = max(0.0, busy - own)
        return self._left(others, seconds), self._left(max(0.0, others - niced), seconds)

    def _left(self, others: float, seconds: float) -> float:
        cores = psutil.cpu_count() or 1
        return min(1.0, max(0.0, cores - others / max(seconds, 1e-9)) / self._workers)


def _sample() -> tuple[float, float, float, float]:
    """Clock, seconds that all cores were busy, of these with niced processes, with this one and its workers.

    This one is taken not to be niced.
    """
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts a guest's time in user's, too
    twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    own = 0.0
    for process in (this := psutil.Process(), *this.children(recursive=True)):
        try:
            used = process.cpu_times()
        except psutil.Error:  # ended in between
            continue
        own += used.user + used.system
    return time.monotonic(), sum(times) - idle - twice, getattr(times, "nice", 0.0), own


def _battery() -> float | None:
    found = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if found is None or found.power_plugged:
        return None
    return min(1.0, max(0.0, found.percent / 100))
