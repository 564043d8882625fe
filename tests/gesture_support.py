"""The gesture application's C: the recogniser as a library, the firmware on this machine; made-up motions."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np

from link_support import FIRMWARE, ROOT, build_folder, compile_c
from native_engine import compiler
from tinyswitch.compiler import compile_model, emit
from tinyswitch.evaluate.gesture.reference import Answer
from tinyswitch.gestures import table
from tinyswitch.gestures.record import DEFAULT
from tinyswitch.gestures.table import Entry

FILES = ROOT / "tests" / "gesture_firmware"
FOLDERS = ("engine", "features", "gesture")
RECOGNISER = [
    *sorted((FIRMWARE / "engine").glob("*.c")),
    *sorted((FIRMWARE / "engine" / "stages").glob("*.c")),
    FIRMWARE / "features" / "spectral.c",
    FIRMWARE / "gesture" / "recogniser.c",
]
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-ffp-contract=off"]


@functools.cache
def entries() -> list[Entry]:
    """Of the committed model: at 119 and 50 Hz."""
    return table.entries([DEFAULT])


@functools.cache
def generated() -> list[Path]:
    """The tables of a firmware with the committed model."""
    plans = table.plans(entries(), [compile_model(DEFAULT)])
    known = [table.known(entry, plan, False) for entry, plan in zip(entries(), plans, strict=True)]
    more = {table.TEMPLATE: table.template_values(entries())}
    return emit(plans, build_folder() / "gesture", known, more)


@functools.cache
def firmware(motion: str = "no_motion") -> Path:
    """The gesture application as a program; ``motion``: a file of gesture_firmware/, or the board's own."""
    own = FILES / f"{motion}.c"
    sources = [
        *RECOGNISER,
        *(p for p in sorted((FIRMWARE / "gesture").glob("*.c")) if p not in RECOGNISER),
        *sorted((FIRMWARE / "switcher").glob("*.c")),
        *sorted((FIRMWARE / "link").glob("*.c")),
        FIRMWARE / "apps/gesture/main.c",
        *sorted((FIRMWARE / "boards/native").glob("*.c")),
        own if own.exists() else FIRMWARE / "boards/common/no_motion.c",
        *generated(),
    ]
    includes = [f"-I{FIRMWARE / folder}" for folder in FOLDERS]
    return compile_c(f"gesture-{motion}", sources, "-O2", *includes)


def moving(n: int, seed: int, rate_hz: float = 119.0) -> np.ndarray:
    """(n, 3) int16: gravity, a swing that comes and goes, noise."""
    rng = np.random.default_rng(seed)
    times = np.arange(n) / rate_hz
    swing = np.sin(2 * np.pi * rng.uniform(0.5, 6) * times) * (np.sin(times * rng.uniform(0.2, 2)) > 0)
    values = rng.uniform(-6000, 6000, 3) + swing[:, None] * rng.uniform(-9000, 9000, 3)
    return np.clip(np.rint(values + rng.normal(size=(n, 3)) * 60), -32768, 32767).astype(np.int16)


class Recogniser:
    """``firmware/gesture/recogniser.c``; there is one at a time."""

    def __init__(self) -> None:
        self._library = _library()
        self._library.runner_begin()

    def clear(self) -> None:
        self._library.runner_clear()

    def set(self, smoothing: int, threshold: int) -> None:
        self._library.runner_set(smoothing, threshold)

    def use(self, entry: int) -> bool:
        return bool(self._library.runner_use(entry))

    def age(self, samples: int) -> None:
        self._library.runner_age(ctypes.c_uint32(samples))

    def push(self, samples: np.ndarray, arena_bytes: int = 4096) -> None:
        samples = np.ascontiguousarray(samples, np.int16)
        self._library.runner_push(samples.ctypes.data_as(ctypes.c_void_p), len(samples), arena_bytes)

    @property
    def counts(self) -> tuple[int, int]:
        """Samples and results so far."""
        found = (ctypes.c_uint32 * 2)()
        self._library.runner_counts(found)
        return found[0], found[1]

    def result(self, number: int) -> tuple[Answer, int, int, int]:
        """A result, its entry, ticks of features and of the model."""
        classes = len(entries()[0].record.classes)
        fields = (ctypes.c_uint32 * (5 + 2 * classes))()
        self._library.runner_result(number, fields)
        first, answer, entry, feature, inference, *rest = fields
        return Answer(first, answer, tuple(rest[0::2]), tuple(rest[1::2])), entry, feature, inference


@functools.cache
def _library() -> ctypes.CDLL:
    target = build_folder() / "recogniser.so"
    includes = [f"-I{FIRMWARE / folder}" for folder in FOLDERS]
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    sources = map(str, [*RECOGNISER, FILES / "recogniser_runner.c", *generated()])
    compiler("cc", *FLAGS, *sanitize, *includes, "-fPIC", "-shared", *sources, "-o", str(target))
    return ctypes.CDLL(str(target))
