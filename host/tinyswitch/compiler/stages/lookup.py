"""Functions of one 8-bit value, tabulated by LiteRT's own kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import FeatureMap, Stage
from tinyswitch.compiler.stages.common import Unsupported, same_row
from tinyswitch.compiler.tabulate import tabulate

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering

UNARY = (
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "LEAKY_RELU",
    "ELU",
    "TANH",
    "LOGISTIC",
    "HARD_SWISH",
)


def lower(state: Lowering, op: Operator) -> None:
    source = state.map(op.inputs[0])
    output = state.new_map(op.outputs[0])
    state.add(lookup_stage(source, output, tabulate([op])))


def lower_quantize(state: Lowering, op: Operator) -> None:
    tensor = op.inputs[0]
    if tensor is None:
        raise Unsupported("an input is missing")
    if state.is_input(tensor) and tensor.dtype == np.float32:
        state.set_quantised_input(tensor, op.outputs[0])
        return
    source = state.real_source(tensor)
    if source is not None:  # float only in between
        dequantize = Operator(op.index, "DEQUANTIZE", [source], [tensor], None, version=2)
        table = tabulate([dequantize, replace(op, inputs=[tensor])])
    else:
        source, table = tensor, None
    source_map = state.map(source)
    table = tabulate([op]) if table is None else table
    state.add(lookup_stage(source_map, state.new_map(op.outputs[0]), table))


def lower_dequantize(state: Lowering, op: Operator) -> None:
    """Nothing is computed: the 8-bit side is the model's output, or what a QUANTIZE behind it reads."""
    if op.inputs[0] is None or op.inputs[0].data is not None:
        raise Unsupported("a constant is dequantised; quantise the model to full int8")
    state.map(op.inputs[0])  # checks that it is 8-bit
    state.set_real(op.outputs[0], op.inputs[0])


def lookup_stage(source: FeatureMap, output: FeatureMap, table: np.ndarray) -> Stage:
    """table: uint8 (256,), indexed by the input byte as unsigned."""
    if source.shape != output.shape:
        raise Unsupported("input and output differ in shape: damaged file")
    return Stage("ts_lookup", "ts_lookup_params", {"table": table}, [source], output, [same_row])
