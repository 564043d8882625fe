"""MEAN over rows, pixels or both, also of a transposed map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyswitch.compiler.fixedpoint import quantize_multiplier
from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import FeatureMap, Stage
from tinyswitch.compiler.stages.common import Unsupported, same_row

ROWS, PIXELS, CHANNELS = range(3)  # axes of a feature map

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering


def lower(state: Lowering, op: Operator) -> None:
    source, axes = state.layout(op.inputs[0])
    rank = len(axes)
    reduced = {int(a) for a in state.constant(op.inputs[1], "axes", np.int32).reshape(-1)}
    if any(not -rank <= a < rank for a in reduced):
        raise Unsupported(f"axes {sorted(reduced)} of {rank}: damaged file")
    reduced = {a % rank for a in reduced}
    over = {axes[a] for a in reduced if axes[a] is not None}
    if CHANNELS in over and source.channels > 1:
        raise Unsupported("the mean over channels; rows and pixels are supported")
    kept = [None if i in reduced else axes[i] for i in range(rank) if i not in reduced or op.options.keepDims]
    rows, pixels = ROWS in over and source.height > 1, PIXELS in over and source.width > 1
    shape = (1 if rows else source.height, 1 if pixels else source.width, source.channels)
    output = state.new_map_with_layout(op.outputs[0], shape, kept)
    state.add(_stage(source, output, rows, pixels))


def _stage(source: FeatureMap, output: FeatureMap, rows: bool, pixels: bool) -> Stage:
    count = (source.height if rows else 1) * (source.width if pixels else 1)
    multiplier, shift = _multiplier(source, output, count)
    params = {
        "multiplier": multiplier,
        "shift": shift,
        "offset": source.zero_point * count,
        "over_rows": int(rows),
        "over_pixels": int(pixels),
        "zero_point": output.zero_point,
    }
    return Stage(
        "ts_mean",
        "ts_mean_params",
        params,
        [source],
        output,
        [same_row],
        accumulates=rows,
        scratch_bytes=4 * output.row_bytes,
    )


def _multiplier(source: FeatureMap, output: FeatureMap, count: int) -> tuple[int, int]:
    """(multiplier, shift) with 1 / count taken in. Source: tflite ``QuantizedMeanOrSum``."""
    multiplier, shift = quantize_multiplier(source.scale / output.scale)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra
