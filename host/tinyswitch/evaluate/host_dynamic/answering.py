"""Worker processes that answer images, each with one model in memory at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyswitch.evaluate.images import load_frame, to_model_input
from tinyswitch.evaluate.litert import LiteRtModel, litert_errors
from tinyswitch.evaluate.summary import ranking
from tinyswitch.evaluate.workers import Workers
from tinyswitch.tensor import TensorInfo


@dataclass(frozen=True)
class Answer:
    """What a model says about an image."""

    top5: tuple[tuple[int, float], ...]  # class and probability, best first
    margin: float  # of the best two scores, real units of output 0
    seconds: float  # of the inference, from begin to end
    cpu_seconds: float  # the processor's time of it
    load_seconds: float | None  # the model had to be loaded first; None: it was there


class Answering:
    """``count`` processes. A context manager."""

    def __init__(self, count: int, what: object):
        self.count = count
        self._workers = Workers(count, what, os.nice, 0)

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.close()

    def answer(self, model: Path, images: Sequence[Path], keep: Sequence[Path] = ()) -> list[Answer]:
        """What ``model`` says about each of ``images``, in order.

        A worker that has other models in memory drops them, but for those of ``keep``. Raises TinyswitchError
        for a damaged image or model.
        """
        futures = [self._workers.submit(_answer, model, image, tuple(keep)) for image in images]
        return [self._workers.result(future) for future in futures]


_models: dict[Path, LiteRtModel] = {}  # of this worker process


def _answer(path: Path, image: Path, keep: tuple[Path, ...]) -> Answer:
    load_seconds = None
    if path not in _models:
        for other in set(_models).difference(keep):
            del _models[other]
        begin = time.perf_counter()
        with litert_errors(path):
            _models[path] = LiteRtModel(path, optimised=True)
        load_seconds = time.perf_counter() - begin
    model = _models[path]
    info = model.outputs[0]
    frame = to_model_input(load_frame(image, model.input.shape), model.input)
    with litert_errors(path):
        quantised = model.run(frame)[0]
    scores = info.scale * (quantised.ravel().astype(np.float64) - info.zero_point)
    likely = probabilities(scores, info)
    top5 = tuple((index, float(likely[index])) for index in ranking(quantised))
    first, second = np.sort(scores)[::-1][:2] if scores.size > 1 else (scores[0], scores[0])
    return Answer(top5, float(first - second), model.seconds, model.cpu_seconds, load_seconds)


def probabilities(scores: np.ndarray, info: TensorInfo) -> np.ndarray:
    """Softmax of real ``scores``; those of an output that SOFTMAX made are probabilities already.

    That one is recognised by its quantisation, which TFLite's specification lays down: 1/256, from the
    smallest integer.
    """
    if info.scale == 1 / 256 and info.zero_point == np.iinfo(info.dtype).min:
        return scores
    likely = np.exp(scores - scores.max())
    return likely / likely.sum()
