"""SOFTMAX over channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyswitch.compiler.fixedpoint import exp_on_negative, multiply_q31, quantize_multiplier
from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import Stage
from tinyswitch.compiler.stages.common import Unsupported, same_row

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering

INTEGER_BITS = 5  # of the scaled differences; tflite activations.cc, kScaledDiffIntegerBits


def lower(state: Lowering, op: Operator) -> None:
    source = state.map(op.inputs[0])
    output = state.new_map(op.outputs[0])
    if (output.scale, output.zero_point) != (1 / 256, -128):
        raise Unsupported("its output must have scale 1/256 and zero point -128")
    if source.shape != output.shape:
        raise Unsupported("input and output differ in shape: damaged file")
    params = {"exp": _exponentials(float(np.float32(op.options.beta)), source.scale)}
    state.add(Stage("ts_softmax", "ts_softmax_params", params, [source], output, [same_row]))


def _exponentials(beta: float, scale: float) -> np.ndarray:
    """exp(-d * beta * scale) as Q0.31 for d = 0..255; 0 where tflite takes the term for nothing.

    Source: tflite ``PreprocessSoftmaxScaling`` and ``CalculateInputRadius``.
    """
    real = min(beta * scale * (1 << (31 - INTEGER_BITS)), (1 << 31) - 1.0)
    multiplier, shift = quantize_multiplier(real)
    if shift < 0:
        raise Unsupported(f"input scale {scale} is too small for tflite's softmax")
    radius = ((1 << INTEGER_BITS) - 1) * (1 << (31 - INTEGER_BITS)) / (1 << shift)
    table = np.zeros(256, np.int32)
    for d in range(256):
        if d <= int(radius):
            scaled = multiply_q31(-d << shift, multiplier)
            table[d] = exp_on_negative(scaled, INTEGER_BITS)
    return table
