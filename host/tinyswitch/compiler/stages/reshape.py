"""Operators that leave the bytes and their order alone: RESHAPE and its relatives.

They cost nothing where the reader takes any shape; else a stage of its own cuts the rows anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import FeatureMap, Stage
from tinyswitch.compiler.stages.common import Unsupported

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering

VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def lower(state: Lowering, op: Operator) -> None:
    if op.inputs[0] is None:
        raise Unsupported("an input is missing")
    state.set_view(op.outputs[0], op.inputs[0])


def lower_transpose(state: Lowering, op: Operator) -> None:
    """Free while only unit dimensions move; else only operators that take any layout can read the result."""
    source = op.inputs[0]
    order = [int(i) for i in state.constant(op.inputs[1], "permutation", np.int32).reshape(-1)]
    if source is None or sorted(order) != list(range(len(source.shape))):
        raise Unsupported(f"permutation {order}: damaged file")
    if tuple(source.shape[i] for i in order) != op.outputs[0].shape:
        raise Unsupported(f"permutation {order} of {source.shape} isn't {op.outputs[0].shape}: damaged file")
    moved = [i for i in order if source.shape[i] > 1]
    state.set_transposed(op.outputs[0], source, order)
    if moved == sorted(moved):
        state.set_view(op.outputs[0], source)


def reshape_stage(source: FeatureMap, output: FeatureMap) -> Stage:
    def needed(step: int) -> range:
        first = step * output.row_bytes // source.row_bytes
        last = ((step + 1) * output.row_bytes - 1) // source.row_bytes
        return range(first, last + 1)

    return Stage("ts_reshape", None, {}, [source], output, [needed])
