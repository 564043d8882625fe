"""What several lowerings share: windows, activation ranges, requantisation tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinyswitch.compiler.fixedpoint import INT8_MAX, INT8_MIN, quantize_multiplier, round_away
from tinyswitch.compiler.plan import FeatureMap, Rows

ACTIVATIONS = {
    schema.ActivationFunctionType.NONE: (None, None),
    schema.ActivationFunctionType.RELU: (0.0, None),
    schema.ActivationFunctionType.RELU6: (0.0, 6.0),
    schema.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
}


class Unsupported(Exception):
    """A model asks for something the engine lacks; the text says what, the caller adds file and operator."""


def activation_range(function: int, output: FeatureMap) -> tuple[int, int]:
    """(low, high) an int8 output is clamped to. Source: tflite ``CalculateActivationRangeQuantized``."""
    if function not in ACTIVATIONS:
        raise Unsupported(f"fused activation {function}; NONE, RELU, RELU6 and RELU_N1_TO_1 are supported")

    def quantise(real: float) -> int:
        return output.zero_point + round_away(np.float32(real) / np.float32(output.scale))

    low, high = ACTIVATIONS[function]
    low_q = INT8_MIN if low is None else max(INT8_MIN, quantise(low))
    high_q = INT8_MAX if high is None else min(INT8_MAX, quantise(high))
    return min(low_q, INT8_MAX), max(high_q, INT8_MIN)


@dataclass(frozen=True)
class Axis:
    """A window along one axis; padding behind follows from ``outputs``."""

    size: int  # of the input
    outputs: int
    taps: int
    stride: int
    dilation: int
    pad: int  # in front

    def rows(self) -> Rows:
        """Rows inside the map that output row ``step`` reads."""

        def needed(step: int) -> range:
            first = step * self.stride - self.pad
            last = first + (self.taps - 1) * self.dilation
            return range(max(first, 0), min(last, self.size - 1) + 1)

        return needed


def axis(
    size: int, outputs: int, taps: int, stride: int, dilation: int, padding: int, padded: tuple[int, int]
) -> Axis:
    """The window that a padding mode means, ``padded`` pixels of an explicit PAD before and behind included.

    Source: tflite ``ComputePaddingWithOffset`` and ``ComputeOutSize``.
    """
    if min(taps, stride, dilation) < 1:
        raise Unsupported(f"{taps} taps, stride {stride}, dilation {dilation}: each must be at least 1")
    reach = (taps - 1) * dilation + 1
    whole = size + sum(padded)
    if padding == schema.Padding.SAME:
        expected = -(-whole // stride)
        pad = max(0, (expected - 1) * stride + reach - whole) // 2
    else:
        expected = (whole - reach) // stride + 1
        pad = 0
    if outputs != expected:
        raise Unsupported(
            f"the output is {outputs} long where {expected} follow from {whole} in: damaged file"
        )
    return Axis(size, outputs, taps, stride, dilation, pad + padded[0])


def window_params(y: Axis, x: Axis) -> dict[str, int]:
    """struct ts_window."""
    return {
        "height": y.taps,
        "width": x.taps,
        "stride_y": y.stride,
        "stride_x": x.stride,
        "dilation_y": y.dilation,
        "dilation_x": x.dilation,
        "pad_top": y.pad,
        "pad_left": x.pad,
    }


def multipliers(scales: np.ndarray, source: FeatureMap, output: FeatureMap) -> list[tuple[int, int]]:
    """(multiplier, shift) of each channel. Source: tflite ``PopulateConvolutionQuantizationParams``."""
    return [quantize_multiplier(source.scale * float(scale) / output.scale) for scale in scales]


def requant_params(
    bias: np.ndarray, scales: np.ndarray, source: FeatureMap, output: FeatureMap, activation: int
) -> dict:
    """struct ts_requant; ``bias`` int32 and ``scales`` float32, one a channel each."""
    low, high = activation_range(activation, output)
    pairs = multipliers(scales, source, output)
    return {
        "bias": bias.astype(np.int32),
        "multiplier": np.array([m for m, _ in pairs], np.int32),
        "shift": np.array([s for _, s in pairs], np.int8),
        "zero_point": output.zero_point,
        "low": low,
        "high": high,
    }


def fold_zero_point(bias: np.ndarray, weights: np.ndarray, zero_point: int) -> np.ndarray:
    """Bias int32 (outputs,) that makes sum(w * (x - zero_point)) + bias equal sum(w * x) + the result.

    weights: (outputs, ...). Wraps as the kernel's int32 accumulator does.
    """
    sums = weights.reshape(len(weights), -1).astype(np.int64).sum(axis=1)
    return (bias.astype(np.int64) - zero_point * sums).astype(np.int32)


def same_row(step: int) -> range:
    return range(step, step + 1)


def first_row(_step: int) -> range:
    return range(1)
