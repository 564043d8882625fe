"""The engine compiled for this machine, a model at a time, in this process: what kernel tests run."""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from tinyswitch.compiler import Plan, compile_model, emit

ENGINE = Path(__file__).resolve().parents[1] / "firmware" / "engine"
FLAGS = ["-std=c99", "-fPIC", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", f"-I{ENGINE}"]
SANITIZE = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]

RUNNER = """
#include "model_table.h"
/* Feeds `rows`, copies all outputs to `results`; returns bytes copied or a negative error. */
int run(const int8_t *rows, int8_t *results) {
    static ts_engine engine;
    const ts_model *m = ts_model_table[0];
    const uint32_t n = m->tensors[m->input].row_bytes;
    uint32_t bytes = 0, total = 0, row = 0;
    int error = ts_start(&engine, m, ts_arena, ts_arena_bytes);
    for (int8_t *at; error == TS_OK && (at = ts_input_row(&engine)) != NULL; row++) {
        for (uint32_t i = 0; i < n; i++) {
            at[i] = rows[row * n + i];
        }
        error = ts_run(&engine);
    }
    if (error != TS_OK || row != m->tensors[m->input].height) {
        return error != TS_OK ? error : -100;
    }
    for (uint32_t o = 0; o < m->n_outputs; o++) {
        const int8_t *from = ts_output(&engine, o, &bytes);
        for (uint32_t i = 0; i < bytes; i++) {
            results[total++] = from[i];
        }
    }
    return (int)total;
}
"""


def _cc(*arguments: str) -> None:
    done = subprocess.run(["cc", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@functools.cache
def _engine_objects() -> tuple[str, ...]:
    folder = Path(tempfile.mkdtemp(prefix="tinyswitch-engine-"))
    (folder / "runner.c").write_text(RUNNER)
    objects = []
    for source in [*sorted(ENGINE.glob("*.c")), *sorted(ENGINE.glob("*/*.c")), folder / "runner.c"]:
        objects.append(str(folder / f"{source.stem}.o"))
        _cc(*FLAGS, *SANITIZE, "-O2", "-c", str(source), "-o", objects[-1])
    return tuple(objects)


class NativeModel:
    """A compiled ``.tflite``; :meth:`run` gives every output of one frame."""

    def __init__(self, path: Path, folder: Path, kernels: str = "portable"):
        self.plan: Plan = compile_model(path, kernels)
        sources = emit([self.plan], folder / "generated")
        library = folder / f"model-{os.getpid()}-{id(self)}.so"
        _cc(*FLAGS, *SANITIZE, "-O0", "-shared", *map(str, sources), *_engine_objects(), "-o", str(library))
        self._library = ctypes.CDLL(str(library))

    def run(self, frame: np.ndarray) -> list[np.ndarray]:
        """Outputs (height, width, channels) for a frame (height, width, channels) of the input's dtype."""
        assert frame.shape == self.plan.input.shape and frame.dtype == self.plan.input.dtype
        frame = np.ascontiguousarray(frame)
        sizes = [int(np.prod(o.shape)) for o in self.plan.outputs]
        results = np.zeros(sum(sizes), np.int8)
        total = self._library.run(
            frame.ctypes.data_as(ctypes.c_void_p), results.ctypes.data_as(ctypes.c_void_p)
        )
        assert total == sum(sizes), f"engine returned {total}"
        parts = np.split(results, np.cumsum(sizes)[:-1])
        return [p.view(o.dtype).reshape(o.shape) for p, o in zip(parts, self.plan.outputs, strict=True)]
