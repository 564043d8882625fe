"""PAD with the zero point; folded into a convolution behind it where that means the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinyswitch.compiler.graph import Operator, Tensor
from tinyswitch.compiler.plan import Rows, Stage
from tinyswitch.compiler.stages.common import Unsupported

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering

Border = tuple[int, int]  # before, behind
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def lower(state: Lowering, op: Operator) -> None:
    if _folds(state, op):
        return
    source = state.map(op.inputs[0])
    output = state.new_map(op.outputs[0])
    rows, columns, channels = _borders(state, op)
    sizes = [(source.height, rows), (source.width, columns), (source.channels, channels)]
    expected = tuple(size + sum(border) for size, border in sizes)
    if expected != output.shape:
        raise Unsupported(f"the output isn't {expected}: damaged file")
    params = {"top": rows[0], "left": columns[0], "before": channels[0], "value": _value(state, op)}
    state.add(Stage("ts_pad", "ts_pad_params", params, [source], output, [_rows(rows[0], source.height)]))


def _rows(top: int, height: int) -> Rows:
    def needed(step: int) -> range:
        row = step - top
        return range(row, row + 1) if 0 <= row < height else range(0)

    return needed


def folded_pad(state: Lowering, op: Operator) -> tuple[Tensor | None, Border, Border]:
    """(input, row padding, column padding) of a convolution, with a foldable PAD in front taken in."""
    tensor = op.inputs[0]
    before = state.producer(tensor) if tensor is not None else None
    if before is None or before.name not in ("PAD", "PADV2") or not _folds(state, before):
        return tensor, (0, 0), (0, 0)
    rows, columns, _ = _borders(state, before)
    return before.inputs[0], rows, columns


def _folds(state: Lowering, op: Operator) -> bool:
    """Taps outside the map count as the zero point, so padding with that can be left to the convolution."""
    output = op.outputs[0]
    behind = state.only_consumer(output)
    if behind is None or behind.name not in CONVOLUTIONS or behind.inputs[0] is not output:
        return False
    if behind.options is None or behind.options.padding != schema.Padding.VALID:
        return False
    return _borders(state, op)[2] == (0, 0) and _value(state, op) == output.zero_point


def _value(state: Lowering, op: Operator) -> int:
    if op.name == "PADV2":
        return int(state.constant(op.inputs[2], "padding value", np.int8).reshape(-1)[0])
    if len(op.outputs[0].scales) != 1:
        raise Unsupported("its output is not quantised; quantise the model to full int8")
    return op.outputs[0].zero_point


def _borders(state: Lowering, op: Operator) -> tuple[Border, Border, Border]:
    """Padding of rows, pixels and channels."""
    paddings = state.constant(op.inputs[1], "paddings", np.int32)
    rank = len(op.outputs[0].shape)
    if paddings.shape != (rank, 2) or paddings.min() < 0:
        raise Unsupported(f"paddings of shape {paddings.shape} for {rank} axes: damaged file")
    borders = [(int(a), int(b)) for a, b in paddings]
    if any(border != (0, 0) for border in borders[:-3]):
        raise Unsupported("padding of the batch")
    rows, columns, channels = ([(0, 0)] * 3 + borders)[-3:]
    return rows, columns, channels
