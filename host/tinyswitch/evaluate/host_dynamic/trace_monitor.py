"""A load that is only played: what a trace says instead of what this machine has."""

from __future__ import annotations

from collections.abc import Sequence

from tinyswitch.evaluate.dynamic.trace import Load, Trace, Unit
from tinyswitch.evaluate.host_dynamic.monitor import Reading
from tinyswitch.evaluate.host_dynamic.options import HostOption


class TraceMonitor:
    """The trace, its whole length spread evenly over the images (monitor.Monitor).

    Without load a model may take ``ram_limit`` bytes, else what the largest needs; column ``ram`` is a share
    of that beyond the smallest's, column ``deadline`` of the slowest model's time. ``deadline_s`` holds where
    the trace has no deadline at all.
    """

    real = False

    def __init__(
        self,
        trace: Trace,
        options: Sequence[HostOption],
        frames: int,
        deadline_s: float | None = None,
        ram_limit: int | None = None,
    ):
        self._trace = trace
        self._step_s = trace.end_s / max(1, frames - 1)
        needs = [option.ram_bytes for option in options]
        self._ram = max(needs) if ram_limit is None else ram_limit
        self._unit = Unit(max(option.seconds for option in options), max(0, self._ram - min(needs)))
        self._deadline_s = deadline_s

    def read(self, frame: int, held: int, got: float) -> Reading:
        """As in Monitor; what this machine has does not matter."""
        load = self._trace.at(frame * self._step_s).load(self._unit)
        left = 1.0 - load.cpu
        return Reading(max(0, self._ram - load.ram_bytes), left, left, load.battery, self._deadline(load))

    def _deadline(self, load: Load) -> float | None:
        if not self._trace.has_deadline:
            return self._deadline_s
        return load.deadline_us / 1e6 or None
