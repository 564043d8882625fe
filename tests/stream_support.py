"""Streams compiled for this machine with sanitizers, beside LiteRT on each window: what stream tests run."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from native_engine import FLAGS, KERNELS, RUNNER, SANITIZE, compiler, engine_sources, objects
from tinyswitch.compiler import Stream, compile_model, compile_stream, emit
from tinyswitch.evaluate.litert import LiteRtModel


def check_stream(contents: bytes, hops: int, rng: np.random.Generator, every: int = 1) -> dict[str, Stream]:
    """Asserts that answers in a stream of ``hops`` windows more than one equal LiteRT's on these windows.

    Every ``every``-th answer and the last ones, with every set of kernels, in a stream of random rows.
    Returns the streams by set of kernels; empty if the model has none.
    """
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.tflite"
        path.write_bytes(contents)
        streams = {k: compile_stream(path, k) for k in KERNELS}
        if None in streams.values():
            return {}
        plans = [compile_model(path, k) for k in KERNELS]
        sources = emit(plans, Path(name) / "generated", streams=list(streams.values()))
        tables = Path(name) / "tables.so"
        compiler("cc", *FLAGS, *SANITIZE, "-fPIC", "-shared", *map(str, sources), "-o", str(tables))
        first = streams[KERNELS[0]]
        rows = random_rows(path, first.rows + hops * first.hop + first.hop - 1, rng)
        found = _run(tables, rows, len(plans), hops + 1)
        windows = sorted({*range(0, hops + 1, every), *range(max(hops - 20, 0), hops + 1)})
        expected = answers(path, rows, first, windows)
        for kernels, ours in zip(KERNELS, found, strict=True):
            np.testing.assert_array_equal(ours[windows], expected, err_msg=kernels)
        return streams


def random_rows(path: Path, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, width, channels) int8: rows of a model's input."""
    _, width, channels = LiteRtModel(path).input.shape
    return rng.integers(-128, 128, (count, width, channels)).astype(np.int8)


def answers(path: Path, rows: np.ndarray, stream: Stream, windows: Sequence[int]) -> np.ndarray:
    """What LiteRT's reference kernels make of each window, (windows, bytes) int8."""
    reference = LiteRtModel(path)
    cut = [rows[w * stream.hop :][: stream.rows] for w in windows]
    return np.array([reference.run(window)[0].reshape(-1) for window in cut])


def _run(tables: Path, rows: np.ndarray, streams: int, windows: int) -> np.ndarray:
    """(streams, windows, bytes) int8."""
    done = subprocess.run(
        [_program(), tables, str(len(rows))],
        input=rows.tobytes(),
        capture_output=True,
        env={**os.environ, "ASAN_OPTIONS": "abort_on_error=0"},
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return np.frombuffer(done.stdout, np.int8).reshape(streams, windows, -1)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    """For the whole run of the tests."""
    return tempfile.TemporaryDirectory(prefix="tinyswitch-stream-")


@functools.cache
def _program() -> str:
    folder = Path(_folder().name)
    sources = [*engine_sources(), RUNNER / "stream_main.c"]
    built = objects(sources, folder, "cc", *FLAGS, *SANITIZE, "-g", "-O2")
    compiler("cc", *SANITIZE, "-rdynamic", *built, "-ldl", "-o", str(folder / "stream_main"))
    return str(folder / "stream_main")
