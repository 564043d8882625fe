"""What the motion sensor of a virtual board feels: a recording, or lying flat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from tinyswitch.gestures.recording import Recording

FLAT = (0, 0, 8197)  # 1 g in steps of 122 micro-g: the board's face up


class Playing:
    """Samples of a recording at the sensor's rates; its last one for ever after; without a recording those of
    a board that lies flat."""

    def __init__(self, recording: Recording | None = None):
        self._recording = recording
        self._samples: dict[float, np.ndarray] = {}

    @classmethod
    def of(cls, path: Path | None) -> Playing:
        """Plays that file; raises TinyswitchError if it isn't a recording."""
        if path is None:
            return cls()
        from tinyswitch.gestures.recording import read  # takes its time to load

        return cls(read(path))

    def count(self, rate_hz: float) -> int:
        """Samples of the recording at ``rate_hz``; 0 without one."""
        return len(self._at(rate_hz)) if self._recording else 0

    def sample(self, rate_hz: float, index: int) -> tuple[int, int, int]:
        """x, y, z of sample ``index`` (from 0), in steps of 122 micro-g."""
        if self._recording is None:
            return FLAT
        samples = self._at(rate_hz)
        x, y, z = samples[min(index, len(samples) - 1)]
        return int(x), int(y), int(z)

    def _at(self, rate_hz: float) -> np.ndarray:
        if rate_hz not in self._samples:
            from tinyswitch.gestures.sampling import at_rate  # takes its time to load

            assert self._recording
            self._samples[rate_hz] = at_rate(self._recording, rate_hz)
        return self._samples[rate_hz]
