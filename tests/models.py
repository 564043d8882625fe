"""Random one-operator models for property tests, and the comparison with LiteRT's reference kernels."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from native_engine import NativeModel
from tinyswitch.compiler import Plan
from tinyswitch.compiler.tflite_writer import TfliteWriter
from tinyswitch.evaluate.litert import LiteRtModel

EXAMPLES = "TINYSWITCH_EXAMPLES"

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
ACTIVATIONS = [
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
    schema.ActivationFunctionType.RELU_N1_TO_1,
]
activations = st.sampled_from(ACTIVATIONS)
zero_points = st.one_of(st.integers(-128, 127), st.sampled_from([-128, 0, 127]))
scales = st.integers(-130, 10).map(lambda e: float(np.float32(2 ** (e / 10))))  # 1e-4..2
seeds = st.integers(0, 2**32 - 1)


def examples(count: int) -> settings:
    """``count`` examples of a property, always the same ones.

    For deep runs the environment variable TINYSWITCH_EXAMPLES says by how much to multiply that; the examples
    are other ones then, at every run, and what fails is tried first the next time.
    """
    times = int(os.environ.get(EXAMPLES, "0"))
    return settings(
        max_examples=count * max(times, 1),
        derandomize=times == 0,
        suppress_health_check=list(HealthCheck),
    )


class OneOperator:
    """A model under construction, its input ``x``, and the random numbers for its constants."""

    def __init__(self, shape: tuple[int, ...], scale: float, zero_point: int, seed: int, dtype=np.int8):
        self.writer = TfliteWriter()
        self.rng = np.random.default_rng(seed)
        self.scale = np.float32(scale)
        self.zero_point = zero_point
        self.x = self.writer.tensor(shape, dtype, scale=scale, zero_point=zero_point)

    def int32(self, values) -> int:
        data = np.asarray(values, np.int32)
        return self.writer.tensor(data.shape, np.int32, data=data)

    def filter(self, shape: tuple[int, ...], axis: int, per_channel: bool, taps: int) -> tuple[int, int]:
        """(filter, bias) with scales that keep accumulators of ``taps`` products in a useful range."""
        outputs = shape[axis]
        count = outputs if per_channel else 1
        scale = (self.rng.uniform(0.2, 3.0, count) / (127 * np.sqrt(taps))).astype(np.float32)
        scale *= self.rng.choice([1, 1, 1, -1], count)  # some converters write negative scales
        weights = self.rng.integers(-128, 128, shape)
        across = [1] * len(shape)
        across[axis] = count
        weights = np.where(scale.reshape(across) < 0, np.maximum(weights, -127), weights)  # as converters do
        bias = self.rng.integers(-20000, 20000, outputs)
        return (
            self.writer.tensor(shape, scale=scale, axis=axis, data=weights),
            self.writer.tensor((outputs,), np.int32, scale=scale * self.scale, data=bias),
        )

    def output(self, shape: tuple[int, ...], scale: float, zero_point: int, dtype=np.int8) -> int:
        return self.writer.tensor(shape, dtype, scale=scale, zero_point=zero_point)

    def build(self, *outputs: int) -> bytes:
        return self.writer.build([self.x], list(outputs))

    def check(self, *outputs: int, frames: int = 4) -> dict[str, Plan]:
        return check(self.build(*outputs), frames, self.rng)


def check(contents: bytes, frames: int = 4, rng: np.random.Generator | None = None) -> dict[str, Plan]:
    """Asserts that every set of kernels equals LiteRT's reference kernels bit for bit.

    On two extreme and ``frames`` random frames. Returns the plans by set of kernels.
    """
    rng = rng or np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(contents)
        ours = NativeModel(path, Path(folder))
        shown, expected = expected_outputs(path, frames, rng)
        for kernels, found in ours.run(shown).items():
            assert_equal(found, expected, kernels)
        return ours.plans


def expected_outputs(
    path: Path, count: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """(frames, what LiteRT's reference kernels make of each): two extreme ones and ``count`` random ones."""
    reference = LiteRtModel(path)
    frames = list(_frames(reference.input.shape, reference.input.dtype, count, rng))
    return frames, [reference.run(f) for f in frames]


def assert_equal(found: list[list[np.ndarray]], expected: list[list[np.ndarray]], what: str) -> None:
    for got, wanted in zip(found, expected, strict=True):
        for output, right in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(output, right, err_msg=what)


def _frames(shape: tuple[int, int, int], dtype: np.dtype, count: int, rng: np.random.Generator):
    limits = np.iinfo(dtype)
    yield np.full(shape, limits.min, dtype)
    yield np.full(shape, limits.max, dtype)
    for _ in range(count):
        yield rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def out_size(size: int, taps: int, stride: int, dilation: int, padding: int) -> int:
    if padding == SAME:
        return -(-size // stride)
    return (size - (taps - 1) * dilation - 1) // stride + 1
