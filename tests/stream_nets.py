"""Random nets that make their rows without padding in time, for stream tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from models import ACTIVATIONS, SAME, VALID, OneOperator, activations, out_size, seeds
from tinyswitch.compiler.tflite_writer import options


@dataclass(frozen=True)
class Layer:
    """What a net gets next, as far as its map is large enough. A kind ignores what it has no use for."""

    kind: str
    outputs: int  # channels
    taps: tuple[int, int]
    stride: tuple[int, int]
    dilation: int  # of rows
    sides: tuple[int, int]  # pixels of padding, left and right
    activation: int


@dataclass(frozen=True)
class Net:
    """What a model is built from; its repr is enough to build it again."""

    shape: tuple[int, int, int]  # of the input
    layers: tuple[Layer, ...]
    head: str
    seed: int

    def build(self) -> tuple[bytes, int]:
        """The ``.tflite``, and its input rows for one of the map in front of the head."""
        model = _Model((1, *self.shape), 0.05, -7, self.seed)
        x = model.x
        for layer in self.layers:
            x = getattr(model, layer.kind)(x, layer)
        return model.build(getattr(model, self.head)(x)), model.pace


class _Model(OneOperator):
    pace = 1

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.zero_points = {self.x: self.zero_point}

    def map(self, *shape: int, zero_point: int | None = None) -> int:
        zero_point = int(self.rng.integers(-20, 20)) if zero_point is None else zero_point
        y = self.output((1, *shape), 0.05, zero_point)
        self.zero_points[y] = zero_point
        return y

    def _window(self, x: int, layer: Layer) -> tuple[int, int, int, int]:
        """(taps of rows, dilation, output's rows, pixels) of what fits, and counts the stride."""
        _, height, width, _ = self.writer.shape(x)
        taps = min(layer.taps[0], height)
        dilation = layer.dilation if (taps - 1) * layer.dilation < height else 1
        self.pace *= layer.stride[0]
        return (
            taps,
            dilation,
            out_size(height, taps, layer.stride[0], dilation, VALID),
            out_size(width, min(layer.taps[1], width), layer.stride[1], 1, VALID),
        )

    def conv(self, x: int, layer: Layer, depthwise: bool = False, zero_point: int | None = None) -> int:
        depth = self.writer.shape(x)[3]
        taps, dilation, height, width = self._window(x, layer)
        across = min(layer.taps[1], self.writer.shape(x)[2])
        outputs = depth if depthwise else layer.outputs
        shape = (1, taps, across, depth) if depthwise else (outputs, taps, across, depth)
        weights, bias = self.filter(shape, 3 if depthwise else 0, True, taps * across * shape[3])
        y = self.map(height, width, outputs, zero_point=zero_point)
        o = options(
            "DepthwiseConv2D" if depthwise else "Conv2D",
            padding=VALID,
            strideH=layer.stride[0],
            strideW=layer.stride[1],
            dilationHFactor=dilation,
            dilationWFactor=1,
            fusedActivationFunction=layer.activation,
            **({"depthMultiplier": 1} if depthwise else {}),
        )
        self.writer.op("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, weights, bias], [y], o)
        return y

    def depthwise(self, x: int, layer: Layer) -> int:
        return self.conv(x, layer, depthwise=True)

    def pointwise(self, x: int, layer: Layer, zero_point: int | None = None) -> int:
        return self.conv(x, replace(layer, taps=(1, 1), stride=(1, 1), dilation=1), zero_point=zero_point)

    def block(self, x: int, layer: Layer) -> int:
        """What the DSP kernels hand planar and paired rows to each other in."""
        size = 3 if min(self.writer.shape(x)[1:3]) >= 3 else 1
        square = replace(layer, taps=(size, size), stride=(layer.stride[0],) * 2, dilation=1)
        return self.pointwise(self.depthwise(self.pointwise(x, layer), square), layer)

    def pool(self, x: int, layer: Layer) -> int:
        taps, _, height, width = self._window(x, replace(layer, dilation=1))
        y = self.map(height, width, self.writer.shape(x)[3], zero_point=self.zero_points[x])
        o = options(
            "Pool2D",
            padding=VALID,
            strideH=layer.stride[0],
            strideW=layer.stride[1],
            filterHeight=taps,
            filterWidth=min(layer.taps[1], self.writer.shape(x)[2]),
        )
        self.writer.op("MAX_POOL_2D" if layer.outputs % 2 else "AVERAGE_POOL_2D", [x], [y], o)
        return y

    def pad(self, x: int, layer: Layer) -> int:
        """Pixels, not rows; a convolution behind takes it in."""
        _, height, width, depth = self.writer.shape(x)
        y = self.map(height, width + sum(layer.sides), depth, zero_point=self.zero_points[x])
        borders = self.int32([(0, 0), (0, 0), layer.sides, (0, 0)])
        self.writer.op("PAD", [x, borders], [y], options("Pad"))
        return y

    def relu(self, x: int, layer: Layer) -> int:
        return self._alike(x, "RELU6", [x])

    def add(self, x: int, layer: Layer) -> int:
        """Of two branches."""
        a, b = self.pointwise(x, layer), self.pointwise(x, layer)
        return self._alike(a, "ADD", [a, b], options("Add"))

    def factors(self, x: int, layer: Layer) -> int:
        """A constant for each channel."""
        values = self.rng.integers(-128, 128, (1, 1, 1, self.writer.shape(x)[3]))
        constant = self.writer.tensor(values.shape, scale=0.02, zero_point=3, data=values)
        return self._alike(x, "MUL", [x, constant], options("Mul"))

    def _alike(self, x: int, name: str, inputs: list[int], o: Any = None) -> int:
        y = self.map(*self.writer.shape(x)[1:])
        self.writer.op(name, inputs, [y], o)
        return y

    def concat(self, x: int, layer: Layer) -> int:
        """A branch beside what it comes from."""
        _, height, width, depth = self.writer.shape(x)
        branch = self.pointwise(x, layer, zero_point=self.zero_points[x])
        y = self.map(height, width, depth + layer.outputs, zero_point=self.zero_points[x])
        self.writer.op("CONCATENATION", [x, branch], [y], options("Concatenation", axis=3))
        return y

    # -- heads --

    def mean(self, x: int) -> int:
        y = self.output((1, self.writer.shape(x)[3]), 0.05, 0)
        self.writer.op("MEAN", [x, self.int32([1, 2])], [y], options("Reducer"))
        return y

    def mean_dense_softmax(self, x: int) -> int:
        x = self.mean(x)
        depth = self.writer.shape(x)[1]
        weights, bias = self.filter((5, depth), 0, True, depth)
        scores, y = self.output((1, 5), 0.05, 3), self.output((1, 5), 1 / 256, -128)
        self.writer.op("FULLY_CONNECTED", [x, weights, bias], [scores], options("FullyConnected"))
        self.writer.op("SOFTMAX", [scores], [y], options("Softmax", beta=1.0))
        return y

    def dense(self, x: int) -> int:
        """Over all rows."""
        count = int(np.prod(self.writer.shape(x)))
        weights, bias = self.filter((4, count), 0, True, count)
        y = self.output((1, 4), 0.05, 3)
        self.writer.op("FULLY_CONNECTED", [x, weights, bias], [y], options("FullyConnected"))
        return y

    def padded(self, x: int) -> int:
        """A convolution that pads time, so it can't be in the body, and what follows it neither."""
        _, height, width, depth = self.writer.shape(x)
        weights, bias = self.filter((2, 3, 3, depth), 0, True, 9 * depth)
        y = self.map(height, width, 2)
        o = options("Conv2D", padding=SAME, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
        self.writer.op("CONV_2D", [x, weights, bias], [y], o)
        return self.mean(self.pointwise(y, WIDE))

    def nothing(self, x: int) -> int:
        """The answer is the window's part of the map."""
        return x


WIDE = Layer("pointwise", 3, (1, 1), (1, 1), 1, (0, 0), ACTIVATIONS[0])
WINDOWED = ["conv", "depthwise", "block", "pool"]
OTHERS = ["pointwise", "pad", "relu", "add", "factors", "concat"]
HEADS = ["mean", "mean_dense_softmax", "dense", "padded", "nothing"]
layers = st.builds(
    Layer,
    st.one_of(st.sampled_from(WINDOWED), st.sampled_from(WINDOWED + OTHERS)),
    st.integers(1, 9),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.sampled_from([1, 1, 2, 3]), st.integers(1, 2)),
    st.integers(1, 3),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    activations,
)
nets = st.builds(
    Net,
    st.tuples(st.integers(16, 40), st.integers(3, 9), st.integers(1, 4)),
    st.lists(layers, min_size=1, max_size=5).map(tuple),
    st.sampled_from(HEADS),
    seeds,
)
