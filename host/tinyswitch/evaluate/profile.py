"""What a model takes on this machine: processor time and memory, under LiteRT's optimised kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from tinyswitch import nets
from tinyswitch.evaluate.images import load_frame, to_model_input
from tinyswitch.evaluate.litert import LiteRtModel, litert_errors
from tinyswitch.evaluate.workers import Workers

ROUNDS = 50
WARM_UP = 2  # inferences that find caches and memory cold
SMALL = nets.MODELS / "digits.tflite"


@dataclass(frozen=True)
class Profile:
    """One model, alone in a process, on one thread. Times in seconds: medians over the rounds."""

    seconds: float  # of one inference, from begin to end
    cpu_seconds: float  # the processor's time in it: what it would take on an idle machine
    ram_bytes: int  # private memory of the process that the model adds: arena, packed weights, file
    rounds: int
    classes: int  # values of output 0


def profile(
    model: Path, image: Path | None, rounds: int = ROUNDS, advance: Callable[[], None] = lambda: None
) -> Profile:
    """Measures ``model`` on ``image`` (None: noise) in a process of its own.

    ``advance`` is called after each of ``WARM_UP + rounds`` inferences. Raises TinyswitchError for a model
    that LiteRT refuses or crashes on, and for a damaged image.
    """
    with Workers(1, model, _start, model, image) as worker:
        ram = worker.result(worker.submit(_load))
        times = []
        for _ in range(WARM_UP + rounds):
            times.append(worker.result(worker.submit(_run)))
            advance()
        ram = max(ram, worker.result(worker.submit(_used)))
        classes = worker.result(worker.submit(_classes))
    seconds, cpu_seconds = (median(kind) for kind in zip(*times[WARM_UP:], strict=True))
    return Profile(seconds, cpu_seconds, ram, rounds, classes)


_path: Path
_image: Path | None
_before: int  # bytes of this process without the model
_model: LiteRtModel
_frame: np.ndarray


def _start(model: Path, image: Path | None) -> None:
    global _path, _image
    _path, _image = model, image


def _load() -> int:
    """Loads the model; returns the bytes that it takes before it ran."""
    global _before, _model, _frame
    small = LiteRtModel(SMALL, optimised=True)  # whatever LiteRT itself needs is there after this
    small.run(np.zeros(small.input.shape, small.input.dtype))
    _before = _private()
    with litert_errors(_path):
        _model = LiteRtModel(_path, optimised=True)
    info = _model.input
    if _image is None:
        limits = np.iinfo(info.dtype)
        rng = np.random.default_rng(0)
        _frame = rng.integers(limits.min, limits.max + 1, info.shape).astype(info.dtype)
    else:
        _frame = to_model_input(load_frame(_image, info.shape), info)
    return _used()


def _run() -> tuple[float, float]:
    with litert_errors(_path):
        _model.run(_frame)
    return _model.seconds, _model.cpu_seconds


def _classes() -> int:
    return math.prod(_model.outputs[0].shape)


def _used() -> int:
    return max(0, _private() - _before)


def _private() -> int:
    """Bytes that no other process shares; where the system does not tell, those that are resident."""
    memory = psutil.Process().memory_full_info()
    return getattr(memory, "uss", memory.rss)
