"""Features of speech: ``firmware/features/frontend.c``, called from Python. docs/keyword.md explains them."""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from tinyswitch import native_library
from tinyswitch.firmware.project import ROOT

HEADER = ROOT / "firmware" / "features" / "frontend.h"
RATE, WINDOW, CHANNELS = 16000, 480, 40  # samples a second, samples, numbers in a row
STEP, ROWS = 320, 49  # of models of micro_speech's kind
SAMPLES = WINDOW + (ROWS - 1) * STEP  # that such a model looks at: 0.99 s


class _Memory(ctypes.Structure):
    """``struct ts_frontend``."""

    _fields_ = [
        ("step", ctypes.c_uint32),
        ("filled", ctypes.c_uint32),
        ("samples", ctypes.c_int16 * WINDOW),
        ("work", ctypes.c_uint32 * 256),
        ("noise", ctypes.c_uint32 * CHANNELS),
    ]


class Frontend:
    """A stream of 16 kHz audio becomes rows of features, one every ``step`` samples (1 to 480)."""

    def __init__(self, step: int = STEP):
        self._library, self._memory, self.step = _library(), ctypes.pointer(_Memory()), step
        self.reset()

    def reset(self) -> None:
        """Forgets the stream: its samples and the estimate of its noise."""
        if self._library.ts_frontend_begin(self._memory, self.step):
            raise ValueError(f"a row every {self.step} samples; 1 to {WINDOW} are possible")

    def levels(self, samples: np.ndarray) -> np.ndarray:
        """The rows, (rows, 40) uint16, that ``samples`` (n,) int16 complete; the rest waits for more.

        A level is 64 times a natural logarithm.
        """
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f"samples are {samples.dtype} {samples.shape}")
        samples = np.ascontiguousarray(samples)
        most = (self._memory.contents.filled + len(samples)) // self.step + 1
        rows = np.empty((most, CHANNELS), np.uint16)
        add, row = self._library.ts_frontend_add, self._library.ts_frontend_row
        at, done = 0, 0
        while True:
            at += add(self._memory, samples.ctypes.data + 2 * at, len(samples) - at)
            if not row(self._memory, rows.ctypes.data + 2 * CHANNELS * done):
                return rows[:done].copy()
            done += 1

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """The same rows as a model's input, (rows, 40) int8."""
        return as_int8(self.levels(samples))


def as_int8(levels: np.ndarray) -> np.ndarray:
    """Levels (rows, 40) uint16 as a model's input, int8."""
    levels = np.ascontiguousarray(levels, np.uint16)
    result = np.empty(levels.shape, np.int8)
    for source, target in zip(levels, result, strict=True):
        _library().ts_frontend_int8(source.ctypes.data, target.ctypes.data)
    return result


@functools.cache
def _library() -> ctypes.CDLL:
    library = native_library.load("frontend", [HEADER.with_suffix(".c")])
    pointer, u32 = ctypes.c_void_p, ctypes.c_uint32
    library.ts_frontend_begin.argtypes = [pointer, u32]
    library.ts_frontend_add.argtypes = [pointer, pointer, u32]
    library.ts_frontend_add.restype = u32
    library.ts_frontend_row.argtypes = [pointer, pointer]
    library.ts_frontend_int8.argtypes = [pointer, pointer]
    library.ts_frontend_int8.restype = None
    return library
