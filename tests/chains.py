"""Random chains convolution -> depthwise -> pointwise, where the DSP kernels' row layouts occur.

Each convolution has a *regime*: what its channels' multipliers and biases are like, see :data:`REGIMES`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from models import SAME, VALID, OneOperator, activations, out_size, seeds
from tinyswitch.compiler import Plan, variants
from tinyswitch.compiler.plan import Stage
from tinyswitch.compiler.tflite_writer import options

# Of every other channel; what is left is usual. Whether the DSP kernels can take it.
REGIMES = {
    "usual": True,
    "large": True,  # multipliers from 1/2 on: shifts to the left
    "dead": True,  # scale 0, and multipliers so small that all is 0
    "bias at the limit": True,
    "bias beyond the limit": False,
    "bias near 2^30": False,
    "shift beyond the limit": False,  # to the right, and the output isn't 0
    "left shift beyond the limit": False,
    "weight -128 under a negative scale": False,
}
regimes = st.one_of(st.sampled_from(["usual", "large", "dead"]), st.sampled_from(list(REGIMES)))
mostly_usual = st.one_of(st.just("usual"), st.just("usual"), regimes)
extreme = st.one_of(st.sampled_from([-128, 127, 0]), st.integers(-128, 127))


@dataclass(frozen=True)
class Layer:
    """One convolution of a chain."""

    kind: str  # pointwise | conv | depthwise
    outputs: int  # channels
    taps: int
    stride: int
    pad: tuple[int, int, int, int] | int  # top, bottom, left, right of an operator PAD; or SAME or VALID
    activation: int
    zero_point: int
    regime: str


@st.composite
def layers(draw, kind: str, outputs: int, height: int, width: int) -> Layer:
    """A layer whose output has at least one pixel."""
    if kind == "pointwise":
        taps, stride, pad = 1, 1, VALID
    else:
        taps, stride = draw(st.sampled_from([3, 5, 7])), draw(st.integers(1, 2))
        some = st.integers(0, taps - 1)
        pads = st.tuples(some, st.integers(0, taps + 2), some, st.integers(0, taps + 2))
        pad = draw(st.one_of(st.just(SAME), st.just(VALID), pads))
        top, bottom, left, right = (0, 0, 0, 0) if isinstance(pad, int) else pad
        if pad != SAME and min(height + top + bottom, width + left + right) < taps:
            pad = SAME
    return Layer(kind, outputs, taps, stride, pad, draw(activations), draw(extreme), draw(mostly_usual))


def output_size(layer: Layer, height: int, width: int) -> tuple[int, int]:
    top, bottom, left, right = (0, 0, 0, 0) if isinstance(layer.pad, int) else layer.pad
    padding = SAME if layer.pad == SAME else VALID
    return (
        out_size(height + top + bottom, layer.taps, layer.stride, 1, padding),
        out_size(width + left + right, layer.taps, layer.stride, 1, padding),
    )


@dataclass(frozen=True)
class Chain:
    """What a model is built from; its repr is enough to build it again."""

    shape: tuple[int, int, int]  # of the input
    zero_point: int
    layers: tuple[Layer, ...]
    residual: bool
    seed: int

    def build(self) -> bytes:
        """The ``.tflite``."""
        model = _Model((1, *self.shape), 0.05, self.zero_point, self.seed)
        x = model.x
        for layer in self.layers:
            before = x
            x = model.convolution(x, layer)
        if self.residual:
            # the depthwise stage's input is read once, so the shortcut begins at the model's input
            x = model.add(model.x, x) if model.writer.shape(model.x) == model.writer.shape(x) else x
            x = model.add(x, before) if model.writer.shape(before) == model.writer.shape(x) else x
        return model.build(x)

    def assert_kernels(self, plan: Plan) -> None:
        """The DSP kernels are used wherever they can be."""
        found = [s for s in plan.stages if s.kernel.startswith(("ts_conv", "ts_pointwise", "ts_depthwise"))]
        before = None
        for layer, stage in zip(self.layers, found, strict=True):
            fits = REGIMES[layer.regime]
            if layer.kind == "depthwise":
                fits = fits and before.kernel in ("ts_conv_dsp", "ts_pointwise_dsp")
                fits = fits and (stage.kernel.endswith("_dsp") or not _far_outside(stage, layer))
            assert stage.kernel == (f"ts_{layer.kind}_dsp" if fits else f"ts_{layer.kind}")
            if stage.kernel == "ts_depthwise_dsp":
                assert before.params["planar"]["used"] and stage.params["planar"]["used"]
            before = stage


def _far_outside(stage: Stage, layer: Layer) -> bool:
    """Whether a window lies below the map altogether, or is further to the right than a byte counts."""
    if isinstance(layer.pad, int):
        return False
    source, output = stage.inputs[0], stage.output
    behind = (output.width - 1) * layer.stride + layer.taps - layer.pad[2] - source.width
    return (output.height - 1) * layer.stride - layer.pad[0] >= source.height or behind > 255


@st.composite
def chains(draw) -> Chain:
    """Maps of 1..20 x 1..20 pixels, 1..40 channels."""
    side = st.one_of(st.integers(1, 8), st.integers(1, 20))
    depth = st.one_of(st.integers(1, 9), st.integers(1, 40))
    height, width, inputs = shape = (draw(side), draw(side), draw(depth))
    residual = draw(st.booleans())
    kinds = ["pointwise", draw(st.sampled_from(["depthwise", "depthwise", "depthwise", "conv"])), "pointwise"]
    if draw(st.booleans()):
        kinds[0] = "conv"
    middle = draw(depth)
    outputs = [middle, middle, inputs if residual else draw(depth)]
    found = []
    for kind, channels in zip(kinds, outputs, strict=True):
        found.append(draw(layers(kind, channels, height, width)))
        height, width = output_size(found[-1], height, width)
    return Chain(shape, draw(extreme), tuple(found), residual, draw(seeds))


class _Model(OneOperator):
    """A chain while it grows; every map has a scale of 0.05, so an activation clamps narrower than int8."""

    def convolution(self, x: int, layer: Layer) -> int:
        _, height, width, depth = self.writer.shape(x)
        zero_point = self.zero_points.get(x, self.zero_point)
        oh, ow = output_size(layer, height, width)
        padding = layer.pad if isinstance(layer.pad, int) else VALID
        if not isinstance(layer.pad, int):
            x = self.pad(x, layer.pad, zero_point)
        weights, bias = self.constants(layer, depth, zero_point)
        y = self.map((1, oh, ow, layer.outputs), layer.zero_point)
        more = {"depthMultiplier": 1} if layer.kind == "depthwise" else {}
        o = options(
            "DepthwiseConv2D" if layer.kind == "depthwise" else "Conv2D",
            padding=padding,
            strideH=layer.stride,
            strideW=layer.stride,
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=layer.activation,
            **more,
        )
        name = "DEPTHWISE_CONV_2D" if layer.kind == "depthwise" else "CONV_2D"
        self.writer.op(name, [x, weights, bias], [y], o)
        return y

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.zero_points: dict[int, int] = {}

    def map(self, shape: tuple[int, ...], zero_point: int) -> int:
        y = self.output(shape, self.scale, zero_point)
        self.zero_points[y] = zero_point
        return y

    def pad(self, x: int, pad: tuple[int, int, int, int], zero_point: int) -> int:
        top, bottom, left, right = pad
        _, height, width, depth = self.writer.shape(x)
        y = self.map((1, height + top + bottom, width + left + right, depth), zero_point)
        borders = self.int32([(0, 0), (top, bottom), (left, right), (0, 0)])
        self.writer.op("PAD", [x, borders], [y], options("Pad"))
        return y

    def add(self, a: int, b: int) -> int:
        y = self.map(self.writer.shape(a), int(self.rng.integers(-128, 128)))
        self.writer.op("ADD", [a, b], [y], options("Add"))
        return y

    def constants(self, layer: Layer, depth: int, zero_point: int) -> tuple[int, int]:
        """(filter, bias) for the layer's regime."""
        depthwise = layer.kind == "depthwise"
        count = layer.taps**2 * (1 if depthwise else depth)
        matrix, multiplier, bias = _channels(self.rng, layer.regime, layer.outputs, count, zero_point)
        weights = matrix.reshape(layer.outputs, layer.taps, layer.taps, -1)
        if depthwise:
            weights = weights.transpose(3, 1, 2, 0)
        scale = multiplier.astype(np.float32)  # the maps' scales are all the same
        return (
            self.writer.tensor(weights.shape, scale=scale, axis=3 if depthwise else 0, data=weights),
            self.writer.tensor(bias.shape, np.int32, scale=scale * self.scale, data=bias),
        )


def _channels(
    rng: np.random.Generator, regime: str, outputs: int, count: int, zero_point: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(weights (outputs, count), multiplier float64 and bias int64, one an output)."""
    weights = rng.integers(-127, 128, (outputs, count))
    usual = 60 / (5400 * np.sqrt(count))  # outputs of some 60 steps
    multiplier = rng.uniform(0.3, 3, outputs) * usual * rng.choice([1, 1, 1, -1], outputs)
    bias = rng.integers(-20000, 20000, outputs)
    weights[(multiplier > 0) & (rng.integers(0, 2, outputs) == 0), 0] = -128
    for o in range(0, outputs, 2):
        _CHANGE[regime](rng, weights[o], multiplier[o : o + 1], bias[o : o + 1], zero_point)
    return weights, multiplier, bias


def _sparse(rng: np.random.Generator, weights: np.ndarray) -> None:
    """Few and small, so that a multiplier above 1 doesn't saturate every output."""
    weights[:] = 0
    weights[rng.integers(0, len(weights), 2)] = rng.integers(-2, 3, 2)


def _usual(rng, weights, multiplier, bias, zero_point) -> None:
    pass


def _large(rng, weights, multiplier, bias, zero_point) -> None:
    _sparse(rng, weights)
    multiplier[:] = 2 ** rng.uniform(-1, variants.LARGEST_SHIFT - 0.01) * rng.choice([1, -1])
    bias[:] = rng.integers(-100, 100)


def _dead(rng, weights, multiplier, bias, zero_point) -> None:
    multiplier[:] = rng.choice([0, 1e-12, 2**-31, -(2**-30)])


def _folded(weights, bias, zero_point: int, folded: int) -> None:
    """The bias that is ``folded`` once the input's zero point is folded in."""
    bias[:] = folded + zero_point * int(weights.sum())


def _at_the_limit(rng, weights, multiplier, bias, zero_point) -> None:
    _folded(weights, bias, zero_point, (variants.LARGEST_BIAS - 1) * int(rng.choice([1, -1])))
    multiplier[:] = 2.0 ** (variants.SMALLEST_SHIFT - 0.5)


def _beyond_the_limit(rng, weights, multiplier, bias, zero_point) -> None:
    _folded(weights, bias, zero_point, variants.LARGEST_BIAS * int(rng.choice([1, -1])))
    multiplier[:] = 2.0 ** (variants.SMALLEST_SHIFT - 0.5)


def _near_2_30(rng, weights, multiplier, bias, zero_point) -> None:
    bias[:] = ((1 << 30) - int(rng.integers(-1000, 1000))) * rng.choice([1, -1])
    multiplier[:] = 2.0 ** rng.uniform(-25, -23)


def _shift_beyond(rng, weights, multiplier, bias, zero_point) -> None:
    weights[:] = 0
    _folded(weights, bias, zero_point, int(0.99 * variants.LARGEST_BIAS) * int(rng.choice([1, -1])))
    multiplier[:] = 2.0 ** (variants.SMALLEST_SHIFT - 1.01)


def _left_shift_beyond(rng, weights, multiplier, bias, zero_point) -> None:
    _sparse(rng, weights)
    multiplier[:] = 2.0 ** (variants.LARGEST_SHIFT + 0.5)
    bias[:] = rng.integers(-2, 3)


def _minus_128(rng, weights, multiplier, bias, zero_point) -> None:
    weights[0] = -128
    multiplier[:] = -np.abs(multiplier)


_CHANGE = dict(
    zip(
        REGIMES,
        [
            _usual,
            _large,
            _dead,
            _at_the_limit,
            _beyond_the_limit,
            _near_2_30,
            _shift_beyond,
            _left_shift_beyond,
            _minus_128,
        ],
        strict=True,
    )
)
