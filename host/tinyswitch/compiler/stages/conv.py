"""CONV_2D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyswitch.compiler.graph import Operator, Tensor
from tinyswitch.compiler.plan import Stage, Weights
from tinyswitch.compiler.stages.common import Unsupported, axis, requant_params, window_params
from tinyswitch.compiler.stages.pad import folded_pad
from tinyswitch.compiler.stages.pointwise import is_pointwise, pointwise_stage

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering


def lower(state: Lowering, op: Operator) -> None:
    tensor, rows, columns = folded_pad(state, op)
    source = state.map(tensor)
    output = state.new_map(op.outputs[0])
    weights = state.constant(op.inputs[1], "filter", np.int8)
    if weights.ndim != 4:
        raise Unsupported(f"its filter has {weights.ndim} axes, not 4: damaged file")
    outputs, height, width, depth = weights.shape
    groups = source.channels // depth
    if outputs != output.channels or groups * depth != source.channels or outputs % groups != 0:
        raise Unsupported(f"filter {weights.shape} doesn't fit {source.channels} channels in: damaged file")
    o = op.options
    y = axis(source.height, output.height, height, o.strideH, o.dilationHFactor, o.padding, rows)
    x = axis(source.width, output.width, width, o.strideW, o.dilationWFactor, o.padding, columns)
    bias, scales = conv_bias(state, op), filter_scales(op.inputs[1], outputs, 0)
    activation = o.fusedActivationFunction
    if is_pointwise(y, x, groups):
        matrix = weights.reshape(outputs, depth)
        state.add(pointwise_stage(source, output, matrix, bias, scales, activation))
        return
    params = {
        "weights": Weights(weights),
        "requant": requant_params(bias, scales, source, output, activation),
        "window": window_params(y, x),
        "input_zero_point": source.zero_point,
        "groups": groups,
    }
    macs = weights.size * output.height * output.width
    state.add(Stage("ts_conv", "ts_conv_params", params, [source], output, [y.rows()], macs=macs))


def conv_bias(state: Lowering, op: Operator) -> np.ndarray:
    """Bias int32 (channels out,); zeros if it is left out."""
    outputs = int(op.outputs[0].shape[-1])
    if len(op.inputs) < 3 or op.inputs[2] is None:
        return np.zeros(outputs, np.int32)
    bias = state.constant(op.inputs[2], "bias", np.int32).reshape(-1)
    if len(bias) != outputs:
        raise Unsupported(f"its bias has {len(bias)} values for {outputs} outputs: damaged file")
    return bias


def filter_scales(filter_tensor: Tensor, outputs: int, axis: int) -> np.ndarray:
    """Scales float32 (outputs,) of a symmetric filter, per tensor or per channel along ``axis``."""
    scales = filter_tensor.scales
    if np.any(filter_tensor.zero_points != 0):
        raise Unsupported("its filter has a zero point; symmetric int8 filters are supported")
    if len(scales) == 1:
        return np.repeat(scales, outputs)
    if len(scales) != outputs or filter_tensor.axis != axis:
        raise Unsupported(f"its filter has {len(scales)} scales for {outputs} outputs: damaged file")
    return scales
