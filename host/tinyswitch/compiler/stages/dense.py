"""FULLY_CONNECTED, over a whole map or at each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import FeatureMap, Stage, Weights
from tinyswitch.compiler.stages.common import Unsupported, activation_range, fold_zero_point, same_row
from tinyswitch.compiler.stages.conv import conv_bias, filter_scales

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering


def lower(state: Lowering, op: Operator) -> None:
    weights = state.constant(op.inputs[1], "filter", np.int8)
    if weights.ndim != 2:
        raise Unsupported(f"its filter has {weights.ndim} axes, not 2: damaged file")
    if op.options.weightsFormat != 0:
        raise Unsupported("shuffled weights")
    outputs, depth = weights.shape
    source = _source(state, op, depth)
    pixels = source.height * source.row_bytes // depth
    shape = op.outputs[0].shape
    if shape[-1] != outputs or np.prod(shape) != pixels * outputs:
        raise Unsupported(f"filter {weights.shape} doesn't make {shape}: damaged file")
    made = (source.height, source.width, outputs) if pixels > 1 else (1, 1, outputs)
    output = state.new_map_as(op.outputs[0], made)
    state.add(_stage(source, output, weights, conv_bias(state, op), op, per_pixel=pixels > 1))


def _source(state: Lowering, op: Operator, depth: int) -> FeatureMap:
    """The input: any shape if it is one long vector, else pixels of ``depth`` channels."""
    flat = state.flat(op.inputs[0])
    if flat.height * flat.row_bytes == depth:
        return flat
    source = state.map(op.inputs[0])
    if source.channels != depth:
        raise Unsupported(f"{source.channels} values at a pixel for a filter of {depth}")
    return source


def _stage(
    source: FeatureMap,
    output: FeatureMap,
    weights: np.ndarray,
    bias: np.ndarray,
    op: Operator,
    per_pixel: bool,
) -> Stage:
    outputs = len(weights)
    low, high = activation_range(op.options.fusedActivationFunction, output)
    scales = filter_scales(op.inputs[1], outputs, 0)
    # tflite fully_connected.cc: real multiplier of each output, in double precision
    real = source.scale * scales.astype(np.float64) / output.scale
    per_channel = len(op.inputs[1].scales) > 1
    params = {
        "weights": Weights(weights),
        "bias": fold_zero_point(bias, weights, source.zero_point),
        "scale": real if per_channel else real[:1],
        "per_channel": int(per_channel),
        "per_pixel": int(per_pixel),
        "zero_point": output.zero_point,
        "low": low,
        "high": high,
    }
    by_rows = not per_pixel and source.height > 1
    macs = weights.size * (output.height * output.width if per_pixel else 1)
    return Stage(
        "ts_dense",
        "ts_dense_params",
        params,
        [source],
        output,
        [same_row],
        accumulates=by_rows,
        scratch_bytes=4 * outputs if by_rows else 0,
        macs=macs,
    )
