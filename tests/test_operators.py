"""Every operator and set of kernels against LiteRT's reference, bit for bit, on random shapes and scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models import SAME, VALID, OneOperator, activations, examples, out_size, scales, seeds, zero_points
from tinyswitch.compiler import Plan
from tinyswitch.compiler.tflite_writer import options

undilated = st.just(1)
softmax_scales = st.integers(-100, 0).map(lambda e: float(np.float32(2 ** (e / 10))))
few = examples(15)
sizes = st.integers(1, 9)
channels = st.integers(1, 11)


@st.composite
def models(draw, height=sizes, width=sizes, depth=channels, scale=scales) -> OneOperator:
    model = OneOperator(
        (1, draw(height), draw(width), draw(depth)), draw(scale), draw(zero_points), draw(seeds)
    )
    model.draw = draw
    model.shape = model.writer.shape(model.x)
    return model


@st.composite
def windows(draw, dilations=undilated) -> dict:
    return {
        "taps": (draw(st.integers(1, 7)), draw(st.integers(1, 7))),
        "stride": (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        "dilation": (draw(dilations), draw(dilations)),
        "padding": draw(st.sampled_from([SAME, VALID])),
    }


def window_output(height: int, width: int, w: dict) -> tuple[int, int]:
    shape = tuple(
        out_size(size, *(w[k][i] for k in ("taps", "stride", "dilation")), w["padding"])
        for i, size in enumerate((height, width))
    )
    assume(min(shape) >= 1)
    return shape


def window_options(kind: str, w: dict, **more):
    values = {"padding": w["padding"], "strideH": w["stride"][0], "strideW": w["stride"][1], **more}
    return options(kind, **values)


def dilations_of(w: dict) -> dict:
    return {"dilationHFactor": w["dilation"][0], "dilationWFactor": w["dilation"][1]}


def is_pointwise(w: dict) -> bool:
    return w["taps"] == (1, 1) and w["stride"] == (1, 1)


def kernels_of(plans: dict[str, Plan]) -> dict[str, list[str]]:
    return {kernels: [s.kernel for s in plan.stages] for kernels, plan in plans.items()}


@few
@given(
    models(),
    windows(st.integers(1, 2)),
    channels,
    st.booleans(),
    activations,
    scales,
    zero_points,
)
def test_conv(m, w, outputs, per_channel, activation, scale, zero_point):
    _, height, width, depth = m.shape
    oh, ow = window_output(height, width, w)
    taps = w["taps"][0] * w["taps"][1] * depth
    weights, bias = m.filter((outputs, *w["taps"], depth), 0, per_channel, taps)
    y = m.output((1, oh, ow, outputs), scale, zero_point)
    o = window_options("Conv2D", w, fusedActivationFunction=activation, **dilations_of(w))
    m.writer.op("CONV_2D", [m.x, weights, bias], [y], o)
    first = kernels_of(m.check(y))["dsp"][0]
    assert first == ("ts_pointwise_dsp" if is_pointwise(w) else "ts_conv_dsp")


@few
@given(
    models(depth=st.sampled_from([2, 4, 6])), windows(), st.integers(1, 3), activations, scales, zero_points
)
def test_grouped_conv(m, w, per_group, activation, scale, zero_point):
    _, height, width, depth = m.shape
    oh, ow = window_output(height, width, w)
    weights, bias = m.filter((2 * per_group, *w["taps"], depth // 2), 0, True, 9 * depth)
    y = m.output((1, oh, ow, 2 * per_group), scale, zero_point)
    o = window_options("Conv2D", w, fusedActivationFunction=activation, **dilations_of(w))
    m.writer.op("CONV_2D", [m.x, weights, bias], [y], o)
    m.check(y)


@few
@given(models(depth=st.integers(1, 40)), st.integers(1, 20), st.booleans(), activations, scales, zero_points)
def test_pointwise(m, outputs, per_channel, activation, scale, zero_point):
    _, height, width, depth = m.shape
    weights, bias = m.filter((outputs, 1, 1, depth), 0, per_channel, depth)
    y = m.output((1, height, width, outputs), scale, zero_point)
    w = {"padding": VALID, "stride": (1, 1)}
    o = window_options("Conv2D", w, fusedActivationFunction=activation, dilationHFactor=1, dilationWFactor=1)
    m.writer.op("CONV_2D", [m.x, weights, bias], [y], o)
    assert kernels_of(m.check(y)) == {"portable": ["ts_pointwise"], "dsp": ["ts_pointwise_dsp"]}


@few
@given(
    models(depth=st.integers(1, 35)),
    windows(st.integers(1, 2)),
    st.integers(1, 3),
    st.booleans(),
    activations,
    scales,
    zero_points,
)
def test_depthwise(m, w, multiplier, per_channel, activation, scale, zero_point):
    _, height, width, depth = m.shape
    oh, ow = window_output(height, width, w)
    outputs = depth * multiplier
    weights, bias = m.filter((1, *w["taps"], outputs), 3, per_channel, w["taps"][0] * w["taps"][1])
    y = m.output((1, oh, ow, outputs), scale, zero_point)
    o = window_options(
        "DepthwiseConv2D",
        w,
        depthMultiplier=multiplier,
        fusedActivationFunction=activation,
        **dilations_of(w),
    )
    m.writer.op("DEPTHWISE_CONV_2D", [m.x, weights, bias], [y], o)
    m.check(y)


@few
@given(
    models(),
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
    windows(),
    st.booleans(),
    scales,
    zero_points,
)
def test_pad_folds_into_convolution(m, border, w, depthwise, scale, zero_point):
    _, height, width, depth = m.shape
    top, bottom, left, right = border
    padded_shape = (height + top + bottom, width + left + right)
    w["padding"] = VALID
    oh, ow = window_output(*padded_shape, w)
    padded = m.output((1, *padded_shape, depth), m.scale, m.zero_point)
    m.writer.op("PAD", [m.x, m.int32([(0, 0), (top, bottom), (left, right), (0, 0)])], [padded])
    y = m.output((1, oh, ow, depth), scale, zero_point)
    shape = (1, *w["taps"], depth) if depthwise else (depth, *w["taps"], depth)
    weights, bias = m.filter(shape, 3 if depthwise else 0, True, 9)
    kind, more = ("DepthwiseConv2D", {"depthMultiplier": 1}) if depthwise else ("Conv2D", {})
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    m.writer.op(name, [padded, weights, bias], [y], window_options(kind, w, **more, **dilations_of(w)))
    assert not any("ts_pad" in kernels for kernels in kernels_of(m.check(y)).values())


@few
@given(
    models(),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    activations,
    scales,
    zero_points,
)
def test_dense_over_map(m, outputs, per_channel, biased, flattened, activation, scale, zero_point):
    count = int(np.prod(m.shape))
    x = m.x
    if flattened:
        x = m.output((1, count), m.scale, m.zero_point)
        m.writer.op("RESHAPE", [m.x, m.int32([1, count])], [x], options("Reshape", newShape=[1, count]))
    weights, bias = m.filter((outputs, count), 0, per_channel, count)
    y = m.output((1, outputs), scale, zero_point)
    m.writer.op(
        "FULLY_CONNECTED",
        [x, weights, bias if biased else -1],
        [y],
        options("FullyConnected", fusedActivationFunction=activation),
    )
    m.check(y)


@few
@given(models(), st.integers(1, 12), st.booleans(), scales, zero_points)
def test_dense_at_each_pixel(m, outputs, keep_dims, scale, zero_point):
    _, height, width, depth = m.shape
    weights, bias = m.filter((outputs, depth), 0, True, depth)
    shape = (1, height, width, outputs) if keep_dims else (height * width, outputs)
    y = m.output(shape, scale, zero_point)
    m.writer.op(
        "FULLY_CONNECTED", [m.x, weights, bias], [y], options("FullyConnected", keepNumDims=keep_dims)
    )
    m.check(y)


def test_dense_rounds_as_litert_near_ties():
    """Many accumulators near .5, where the ways of rounding differ."""
    m = OneOperator((1, 64), 0.0713, 3, 7)
    weights, bias = m.filter((400, 64), 0, True, 64)
    y = m.output((1, 400), 0.00931, -5)
    m.writer.op("FULLY_CONNECTED", [m.x, weights, bias], [y], options("FullyConnected"))
    m.check(y, frames=60)


@few
@given(
    models(),
    st.sampled_from(["ADD", "MUL"]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.booleans(),
    activations,
    scales,
    scales,
    zero_points,
    zero_points,
)
def test_binary_with_constant(
    m, name, repeat, swapped, activation, other_scale, scale, other_zero, zero_point
):
    shape = m.shape[1:]
    other_shape = tuple(1 if r else n for r, n in zip(repeat, shape, strict=True))
    other = m.writer.tensor(
        (1, *other_shape),
        scale=other_scale,
        zero_point=other_zero,
        data=m.rng.integers(-128, 128, other_shape),
    )
    y = m.output(m.shape, scale, zero_point)
    inputs = [other, m.x] if swapped else [m.x, other]
    kind = name.capitalize()
    m.writer.op(name, inputs, [y], options(kind, fusedActivationFunction=activation))
    m.check(y)


@few
@given(models(), st.sampled_from(["ADD", "MUL"]), activations, scales, scales, zero_points, zero_points)
def test_binary_of_two_paths(m, name, activation, pooled_scale, scale, pooled_zero, zero_point):
    """x and the mean of x over the map: axes repeat, and the mean comes late."""
    depth = m.shape[3]
    pooled = m.output((1, 1, 1, depth), pooled_scale, pooled_zero)
    m.writer.op("MEAN", [m.x, m.int32([1, 2])], [pooled], options("Reducer", keepDims=True))
    y = m.output(m.shape, scale, zero_point)
    m.writer.op(name, [m.x, pooled], [y], options(name.capitalize(), fusedActivationFunction=activation))
    m.check(y)


@few
@given(models(), st.integers(1, 3), st.booleans(), st.integers(1, 3))
def test_concatenation(m, axis, negative, count):
    flipped = m.output(m.shape, m.scale, m.zero_point)
    m.writer.op("RELU6", [m.x], [flipped])
    parts = [m.x, flipped, m.x][: count + 1]
    shape = list(m.shape)
    shape[axis] *= len(parts)
    y = m.output(tuple(shape), m.scale, m.zero_point)
    o = options("Concatenation", axis=axis - 4 if negative else axis)
    m.writer.op("CONCATENATION", parts, [y], o)
    m.check(y)


@few
@given(models(), windows(), st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]), activations)
def test_pool(m, w, name, activation):
    _, height, width, depth = m.shape
    oh, ow = window_output(height, width, w)
    y = m.output((1, oh, ow, depth), m.scale, m.zero_point)
    o = window_options(
        "Pool2D", w, filterHeight=w["taps"][0], filterWidth=w["taps"][1], fusedActivationFunction=activation
    )
    m.writer.op(name, [m.x], [y], o)
    m.check(y)


@few
@given(models(), activations)
def test_global_average_pool(m, activation):
    _, height, width, depth = m.shape
    y = m.output((1, 1, 1, depth), m.scale, m.zero_point)
    o = options(
        "Pool2D",
        padding=VALID,
        strideH=1,
        strideW=1,
        filterHeight=height,
        filterWidth=width,
        fusedActivationFunction=activation,
    )
    m.writer.op("AVERAGE_POOL_2D", [m.x], [y], o)
    assert kernels_of(m.check(y))["portable"] == ["ts_global_average"]


@few
@given(models(), st.sampled_from([(1, 2), (2, 1), (-3, -2), (1,), (2,)]), st.booleans(), scales, zero_points)
def test_mean(m, axes, keep_dims, scale, zero_point):
    reduced = {a % 4 for a in axes}
    dims = [(1 if i in reduced else n) for i, n in enumerate(m.shape) if keep_dims or i not in reduced]
    y = m.output(tuple(dims), scale, zero_point)
    m.writer.op("MEAN", [m.x, m.int32(axes)], [y], options("Reducer", keepDims=keep_dims))
    m.check(y)


@few
@given(models(), scales, zero_points)
def test_mean_of_transposed_map(m, scale, zero_point):
    """Channels first, then the mean over the last axis twice: what exporters from PyTorch write."""
    _, height, width, depth = m.shape
    turned = m.output((1, depth, height, width), m.scale, m.zero_point)
    m.writer.op("TRANSPOSE", [m.x, m.int32([0, 3, 1, 2])], [turned], options("Transpose"))
    first = m.output((1, depth, height), scale, zero_point)
    m.writer.op("MEAN", [turned, m.int32([3])], [first], options("Reducer", keepDims=False))
    y = m.output((1, depth), scale * 1.25, 3)
    m.writer.op("MEAN", [first, m.int32([2])], [y], options("Reducer", keepDims=False))
    m.check(y)


@few
@given(models(), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=3))
def test_pad(m, borders):
    shape = tuple(n + a + b for n, (a, b) in zip(m.shape[1:], borders, strict=True))
    y = m.output((1, *shape), m.scale, m.zero_point)
    m.writer.op("PAD", [m.x, m.int32([(0, 0), *borders])], [y], options("Pad"))
    m.check(y)


@few
@given(models(), st.tuples(st.integers(0, 3), st.integers(0, 3)), st.integers(-128, 127))
def test_pad_with_a_value(m, border, value):
    _, height, width, depth = m.shape
    y = m.output((1, height, width + sum(border), depth), m.scale, m.zero_point)
    fill = m.writer.tensor((1,), scale=m.scale, zero_point=m.zero_point, data=[value])
    m.writer.op("PADV2", [m.x, m.int32([(0, 0), (0, 0), border, (0, 0)]), fill], [y], options("PadV2"))
    m.check(y)


@few
@given(models(), st.permutations([0, 1, 2]))
def test_reshape(m, order):
    shape = [1, *(m.shape[1 + i] for i in order)]
    y = m.output(tuple(shape), m.scale, m.zero_point)
    m.writer.op("RESHAPE", [m.x, m.int32(shape)], [y], options("Reshape", newShape=shape))
    z = m.output(tuple(shape), m.scale, m.zero_point)
    m.writer.op("RELU", [y], [z])
    m.check(y, z)


@pytest.mark.parametrize("shape, order", [((1, 1, 5, 4), [0, 2, 1, 3]), ((1, 6, 1, 4), [0, 1, 3, 2])])
def test_transpose_of_unit_dimensions(shape, order):
    m = OneOperator(shape, 0.1, 3, 1)
    y = m.output(tuple(shape[i] for i in order), m.scale, m.zero_point)
    m.writer.op("TRANSPOSE", [m.x, m.int32(order)], [y], options("Transpose"))
    m.check(y)


@few
@given(models(), st.integers(1, 14), st.integers(1, 14), st.sampled_from(["none", "align", "half"]))
def test_resize_nearest_neighbor(m, height, width, mode):
    y = m.output((1, height, width, m.shape[3]), m.scale, m.zero_point)
    o = options("ResizeNearestNeighbor", alignCorners=mode == "align", halfPixelCenters=mode == "half")
    m.writer.op("RESIZE_NEAREST_NEIGHBOR", [m.x, m.int32([height, width])], [y], o)
    m.check(y)


@few
@given(
    models(height=st.just(2), width=st.just(2), depth=st.integers(1, 60), scale=softmax_scales),
    st.sampled_from([1.0, 0.5, 2.0]),
)
def test_softmax(m, beta):
    y = m.output(m.shape, 1 / 256, -128)
    m.writer.op("SOFTMAX", [m.x], [y], options("Softmax", beta=beta))
    m.check(y, frames=10)


@few
@given(
    st.sampled_from(["RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "HARD_SWISH", "LEAKY_RELU"]),
    scales,
    zero_points,
    scales,
    zero_points,
)
def test_functions_of_one_value(name, in_scale, in_zero, scale, zero_point):
    assume(name != "HARD_SWISH" or in_scale < 128 * scale)  # LiteRT refuses the others
    fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(name)
    m = OneOperator((1, 16, 16, 1), in_scale, in_zero, 0)
    y = m.output((1, 16, 16, 1), *(fixed or (scale, zero_point)))
    o = options("LeakyRelu", alpha=0.1) if name == "LEAKY_RELU" else None
    m.writer.op(name, [m.x], [y], o)
    m.check(y, frames=6)


@few
@given(st.booleans(), st.booleans(), scales, zero_points, scales, zero_points)
def test_quantize_between_8_bit_types(unsigned_in, unsigned_out, in_scale, in_zero, scale, zero_point):
    def side(unsigned, zero):
        return (zero + 128, np.uint8) if unsigned else (zero, np.int8)

    (in_zero, in_type), (zero_point, out_type) = side(unsigned_in, in_zero), side(unsigned_out, zero_point)
    m = OneOperator((1, 4, 4, 3), in_scale, in_zero, 0, in_type)
    y = m.output((1, 4, 4, 3), scale, zero_point, out_type)
    m.writer.op("QUANTIZE", [m.x], [y], options("Quantize"))
    m.check(y, frames=10)


def test_float_input_and_output():
    m = OneOperator((1, 4, 4, 3), 0.02, -11, 0)
    real = m.writer.tensor((1, 4, 4, 3), np.float32)
    m.writer.op("QUANTIZE", [real], [m.x], options("Quantize"))
    y = m.output((1, 4, 4, 3), 0.05, 4)
    m.writer.op("RELU", [m.x], [y])
    answer = m.writer.tensor((1, 4, 4, 3), np.float32)
    m.writer.op("DEQUANTIZE", [y], [answer], options("Dequantize"))
    m.x = real
    m.check(answer)


@few
@given(models(height=st.just(4), width=st.just(4)), scales, zero_points)
def test_float_in_between(m, scale, zero_point):
    real = m.writer.tensor(m.shape, np.float32)
    m.writer.op("DEQUANTIZE", [m.x], [real], options("Dequantize"))
    y = m.output(m.shape, scale, zero_point)
    m.writer.op("QUANTIZE", [real], [y], options("Quantize"))
    m.check(y, frames=10)


def test_several_outputs():
    m = OneOperator((1, 7, 5, 6), 0.1, 3, 1)
    pooled = m.output((1, 6), 0.1, 3)
    m.writer.op("MEAN", [m.x, m.int32([1, 2])], [pooled], options("Reducer"))
    bent = m.output((1, 7, 5, 6), 0.08, -3)
    m.writer.op("RELU", [m.x], [bent])
    m.check(pooled, bent)
