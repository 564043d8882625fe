"""CONV_2D with one tap: a matrix product per pixel."""

from __future__ import annotations

import numpy as np

from tinyswitch.compiler.plan import FeatureMap, Stage, Stride, Weights
from tinyswitch.compiler.stages.common import Axis, fold_zero_point, requant_params, same_row


def is_pointwise(y: Axis, x: Axis, groups: int) -> bool:
    return groups == 1 and all(a.taps == 1 and a.stride == 1 and a.pad == 0 for a in (y, x))


def pointwise_stage(
    source: FeatureMap,
    output: FeatureMap,
    weights: np.ndarray,
    bias: np.ndarray,
    scales: np.ndarray,
    activation: int,
) -> Stage:
    """weights: int8 (outputs, inputs)."""
    folded = fold_zero_point(bias, weights, source.zero_point)
    held = Weights(weights, strided=(0,))
    params = {
        "weights": held,
        "row_bytes": Stride(held, 0),
        "requant": requant_params(folded, scales, source, output, activation),
    }
    macs = weights.size * output.height * output.width
    return Stage("ts_pointwise", "ts_pointwise_params", params, [source], output, [same_row], macs=macs)
