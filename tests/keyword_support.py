"""The keyword application's C, spotter as a library and firmware on this machine; made-up nets and sounds."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from link_support import FIRMWARE, ROOT, build_folder, compile_c
from models import SAME, VALID, OneOperator, out_size
from native_engine import compiler
from tinyswitch.compiler import compile_model, compile_stream, emit
from tinyswitch.compiler.tflite_writer import options
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.features.frontend import Frontend
from tinyswitch.keywords import table
from tinyswitch.keywords.clips import CLASSES

FILES = ROOT / "tests" / "keyword_firmware"
FOLDERS = ("engine", "features", "keyword", "ui")
SPOTTER = [
    *sorted((FIRMWARE / "engine").glob("*.c")),
    *sorted((FIRMWARE / "engine" / "stages").glob("*.c")),
    FIRMWARE / "features" / "frontend.c",
    FIRMWARE / "keyword" / "detector.c",
    FIRMWARE / "keyword" / "spotter.c",
    FIRMWARE / "link" / "codec.c",
]
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-ffp-contract=off"]
# Sizes of their convolutions, stride 2; padding; seed: one with which random sound is sometimes a word.
NETS = {"streams": ((5, 3), VALID, 75), "whole": ((5,), SAME, 13), "hasty": ((7,), VALID, 27)}
STEPS = {"streams": 4, "whole": table.WHOLE_STEP, "hasty": 2}


def net(name: str) -> bytes:
    """The ``.tflite`` of one of NETS: convolutions, mean, dense, softmax, all of it noise."""
    sizes, padding, seed = NETS[name]
    model = OneOperator((1, 49, 40, 1), 0.1, -128, seed)
    x, shape = model.x, (49, 40, 1)
    for size in sizes:
        outputs = 6
        weights, bias = model.filter((outputs, size, size, shape[2]), 0, True, size * size * shape[2] * 4)
        shape = (*(out_size(n, size, 2, 1, padding) for n in shape[:2]), outputs)
        y = model.output((1, *shape), 0.1, -10)
        common = {"padding": padding, "strideH": 2, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1}
        model.writer.op("CONV_2D", [x, weights, bias], [y], options("Conv2D", **common))
        x = y
    mean = model.output((1, shape[2]), 0.1, -10)
    model.writer.op("MEAN", [x, model.int32([1, 2])], [mean], options("Reducer"))
    weights, bias = model.filter((len(CLASSES), shape[2]), 0, True, 1)
    scores, y = model.output((1, len(CLASSES)), 0.1, 3), model.output((1, len(CLASSES)), 1 / 256, -128)
    model.writer.op("FULLY_CONNECTED", [mean, weights, bias], [scores], options("FullyConnected"))
    model.writer.op("SOFTMAX", [scores], [y], options("Softmax", beta=1.0))
    return model.build(y)


@functools.cache
def models() -> dict[str, Path]:
    """Files of all NETS; their order is that of the model table."""
    folder = build_folder() / "keyword-models"
    folder.mkdir()
    for name in NETS:
        (folder / f"{name}.tflite").write_bytes(net(name))
    return {name: folder / f"{name}.tflite" for name in NETS}


@functools.cache
def generated() -> list[Path]:
    """The tables of a firmware with all NETS."""
    plans = [compile_model(path) for path in models().values()]
    streams = [compile_stream(path) for path in models().values()]
    table.check_all(plans)
    pairs = zip(plans, streams, (0.9, 0.7, 0.8), strict=True)
    known = [replace(table.known(plan, stream, False), accuracy=worth) for plan, stream, worth in pairs]
    more = {table.TEMPLATE: table.template_values(streams)}
    return emit(plans, build_folder() / "keyword", known, more, streams)


@functools.cache
def firmware(audio: str = "no_audio") -> Path:
    """The keyword application as a program; ``audio``: a file of keyword_firmware/, or the board's own."""
    own = FILES / f"{audio}.c"
    sources = [
        *(p for p in SPOTTER if p.parent.name not in ("keyword", "link")),
        *sorted((FIRMWARE / "keyword").glob("*.c")),
        *sorted((FIRMWARE / "ui").glob("*.c")),
        *sorted((FIRMWARE / "switcher").glob("*.c")),
        *sorted((FIRMWARE / "link").glob("*.c")),
        FIRMWARE / "apps/keyword/main.c",
        *sorted((FIRMWARE / "boards/native").glob("*.c")),
        FIRMWARE / "boards/common/no_display.c",
        own if own.exists() else FIRMWARE / "boards/common/no_audio.c",
        *generated(),
    ]
    includes = [f"-I{FIRMWARE / folder}" for folder in FOLDERS]
    return compile_c(f"keyword-{audio}", sources, "-O2", *includes)


def sound(n: int, seed: int) -> np.ndarray:
    """(n,) int16: tones that come and go, in noise that does."""
    rng = np.random.default_rng(seed)
    times = np.arange(n) / 16000
    tones = sum(np.sin(2 * np.pi * rng.uniform(150, 5000) * times + rng.uniform(0, 6)) for _ in range(3))
    swell = np.sin(times * rng.uniform(1, 20)) ** 2
    noise = rng.normal(size=n) * 10 ** rng.uniform(1, 3)
    return np.clip(tones * swell * rng.uniform(100, 9000) + noise, -32768, 32767).astype(np.int16)


def rows_of(samples: np.ndarray) -> np.ndarray:
    """(rows, 40) int8, as the host computes them."""
    return Frontend().rows(samples)


@functools.cache
def reference(name: str) -> LiteRtModel:
    return LiteRtModel(models()[name])


def probabilities(name: str, rows: np.ndarray) -> tuple[int, ...]:
    """What LiteRT makes of (49, 40) rows, in 1/256."""
    model = reference(name)
    return tuple((model.run(rows.reshape(model.input.shape))[0].reshape(-1).astype(int) + 128).tolist())


class Answer(NamedTuple):
    """As the spotter keeps it."""

    first: int
    entry: int
    best: int
    feature_ticks: int
    inference_ticks: int
    crc: int
    raw: tuple[int, ...]
    mean: tuple[int, ...]


class Detection(NamedTuple):
    """As the detector keeps it."""

    answer: int
    row: int
    entry: int
    word: int
    mean: int


class Spotter:
    """``firmware/keyword/spotter.c``; there is one at a time."""

    def __init__(self) -> None:
        self._library = _library()
        self._library.runner_begin()
        self.clear, self.spoil = self._library.runner_clear, self._library.runner_spoil

    def set(self, average: int, threshold: int, suppression: int, minimum: int) -> None:
        self._library.runner_set(average, threshold, suppression, minimum)

    def use(self, name: str) -> None:
        self._library.runner_use(list(NETS).index(name))

    def push(self, samples: np.ndarray, arena_bytes: int | None = None) -> int:
        """Returns how many windows were passed over."""
        samples = np.ascontiguousarray(samples, np.int16)
        if arena_bytes is None:
            arena_bytes = ctypes.c_uint32.in_dll(self._library, "ts_arena_bytes").value
        return self._library.runner_push(ctypes.c_void_p(samples.ctypes.data), len(samples), arena_bytes)

    def answer(self, row: int, raw: tuple[int, ...]) -> None:
        self._library.runner_answer(ctypes.c_uint32(row), bytes(raw))

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Samples, rows, answers and detections so far."""
        found = (ctypes.c_uint32 * 4)()
        self._library.runner_counts(found)
        return tuple(found)

    def answers(self, first: int = 0) -> list[Answer]:
        fields = (ctypes.c_uint32 * (6 + 2 * len(CLASSES)))()
        found = []
        for number in range(first, self.counts[2]):
            self._library.runner_get_answer(number, fields)
            found.append(Answer(*fields[:6], tuple(fields[6::2]), tuple(fields[7::2])))
        return found

    def detections(self) -> list[Detection]:
        fields = (ctypes.c_uint32 * 5)()
        found = []
        for number in range(self.counts[3]):
            self._library.runner_get_detection(number, fields)
            found.append(Detection(*fields))
        return found


@functools.cache
def _library() -> ctypes.CDLL:
    target = build_folder() / "spotter.so"
    includes = [f"-I{FIRMWARE / folder}" for folder in (*FOLDERS, "link")]
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    sources = map(str, [*SPOTTER, FILES / "spotter_runner.c", *generated()])
    compiler("cc", *FLAGS, *sanitize, *includes, "-fPIC", "-shared", *sources, "-o", str(target))
    return ctypes.CDLL(str(target))
