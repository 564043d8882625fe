"""``firmware/features/spectral.c`` compiled for a Cortex-M and called in an emulator."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from cortexm_functions import DATA, ROOM, Functions
from tinyswitch.features.spectral import HEADER, PER_AXIS, Window

MEMORY, RING, RESULT = DATA, DATA + ROOM, DATA + 2 * ROOM


class SpectralBoard:
    """A processor with nothing but the feature extraction in its flash; ``board`` keeps one a kind."""

    def __init__(self, cpu: str):
        self._c = Functions(cpu, HEADER.with_suffix(".c"))

    @property
    def instructions(self) -> int:
        """Of the last window that was counted."""
        return self._c.instructions

    def features(self, window: Window, samples: np.ndarray, count: bool = False) -> np.ndarray:
        """Features, int8, of one window (samples, axes) int16."""
        n, axes = samples.shape
        assert self._c.call("ts_spectral_begin", MEMORY, window.samples, window.log2_length) == 0
        self._c.memory.mem_write(RING, samples.tobytes())
        self._c.call("ts_spectral_features", MEMORY, RING, n, 0, axes, RESULT, count=count)
        return np.frombuffer(self._c.memory.mem_read(RESULT, axes * PER_AXIS), np.int8)


@functools.cache
def board(cpu: str) -> SpectralBoard:
    """The processor ``cpu`` of ``cortexm_engine.CPUS``, for the whole run of the tests."""
    return SpectralBoard(cpu)


def features_on(cpu: str, window: Window, batch: Sequence[np.ndarray]) -> np.ndarray:
    """(len(batch), features) int8 of windows (samples, axes) int16."""
    return np.array([board(cpu).features(window, samples) for samples in batch])
