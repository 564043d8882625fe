"""Streaming inference: each answer in a stream equals LiteRT's on that window; which models have it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given

from models import ACTIVATIONS, SAME, OneOperator, examples
from native_engine import ENGINE, FLAGS
from stream_nets import Layer, Net, nets
from stream_program import measure
from stream_support import check_stream
from tinyswitch.compiler import compile_model, compile_stream, emit
from tinyswitch.compiler.plan import INPUT
from tinyswitch.compiler.tflite_writer import options
from virtual_programs import needs_gcc

MODELS = sorted((Path(__file__).resolve().parents[1] / "models").glob("keyword*.tflite"))
DATA = os.environ.get("TINYSWITCH_DATA")
few = examples(20)


def layer(kind: str, outputs: int, taps: int = 1, stride: int = 1) -> Layer:
    return Layer(kind, outputs, (taps, taps), (stride, stride), 1, (0, 0), ACTIVATIONS[0])


# The shape of the project's keyword nets, smaller.
KEYWORD = Net(
    (25, 14, 1),
    (layer("conv", 4, 5, 2), layer("block", 6, 3, 2), layer("depthwise", 0, 3), layer("pointwise", 8)),
    "mean_dense_softmax",
    1,
)


@few
@given(nets)
def test_random_nets(net):
    contents, pace = net.build()
    streams = check_stream(contents, 40, np.random.default_rng(net.seed))
    assume(streams)
    assert all(s.hop == pace for s in streams.values())


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_keyword_nets(model):
    streams = check_stream(model.read_bytes(), 60, np.random.default_rng(1))
    for kernels, stream in streams.items():
        assert (stream.rows, stream.hop) == (49, 4)
        assert 6 * stream.macs < compile_model(model, kernels).macs


def test_counters_never_run_over():
    """More rows than 16 bits count."""
    check_stream(KEYWORD.build()[0], 70_000 // 4, np.random.default_rng(2), every=97)


@needs_gcc
def test_instructions_on_the_virtual_board(tmp_path):
    """Answers there are LiteRT's too."""
    _, stream, cost = measure(written(tmp_path, KEYWORD.build()[0]), tmp_path)
    assert stream.hop == 4 and cost.first > cost.whole * 0.9
    assert cost.answer < cost.streamed < cost.whole / 3
    assert cost.largest_row < cost.streamed


def test_only_new_rows_are_computed(tmp_path):
    stream = compile_stream(written(tmp_path, KEYWORD.build()[0]))
    rings = [(m.width, m.channels, stream.body.placements[m].slots) for m in stream.body.maps]
    assert rings == [(14, 1, 5), (5, 4, 1), (5, 6, 3), (2, 6, 1), (2, 6, 3), (1, 6, 1), (1, 8, 3)]
    again = stream.body.schedule[stream.loop :]
    assert again.count(INPUT) == stream.hop == 4
    assert [again.count(i) for i in range(len(stream.body.stages))] == [2, 2, 1, 1, 1, 1]


def test_tables_of_a_stream_share_the_model_s_weights(tmp_path):
    path = written(tmp_path, KEYWORD.build()[0])
    for kernels in ("portable", "dsp"):
        folder = tmp_path / kernels
        plan, stream = compile_model(path, kernels), compile_stream(path, kernels)
        emit([plan, plan], folder, streams=[stream, None])
        text = (folder / "models.c").read_text()
        assert "m0_w" in text and "m0_body_w" not in text and "m0_tail_w" not in text
        streams = (folder / "streams.c").read_text()
        assert "&m0_stream,\n    NULL,\n}" in streams
        assert (
            f"ts_arena[{max(plan.arena_bytes, stream.arena_bytes)}]" in (folder / "model_table.c").read_text()
        )
        subprocess.run(["cc", *FLAGS, "-fsyntax-only", f"-I{ENGINE}", *folder.glob("*.c")], check=True)


def test_without_streams_nothing_is_added(tmp_path):
    emit([compile_model(written(tmp_path, KEYWORD.build()[0]))], tmp_path / "generated")
    assert sorted(p.name for p in (tmp_path / "generated").glob("*.c")) == ["model_table.c", "models.c"]


# -- which models have no streaming form --


class Refused(OneOperator):
    def __init__(self):
        super().__init__((1, 20, 6, 2), 0.05, 0, 3)

    def conv(self, x: int, padding: int, rows: int) -> int:
        weights, bias = self.filter((4, 3, 3, 2), 0, True, 18)
        width = 6 if padding == SAME else 4
        y = self.output((1, rows, width, 4), 0.05, 0)
        o = options("Conv2D", padding=padding, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
        self.writer.op("CONV_2D", [x, weights, bias], [y], o)
        return y

    def mean(self, x: int) -> int:
        y = self.output((1, self.writer.shape(x)[3]), 0.05, 0)
        self.writer.op("MEAN", [x, self.int32([1, 2])], [y], options("Reducer"))
        return y


def written(folder: Path, contents: bytes) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(contents)
    return path


def has_stream(folder: Path, model: OneOperator, *outputs: int) -> bool:
    return compile_stream(written(folder, model.build(*outputs))) is not None


def test_padding_in_time(tmp_path):
    m = Refused()
    assert not has_stream(tmp_path, m, m.mean(m.conv(m.x, SAME, 20)))


def test_rows_padded_by_an_operator(tmp_path):
    m = Refused()
    padded = m.output((1, 21, 6, 2), 0.05, 0)
    borders = m.int32([(0, 0), (0, 1), (0, 0), (0, 0)])
    m.writer.op("PAD", [m.x, borders], [padded], options("Pad"))
    assert not has_stream(tmp_path, m, m.mean(m.conv(padded, 1, 19)))


def test_the_same_without_padding(tmp_path):
    m = Refused()
    assert has_stream(tmp_path, m, m.mean(m.conv(m.x, 1, 18)))


def test_a_map_scaled_by_its_own_mean(tmp_path):
    """The body ends in front of the mean: only the convolution streams."""
    m = Refused()
    x = m.conv(m.x, 1, 18)
    mean = m.output((1, 1, 1, 4), 0.05, 0)
    m.writer.op("MEAN", [x, m.int32([1, 2])], [mean], options("Reducer", keepDims=True))
    y = m.output((1, 18, 4, 4), 0.05, 0)
    m.writer.op("MUL", [x, mean], [y], options("Mul"))
    stream = compile_stream(written(tmp_path, m.build(m.mean(y))))
    assert [s.kernel for s in stream.body.stages] == ["ts_conv"]
    assert [s.kernel for s in stream.tail.stages] == ["ts_mean", "ts_mul", "ts_mean"]


def test_two_outputs(tmp_path):
    m = Refused()
    x = m.conv(m.x, 1, 18)
    assert not has_stream(tmp_path, m, m.mean(x), m.mean(m.x))


def test_one_that_saves_nothing(tmp_path):
    m = Refused()
    weights, bias = m.filter((4, 240), 0, True, 240)
    y = m.output((1, 4), 0.05, 0)
    m.writer.op("FULLY_CONNECTED", [m.x, weights, bias], [y], options("FullyConnected"))
    assert not has_stream(tmp_path, m, y)


@pytest.mark.skipif(not DATA, reason="TINYSWITCH_DATA is unset: published models not at hand")
@pytest.mark.parametrize("kernels", ["portable", "dsp"])
def test_micro_speech_pads_time(kernels):
    model = Path(DATA) / "micro-speech" / "micro_speech_quantized.tflite"
    assert compile_stream(model, kernels) is None
