"""Models whose weights are views of a larger model's: LiteRT's bytes, and no weights of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexm_engine import cortexm
from models import assert_equal, examples, expected_outputs
from native_engine import NativeModel
from tinyswitch.compiler import Plan, compile_model, emit
from tinyswitch.compiler.tflite_writer import TfliteWriter, options
from tinyswitch.compiler.views import find_views

SAME = 0


@dataclass(frozen=True)
class Block:
    """expand -> depthwise -> project: the first channels and the middle of the window of a larger one."""

    depth: int  # channels in and out
    width: int  # expanded channels
    taps: int
    stride: int
    size: int  # of the map

    def build(self, whole: Block, seed: int, names: bool = True) -> bytes:
        """The ``.tflite``; ``whole`` has the weights."""
        rng = np.random.default_rng(seed)
        d, w, k = whole.depth, whole.width, whole.taps
        expand, window, project = (
            rng.integers(-127, 128, shape) for shape in ((w, 1, 1, d), (1, k, k, w), (d, 1, 1, w))
        )
        first = (k - self.taps) // 2
        window = window[:, first : first + self.taps, first : first + self.taps, : self.width]
        expand, project = expand[: self.width], project[..., : self.width]
        writer = TfliteWriter()
        x = start = writer.tensor((1, self.size, self.size, self.depth), scale=0.05, zero_point=3)
        out = -(-self.size // self.stride)
        x = _convolution(
            writer, x, expand, (1, self.size, self.size, self.width), "expand" if names else "a", 1
        )
        x = _convolution(
            writer, x, window, (1, out, out, self.width), "depthwise" if names else "b", self.stride
        )
        x = _convolution(writer, x, project, (1, out, out, self.depth), "project" if names else "c", 1)
        return writer.build([start], [x])


def _convolution(
    writer: TfliteWriter, x: int, weights: np.ndarray, shape: tuple[int, ...], name: str, stride: int
) -> int:
    depthwise = name in ("depthwise", "b")
    outputs = shape[3]
    count = weights.size // outputs
    scale = np.full(outputs, 1 / (90 * np.sqrt(count)), np.float32)
    weights_tensor = writer.tensor(weights.shape, scale=scale, axis=3 if depthwise else 0, data=weights)
    bias = np.arange(outputs, dtype=np.int32) * 37 - 200
    bias_tensor = writer.tensor((outputs,), np.int32, scale=scale * np.float32(0.05), data=bias)
    y = writer.tensor(shape, scale=0.05, zero_point=-4, name=name)
    more = {"depthMultiplier": 1} if depthwise else {}
    o = options(
        "DepthwiseConv2D" if depthwise else "Conv2D",
        padding=SAME,
        strideH=stride,
        strideW=stride,
        dilationHFactor=1,
        dilationWFactor=1,
        **more,
    )
    writer.op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, weights_tensor, bias_tensor], [y], o)
    return y


@st.composite
def pairs(draw) -> tuple[Block, Block]:
    """(whole, part)"""
    depth, width = draw(st.integers(1, 12)), draw(st.integers(1, 24))
    taps, stride, size = draw(st.sampled_from([3, 5, 7])), draw(st.integers(1, 2)), draw(st.integers(3, 10))
    whole = Block(depth, width, taps, stride, size)
    smaller = draw(st.sampled_from([k for k in (3, 5, 7) if k <= taps]))
    return whole, Block(depth, draw(st.integers(1, width)), smaller, stride, size)


def write(folder: Path, whole: Block, part: Block, seed: int = 1) -> list[Path]:
    paths = [folder / "part.tflite", folder / "whole.tflite"]  # the part first: order does not matter
    for path, block in zip(paths, (part, whole), strict=True):
        path.write_bytes(block.build(whole, seed))
    return paths


def weight_tables(plans: list[Plan], folder: Path) -> list[int]:
    """Lengths of the tables of weights that are emitted."""
    text = next(p for p in emit(plans, folder / "emitted") if p.name == "models.c").read_text()
    return [len(body.split(",")) for body in re.findall(r"int8_t m\d+_w\d+\[\] = {([^}]*)}", text)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("views")


@examples(12)
@given(pairs(), st.sampled_from(["portable", "dsp"]))
def test_parts_give_the_bytes_of_litert(folder: Path, pair: tuple[Block, Block], kernels: str):
    paths = write(folder, *pair)
    plans = {path.stem: compile_model(path, kernels) for path in paths}
    assert sum(weight_tables(list(plans.values()), folder)) <= plans["whole"].weight_bytes
    frames = expected_outputs(paths[0], 2, np.random.default_rng(5))[0]
    found = NativeModel.of(plans, folder).run(frames)
    for path in paths:
        assert_equal(found[path.stem], expected_outputs(path, 2, np.random.default_rng(5))[1], path.stem)


@examples(8)
@given(pairs())
def test_parts_on_a_cortex_m7(folder: Path, pair: tuple[Block, Block]):
    part, whole = write(folder, *pair)
    frames, expected = expected_outputs(part, 2, np.random.default_rng(5))
    _, found = cortexm("cortex-m7").run(part, frames, beside=[whole])
    assert_equal(found, expected, "part")


@pytest.mark.parametrize("kernels", ["portable", "dsp"])
def test_other_bytes_or_other_names_are_not_shared(tmp_path: Path, kernels: str):
    whole, part = Block(4, 16, 5, 1, 6), Block(4, 8, 3, 1, 6)
    plans = [compile_model(path, kernels) for path in write(tmp_path, whole, part)]
    assert len(find_views(plans)) == 3
    (tmp_path / "part.tflite").write_bytes(part.build(whole, seed=2))
    other = compile_model(tmp_path / "part.tflite", kernels)
    assert not find_views([other, plans[1]])
    assert sum(weight_tables([other, plans[1]], tmp_path)) == other.weight_bytes + plans[1].weight_bytes
    (tmp_path / "part.tflite").write_bytes(part.build(whole, seed=1, names=False))
    assert not find_views([compile_model(tmp_path / "part.tflite", kernels), plans[1]])
