"""What LiteRT answers to many frames, computed on all cores and remembered."""

from __future__ import annotations

import base64
import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import load_frame, to_model_input
from tinyswitch.evaluate.journal import Journal
from tinyswitch.evaluate.litert import LiteRtModel, litert_errors
from tinyswitch.evaluate.workers import Workers
from tinyswitch.tensor import TensorInfo

ENGINE = f"LiteRT {version('ai-edge-litert')} reference kernels"

Source = Path | np.ndarray  # an image file, or a frame in the model's input type


def encode(outputs: Sequence[np.ndarray]) -> list[str]:
    """The bytes of 8-bit outputs in base64, as they stand in ``results.jsonl``."""
    return [base64.b64encode(output.tobytes()).decode() for output in outputs]


def decode(text: str, info: TensorInfo) -> np.ndarray:
    """The inverse of ``encode`` for one output, (h, w, c)."""
    return np.frombuffer(base64.b64decode(text), info.dtype).reshape(info.shape)


def digest(values: np.ndarray) -> str:
    """Identifies the content of a frame, or of samples."""
    return hashlib.sha256(values.tobytes()).hexdigest()[:32]


class Reference:
    """Worker processes that run one model under LiteRT, and a cache of their answers. A context manager.

    The cache is ``cache_folder/`` + a file for each LiteRT version and model content; an answer is found
    there by the content of the frame, so that no frame is computed twice, by whatever command.
    ``input`` and ``outputs`` describe the model's boundary. Raises TinyswitchError for a model that LiteRT
    refuses or crashes on: nothing but the workers ever loads it.
    """

    def __init__(self, model: Path, cache_folder: Path, workers: int | None = None):
        self._workers = Workers(workers or os.cpu_count() or 1, model, _start_worker, model)
        self.input, self.outputs = self._workers.result(self._workers.submit(_boundary))
        self._sizes = [4 * math.ceil(math.prod(info.shape) / 3) for info in self.outputs]
        content = hashlib.sha256(model.read_bytes()).hexdigest()[:16]
        name = f"{version('ai-edge-litert')}-{content}.jsonl"
        self._journal = Journal(cache_folder / name, shared=True)
        self._known = {str(r.get("frame")): r["outputs"] for r in self._journal.read() if self._valid(r)}
        self._futures: dict[str, Future[list[str]]] = {}

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.close()
        with suppress(TinyswitchError):  # a full disk; the cache can do without
            for key, future in self._futures.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    self._remember(key, future.result())
        self._journal.__exit__()

    def digests(self, sources: Sequence[Source], progress: Callable[[], None]) -> list[str]:
        """Content of each frame, in order. TinyswitchError names the first file that is no image."""
        futures = [self._workers.submit(_digest, source) for source in sources]
        found = []
        for future in futures:
            found.append(self._workers.result(future))
            progress()
        return found

    def start(self, sources: Sequence[Source], digests: Sequence[str], progress: Callable[[], None]) -> None:
        """Begins to answer frames; ``progress`` is called (from a thread) once for each answer."""
        for source, key in zip(sources, digests, strict=True):
            if key not in self._futures:
                self._futures[key] = self._known_future(key) or self._workers.submit(_answer, source)
            self._futures[key].add_done_callback(lambda _: progress())

    def answer(self, key: str) -> list[str]:
        """``encode``d outputs for the started frame with this digest; waits for them."""
        answer = self._workers.result(self._futures[key])
        self._remember(key, answer)
        return answer

    def _valid(self, record: dict[str, Any]) -> bool:
        outputs = record.get("outputs")
        return isinstance(outputs, list) and [len(text) for text in outputs] == self._sizes

    def _known_future(self, key: str) -> Future[list[str]] | None:
        if key not in self._known:
            return None
        future: Future[list[str]] = Future()
        future.set_result(self._known[key])
        return future

    def _remember(self, key: str, outputs: list[str]) -> None:
        if key not in self._known:
            self._known[key] = outputs
            self._journal.append({"frame": key, "outputs": outputs})


_path: Path  # of the model of this worker process


def _start_worker(model: Path) -> None:
    global _path
    os.nice(5)  # the board's process comes first
    _path = model


@cache
def _model() -> LiteRtModel:
    with litert_errors(_path):
        return LiteRtModel(_path)


def _boundary() -> tuple[TensorInfo, list[TensorInfo]]:
    return _model().input, _model().outputs


def _frame(source: Source) -> np.ndarray:
    if isinstance(source, np.ndarray):
        return source
    return to_model_input(load_frame(source, _model().input.shape), _model().input)


def _digest(source: Source) -> str:
    return digest(_frame(source))


def _answer(source: Source) -> list[str]:
    model, frame = _model(), _frame(source)
    with litert_errors(_path):
        return encode(model.run(frame))
