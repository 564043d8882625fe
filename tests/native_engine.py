"""The engine compiled for this machine with sanitizers, in a process of its own: what kernel tests run."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tinyswitch.compiler import Plan, compile_model, emit

TESTS = Path(__file__).resolve().parent
RUNNER = TESTS / "engine_runner"
ENGINE = TESTS.parent / "firmware" / "engine"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
FLAGS = ["-std=c99", *WARNINGS, "-ffp-contract=off", f"-I{ENGINE}", f"-I{RUNNER}"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
KERNELS = ("portable", "dsp")

Outputs = list[np.ndarray]  # of a frame: one (height, width, channels) an output


class NativeModel:
    """A ``.tflite`` compiled with one or several sets of kernels.

    An access outside the arena or a table, and undefined behaviour, fail the test with a sanitizer's report.
    """

    def __init__(self, path: Path, folder: Path, kernels: Sequence[str] = KERNELS):
        self._load({k: compile_model(path, k) for k in kernels}, folder)

    @classmethod
    def of(cls, plans: dict[str, Plan], folder: Path) -> NativeModel:
        """Several plans in one set of tables; their inputs and outputs have the same shapes."""
        model = cls.__new__(cls)
        model._load(plans, folder)
        return model

    def _load(self, plans: dict[str, Plan], folder: Path) -> None:
        self.plans = plans
        self._tables = folder / "tables.so"
        sources = emit(list(self.plans.values()), folder / "generated")
        compiler("cc", *FLAGS, *SANITIZE, "-fPIC", "-shared", *map(str, sources), "-o", str(self._tables))

    def run(self, frames: Sequence[np.ndarray]) -> dict[str, list[Outputs]]:
        """By set of kernels the outputs of each frame, (height, width, channels) of the input's dtype."""
        plan = next(iter(self.plans.values()))
        done = subprocess.run(
            [_program(), self._tables, str(len(frames))],
            input=as_bytes(frames, plan),
            capture_output=True,
            env={**os.environ, "ASAN_OPTIONS": "abort_on_error=0"},
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        parts = split_outputs(done.stdout, plan, len(self.plans) * len(frames))
        n = len(frames)
        return {k: parts[i * n : (i + 1) * n] for i, k in enumerate(self.plans)}


def as_bytes(frames: Sequence[np.ndarray], plan: Plan) -> bytes:
    """What the runner reads."""
    assert all(f.shape == plan.input.shape and f.dtype == plan.input.dtype for f in frames)
    return b"".join(f.tobytes() for f in frames)


def split_outputs(data: bytes, plan: Plan, runs: int) -> list[Outputs]:
    """What the runner writes in ``runs`` runs, one after the other."""
    sizes = [int(np.prod(o.shape)) for o in plan.outputs]
    assert len(data) == runs * sum(sizes), f"{len(data)} bytes of results; {runs} x {sum(sizes)} expected"
    rows = np.frombuffer(data, np.int8).reshape(runs, sum(sizes))
    return [
        [
            part.view(o.dtype).reshape(o.shape)
            for part, o in zip(np.split(row, np.cumsum(sizes)[:-1]), plan.outputs, strict=True)
        ]
        for row in rows
    ]


def compiler(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def engine_sources() -> list[Path]:
    return [*sorted(ENGINE.glob("*.c")), *sorted(ENGINE.glob("*/*.c")), RUNNER / "run.c"]


def objects(sources: Sequence[Path], folder: Path, *command: str) -> list[str]:
    """Compiles each source with ``command`` in ``folder``, two at a time."""

    def one(source: Path) -> str:
        target = str(folder / f"{source.stem}.o")
        compiler(*command, "-c", str(source), "-o", target)
        return target

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, sources))


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    """For the whole run of the tests."""
    return tempfile.TemporaryDirectory(prefix="tinyswitch-native-")


@functools.cache
def _program() -> str:
    folder = Path(_folder().name)
    sources = [*engine_sources(), RUNNER / "main.c"]
    built = objects(sources, folder, "cc", *FLAGS, *SANITIZE, "-g", "-O2")
    compiler("cc", *SANITIZE, "-rdynamic", *built, "-ldl", "-o", str(folder / "main"))
    return str(folder / "main")
