"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import FeatureMap, Stage
from tinyswitch.compiler.stages.common import (
    Axis,
    Unsupported,
    activation_range,
    axis,
    same_row,
    window_params,
)

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering


def lower_average(state: Lowering, op: Operator) -> None:
    source, output, y, x = _pool(state, op)
    covers = y.outputs == x.outputs == 1 and all(a.pad == 0 and a.taps == a.size for a in (y, x))
    if not covers:
        state.add(_stage("ts_average_pool", source, output, y, x, op))
        return
    stage = _stage("ts_global_average", source, output, y, x, op)
    stage.reads = [same_row]
    stage.accumulates = True
    stage.scratch_bytes = 4 * source.channels
    state.add(stage)


def lower_max(state: Lowering, op: Operator) -> None:
    state.add(_stage("ts_max_pool", *_pool(state, op), op))


def _pool(state: Lowering, op: Operator) -> tuple[FeatureMap, FeatureMap, Axis, Axis]:
    source = state.map(op.inputs[0])
    output = state.new_map(op.outputs[0])
    if source.channels != output.channels:
        raise Unsupported(f"{source.channels} channels in, {output.channels} out: damaged file")
    o = op.options
    y = axis(source.height, output.height, o.filterHeight, o.strideH, 1, o.padding, (0, 0))
    x = axis(source.width, output.width, o.filterWidth, o.strideW, 1, o.padding, (0, 0))
    return source, output, y, x


def _stage(kernel: str, source: FeatureMap, output: FeatureMap, y: Axis, x: Axis, op: Operator) -> Stage:
    low, high = activation_range(op.options.fusedActivationFunction, output)
    params = {"window": window_params(y, x), "low": low, "high": high}
    return Stage(kernel, "ts_pool_params", params, [source], output, [y.rows()])
