"""RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tinyswitch.compiler.fixedpoint import round_away
from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import Stage
from tinyswitch.compiler.stages.common import Unsupported

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering


def lower(state: Lowering, op: Operator) -> None:
    source = state.map(op.inputs[0])
    output = state.new_map(op.outputs[0])
    if source.channels != output.channels:
        raise Unsupported(f"{source.channels} channels in, {output.channels} out: damaged file")
    o = op.options
    rows = _nearest(source.height, output.height, o.alignCorners, o.halfPixelCenters)
    pixels = _nearest(source.width, output.width, o.alignCorners, o.halfPixelCenters)

    def needed(step: int) -> range:
        return range(int(rows[step]), int(rows[step]) + 1)

    params = {"rows": rows, "pixels": pixels}
    state.add(Stage("ts_resize", "ts_resize_params", params, [source], output, [needed]))


def _nearest(size: int, outputs: int, align_corners: bool, half_pixel: bool) -> np.ndarray:
    """Input index uint16 (outputs,) of each output index. Source: tflite ``GetNearestNeighbor``, float32."""
    if align_corners and outputs > 1:
        scale = np.float32(size - 1) / np.float32(outputs - 1)
    else:
        scale = np.float32(size) / np.float32(outputs)
    offset = np.float32(0.5 if half_pixel else 0.0)
    indices = []
    for i in range(outputs):
        place = (np.float32(i) + offset) * scale
        index = round_away(place) if align_corners else math.floor(place)
        indices.append(max(0, min(index, size - 1)))
    return np.array(indices, np.uint16)
