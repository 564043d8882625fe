"""What the motion sensor of a virtual board feels: a recording, or lying flat."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyswitch.gestures import recording as recordings
from tinyswitch.gestures.sampling import as_steps, at_rate

FLAT = np.array([0.0, 0.0, 1.0])  # g: the board's face up


class Playing:
    """Samples of a recording at the sensor's rates; its last one for ever after; without a recording those of
    a board that lies flat."""

    def __init__(self, recording: recordings.Recording | None = None):
        self._recording = recording
        self._samples: dict[float, np.ndarray] = {}

    @classmethod
    def of(cls, path: Path | None) -> Playing:
        """Plays that file; raises TinyswitchError if it isn't a recording."""
        return cls(recordings.read(path) if path else None)

    def count(self, rate_hz: float) -> int:
        """Samples of the recording at ``rate_hz``; 0 without one."""
        return len(self._at(rate_hz)) if self._recording else 0

    def sample(self, rate_hz: float, index: int) -> tuple[int, int, int]:
        """x, y, z of sample ``index`` (from 0), in steps of 122 micro-g."""
        samples = self._at(rate_hz)
        x, y, z = samples[min(index, len(samples) - 1)]
        return int(x), int(y), int(z)

    def _at(self, rate_hz: float) -> np.ndarray:
        if rate_hz not in self._samples:
            self._samples[rate_hz] = (
                at_rate(self._recording, rate_hz) if self._recording else as_steps(FLAT[None, :])
            )
        return self._samples[rate_hz]
