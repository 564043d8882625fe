"""CONCATENATION of feature maps along rows, pixels or channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_edge_litert import schema_py_generated as schema

from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import FeatureMap, Rows, Stage
from tinyswitch.compiler.stages.common import Unsupported, same_row

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering


def lower(state: Lowering, op: Operator) -> None:
    inputs = [state.map(t) for t in op.inputs]
    output = state.new_map(op.outputs[0])
    if op.options.fusedActivationFunction != schema.ActivationFunctionType.NONE:
        raise Unsupported("fused activation in a concatenation")
    for m in inputs:
        # as tflite concatenation.cc demands of int8
        if (m.scale, m.zero_point, m.dtype) != (output.scale, output.zero_point, output.dtype):
            raise Unsupported(f"input {m.name} is quantised in another way than the output")
    rank = len(op.outputs[0].shape)
    axis = op.options.axis
    if not -rank <= axis < rank:
        raise Unsupported(f"axis {axis} of {rank}: damaged file")
    axis = axis % rank - rank + 3  # the last axis is channels, whatever the rank
    if axis < 0:
        raise Unsupported("concatenation along the batch")
    _check_sizes(inputs, output, axis)
    reads = [_rows_from(i, inputs) for i in range(len(inputs))] if axis == 0 else [same_row] * len(inputs)
    state.add(Stage("ts_concat", "ts_concat_params", {"axis": axis}, inputs, output, reads))


def _check_sizes(inputs: list[FeatureMap], output: FeatureMap, axis: int) -> None:
    sizes = [m.shape for m in inputs]
    whole = output.shape
    for i in range(3):
        along = [s[i] for s in sizes]
        if (sum(along) if i == axis else max(along)) != whole[i] or (i != axis and min(along) != whole[i]):
            raise Unsupported(f"inputs {sizes} don't make {whole}: damaged file")


def _rows_from(index: int, inputs: list[FeatureMap]) -> Rows:
    start = sum(m.height for m in inputs[:index])

    def needed(step: int) -> range:
        row = step - start
        return range(row, row + 1) if 0 <= row < inputs[index].height else range(0)

    return needed
