"""Whole graphs: segments, residuals, memory plans; and what the compiler says of files it cannot take."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from models import SAME, VALID, OneOperator, assert_equal, examples, expected_outputs
from native_engine import NativeModel
from tinyswitch.compiler import Plan, compile_model
from tinyswitch.compiler.plan import INPUT
from tinyswitch.compiler.tflite_writer import options
from tinyswitch.errors import TinyswitchError

ROOT = Path(__file__).resolve().parents[1]
DATA = os.environ.get("TINYSWITCH_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="TINYSWITCH_DATA is unset: published models not at hand")


class Net(OneOperator):
    """Grows a small net of mobile blocks."""

    def __init__(self, size: int, seed: int):
        super().__init__((1, size, size + 2, 3), 0.05, -7, seed)

    def conv(self, x: int, outputs: int, taps: int, stride: int = 1, depthwise: bool = False) -> int:
        _, height, width, depth = self.writer.shape(x)
        shape = (1, taps, taps, outputs) if depthwise else (outputs, taps, taps, depth)
        axis, kind = (3, "DepthwiseConv2D") if depthwise else (0, "Conv2D")
        weights, bias = self.filter(shape, axis, True, taps * taps * (1 if depthwise else depth))
        y = self.output((1, -(-height // stride), -(-width // stride), outputs), 0.05, -7)
        o = options(kind, padding=SAME, strideH=stride, strideW=stride, dilationHFactor=1, dilationWFactor=1)
        if depthwise:
            o.depthMultiplier = 1
        self.writer.op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, weights, bias], [y], o)
        return y

    def block(self, x: int, taps: int, stride: int, outputs: int) -> int:
        depth = self.writer.shape(x)[3]
        y = self.conv(self.conv(x, 3 * depth, 1), 3 * depth, taps, stride, depthwise=True)
        y = self.conv(y, outputs, 1)
        return self.add(x, y) if stride == 1 and outputs == depth else y

    def add(self, a: int, b: int) -> int:
        y = self.output(self.writer.shape(a), 0.06, 5)
        self.writer.op("ADD", [a, b], [y], options("Add"))
        return y

    def mean(self, x: int) -> int:
        y = self.output((1, self.writer.shape(x)[3]), 0.05, 0)
        self.writer.op("MEAN", [x, self.int32([1, 2])], [y], options("Reducer"))
        return y


blocks = st.lists(
    st.tuples(st.sampled_from([3, 5, 7]), st.sampled_from([1, 1, 2]), st.sampled_from([4, 4, 6])),
    min_size=1,
    max_size=5,
)
few = examples(10)


@few
@given(st.integers(5, 24), st.integers(0, 1000), blocks, st.booleans())
def test_nets_of_mobile_blocks(size, seed, parts, two_heads):
    net = Net(size, seed)
    x = net.conv(net.x, 4, 3, 2)
    middle = x
    for taps, stride, outputs in parts:
        x = net.block(x, taps, stride, outputs)
    outputs = [net.mean(x), net.mean(middle)] if two_heads else [net.mean(x)]
    check_plans(net.check(*outputs, frames=2))


@few
@given(st.integers(4, 16), st.integers(0, 1000))
def test_a_map_read_by_near_and_far_stages(size, seed):
    """The far one needs it whole long after; branches of different depth meet again."""
    net = Net(size, seed)
    a = net.conv(net.x, 5, 3)
    b = net.conv(net.conv(net.conv(a, 5, 5), 5, 3), 5, 7, depthwise=True)
    c = net.conv(a, 5, 1)
    d = net.add(net.add(a, b), net.add(c, a))
    y = net.output((*net.writer.shape(d)[:3], 10), 0.06, 5)
    net.writer.op("CONCATENATION", [d, net.add(d, d)], [y], options("Concatenation", axis=3))
    check_plans(net.check(y, frames=2))


def check_plans(plans: dict[str, Plan]) -> None:
    for plan in plans.values():
        check_plan(plan)


def check_plan(plan: Plan) -> None:
    """No two maps share a byte at a time when both hold rows that are still to be read."""
    owners: dict[int, tuple] = {}
    steps = dict.fromkeys(plan.stages, 0)
    made = {m: 0 for m in plan.maps}

    def write(m, row):
        place = plan.placements[m]
        start = place.offset + row % place.slots * m.row_bytes
        assert start + m.row_bytes <= plan.arena_bytes
        for byte in range(start, start + m.row_bytes):
            owners[byte] = (m, row)

    def read(m, row):
        place = plan.placements[m]
        start = place.offset + row % place.slots * m.row_bytes
        assert all(owners[byte] == (m, row) for byte in range(start, start + m.row_bytes))

    for entry in plan.schedule:
        if entry == INPUT:
            write(plan.input_map, made[plan.input_map])
            made[plan.input_map] += 1
            continue
        stage = plan.stages[entry]
        for source, reads in zip(stage.inputs, stage.reads, strict=True):
            for row in reads(steps[stage]) if source.constant is None else ():
                read(source, row)
        row = stage.row_made(steps[stage])
        steps[stage] += 1
        if row is not None:
            write(stage.output, row)
    assert all(steps[s] == s.steps for s in plan.stages)
    for output in plan.output_maps:
        for row in range(output.height):
            read(output, row)


@needs_data
@pytest.mark.parametrize(
    "name, arena",
    [
        ("mcunet/mcunet-320kb-1mb_imagenet.tflite", 66_000),
        ("mcunet/mcunet-5fps_vww.tflite", 22_000),
        ("micro-speech/micro_speech_quantized.tflite", 3_000),
    ],
)
def test_published_models(name, arena, tmp_path):
    path = Path(DATA) / name
    ours = NativeModel(path, tmp_path)
    assert all(plan.arena_bytes <= arena for plan in ours.plans.values())
    frames, expected = expected_outputs(path, 1, np.random.default_rng(5))
    for kernels, found in ours.run(frames[2:]).items():
        assert_equal(found, expected[2:], kernels)


# -- what is refused --


def refused(tmp_path: Path, model: OneOperator, *outputs: int) -> str:
    path = tmp_path / "net.tflite"
    path.write_bytes(model.writer.build([model.x], list(outputs)))
    with pytest.raises(TinyswitchError) as caught:
        compile_model(path)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text
    return text


def test_unknown_operator_is_named(tmp_path):
    m = OneOperator((1, 4, 4, 3), 0.1, 0, 0)
    y = m.output((1, 4, 4, 3), 0.1, 0)
    m.writer.op("RELU", [m.x], [y])
    z = m.output((1, 4, 4, 3), 0.1, 0)
    m.writer.op("FLOOR", [y], [z])
    assert "operator 1 (FLOOR) is not supported" in refused(tmp_path, m, z)


def test_float_model(tmp_path):
    m = OneOperator((1, 4, 4, 3), 0.1, 0, 0)
    m.x = m.writer.tensor((1, 4, 4, 3), np.float32)
    y = m.writer.tensor((1, 4, 4, 3), np.float32)
    m.writer.op("RELU", [m.x], [y])
    text = refused(tmp_path, m, y)
    assert "operator 0 (RELU)" in text and "quantise the model to full int8" in text


def test_transpose_that_moves_data(tmp_path):
    m = OneOperator((1, 4, 5, 3), 0.1, 0, 0)
    y = m.output((1, 3, 4, 5), 0.1, 0)
    m.writer.op("TRANSPOSE", [m.x, m.int32([0, 3, 1, 2])], [y], options("Transpose"))
    z = m.output((1, 3, 4, 5), 0.1, 0)
    m.writer.op("RELU", [y], [z])
    assert "only unit dimensions may move" in refused(tmp_path, m, z)


def test_filter_that_is_not_constant(tmp_path):
    m = OneOperator((1, 4, 4, 3), 0.1, 0, 0)
    y = m.output((1, 3), 0.1, 0)
    m.writer.op("FULLY_CONNECTED", [m.x, m.x, -1], [y], options("FullyConnected"))
    assert "its filter must be constant" in refused(tmp_path, m, y)


def test_wrong_output_size(tmp_path):
    net = Net(8, 0)
    weights, bias = net.filter((4, 3, 3, 3), 0, True, 27)
    y = net.output((1, 8, 8, 4), 0.1, 0)
    o = options("Conv2D", padding=VALID, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    net.writer.op("CONV_2D", [net.x, weights, bias], [y], o)
    assert "operator 0 (CONV_2D)" in refused(tmp_path, net, y)


@pytest.mark.parametrize("contents", [b"", b"TFL3", b"\0\0\0\0TFL3" + b"\xff" * 60, b"x" * 1000])
def test_not_a_tflite(contents, tmp_path):
    path = tmp_path / "bad.tflite"
    path.write_bytes(contents)
    with pytest.raises(TinyswitchError, match=r"bad\.tflite"):
        compile_model(path)


def test_missing_file(tmp_path):
    with pytest.raises(TinyswitchError, match="No such file"):
        compile_model(tmp_path / "none.tflite")


def small_net() -> bytes:
    net = Net(6, 3)
    return net.writer.build([net.x], [net.mean(net.block(net.conv(net.x, 4, 3), 3, 1, 4))])


@settings(max_examples=150, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8), st.booleans()
)
def test_mutated_files_never_crash(tmp_path_factory, changes, truncate):
    contents = bytearray(small_net())
    for position, value in changes:
        contents[position % len(contents)] = value
    if truncate:
        del contents[changes[0][0] % len(contents) :]
    path = tmp_path_factory.mktemp("mutated") / "net.tflite"
    path.write_bytes(contents)
    try:
        plan = compile_model(path)
    except TinyswitchError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert plan.stages and plan.arena_bytes < 1 << 20


def test_fused_activation_the_engine_lacks(tmp_path):
    m = OneOperator((1, 4, 4, 3), 0.1, 0, 0)
    y = m.output((1, 4, 4, 3), 0.1, 0)
    o = options("Add", fusedActivationFunction=schema.ActivationFunctionType.TANH)
    m.writer.op("ADD", [m.x, m.x], [y], o)
    assert "operator 0 (ADD): fused activation" in refused(tmp_path, m, y)
