"""DEPTHWISE_CONV_2D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import Stage, Stride, Weights
from tinyswitch.compiler.stages.common import Unsupported, axis, requant_params, window_params
from tinyswitch.compiler.stages.conv import conv_bias, filter_scales
from tinyswitch.compiler.stages.pad import folded_pad

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering


def lower(state: Lowering, op: Operator) -> None:
    tensor, rows, columns = folded_pad(state, op)
    source = state.map(tensor)
    output = state.new_map(op.outputs[0])
    weights = state.constant(op.inputs[1], "filter", np.int8)
    multiplier = output.channels // source.channels
    if weights.ndim != 4 or weights.shape[0] != 1 or weights.shape[3] != output.channels:
        raise Unsupported(f"filter {weights.shape} doesn't fit {output.channels} channels out: damaged file")
    if multiplier * source.channels != output.channels:
        raise Unsupported(f"{source.channels} channels in, {output.channels} out: damaged file")
    o = op.options
    y = axis(source.height, output.height, weights.shape[1], o.strideH, o.dilationHFactor, o.padding, rows)
    x = axis(source.width, output.width, weights.shape[2], o.strideW, o.dilationWFactor, o.padding, columns)
    scales = filter_scales(op.inputs[1], output.channels, 3)
    held = Weights(weights[0], taps=(0, 1), strided=(0, 1))
    params = {
        "weights": held,
        "row_bytes": Stride(held, 0),
        "tap_bytes": Stride(held, 1),
        "requant": requant_params(conv_bias(state, op), scales, source, output, o.fusedActivationFunction),
        "window": window_params(y, x),
        "input_zero_point": source.zero_point,
        "multiplier": multiplier,
    }
    macs = weights.size * output.height * output.width
    state.add(Stage("ts_depthwise", "ts_depthwise_params", params, [source], output, [y.rows()], macs=macs))
