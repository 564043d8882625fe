"""Spectral features of motion: ``firmware/features/spectral.c``, called from Python.

What each feature is, docs/gesture.md says. ``DEFINES`` are the constants of the header.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyswitch import native_library
from tinyswitch.errors import TinyswitchError
from tinyswitch.firmware.project import ROOT

HEADER = ROOT / "firmware" / "features" / "spectral.h"


def _defines() -> dict[str, float]:
    found = re.findall(r"^#define TS_SPECTRAL_(\w+) \(?(-?[\d.]+)f?\)?", HEADER.read_text(), re.MULTILINE)
    return {name: float(value) if "." in value else int(value) for name, value in found}


DEFINES = _defines()
G_PER_STEP = DEFINES["UG"] * 1e-6  # of a sample
PER_AXIS = int(DEFINES["FEATURES"])
SCALE, ZERO_POINT = DEFINES["SCALE"], int(DEFINES["ZERO"])
BANDS = ((1, 2), (3, 5), (6, 12), (13, 32))  # bins, both included
LONGEST = 1 << int(DEFINES["LOG2_LONGEST"])


@dataclass(frozen=True)
class Window:
    """How motion is cut for the features: a rate, and the samples that are looked at together.

    A transform's bin is ``rate / 2**log2_length`` wide; windows with bins of nearly the same width have
    nearly the same features.
    """

    rate_hz: float
    samples: int
    log2_length: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate_hz

    @property
    def bin_hz(self) -> float:
        return self.rate_hz / (1 << self.log2_length)


# Two seconds at data rates of the LSM9DS1's accelerometer alone (datasheet DocID025715, CTRL_REG6_XL): bins
# of 0.46 and 0.39 Hz.
WINDOWS = {w.rate_hz: w for w in (Window(119.0, 238, 8), Window(50.0, 100, 7))}


def names(axes: Sequence[str]) -> list[str]:
    """Of the features, in their order."""
    peaks = range(1, int(DEFINES["PEAKS"]) + 1)
    of_axis = ["rms", *(f"peak{i}_{what}" for i in peaks for what in ("height", "hz"))]
    of_axis += [f"band{i}" for i in range(1, len(BANDS) + 1)]
    return [f"{axis}_{name}" for axis in axes for name in of_axis]


class _Memory(ctypes.Structure):
    """``struct ts_spectral``."""

    _fields_ = [
        ("samples", ctypes.c_uint16),
        ("log2_samples", ctypes.c_uint16),
        ("log2_length", ctypes.c_uint32),
        ("hann", ctypes.c_uint16 * LONGEST),
        ("work", ctypes.c_int32 * LONGEST),
        ("spectrum", ctypes.c_uint16 * (int(DEFINES["TOP"]) + 2)),
    ]


class Extractor:
    """Windows of one kind become features. Raises TinyswitchError for a window that there cannot be."""

    def __init__(self, window: Window):
        self.window = window
        self._library = _library()
        self._memory = ctypes.pointer(_Memory())
        if self._library.ts_spectral_begin(self._memory, window.samples, window.log2_length):
            raise TinyswitchError(
                f"a window of {window.samples} samples, transformed with a length of 2^{window.log2_length}, "
                f"is not possible: lengths are 32 to {LONGEST}, windows 8 samples to that length"
            )

    def features(self, ring: np.ndarray, oldest: int = 0) -> np.ndarray:
        """Features, (axes * 11,) int8, of the window that begins at sample ``oldest`` of a ring buffer.

        ``ring``: (capacity, axes) int16 in steps of ``G_PER_STEP``, capacity at least the window's samples.
        """
        capacity, axes = ring.shape
        if ring.dtype != np.int16 or capacity < self.window.samples or not 0 <= oldest < capacity:
            raise ValueError(f"{ring.dtype} {ring.shape} from {oldest}, window of {self.window.samples}")
        ring = np.ascontiguousarray(ring)
        result = np.empty(axes * PER_AXIS, np.int8)
        self._library.ts_spectral_features(
            self._memory, ring.ctypes.data, capacity, oldest, axes, result.ctypes.data
        )
        return result


@functools.cache
def _library() -> ctypes.CDLL:
    library = native_library.load("spectral", [HEADER.with_suffix(".c")])
    pointer, u32 = ctypes.c_void_p, ctypes.c_uint32
    library.ts_spectral_begin.argtypes = [pointer, u32, u32]
    library.ts_spectral_begin.restype = ctypes.c_int
    library.ts_spectral_features.argtypes = [pointer, pointer, u32, u32, u32, pointer]
    library.ts_spectral_features.restype = None
    return library
