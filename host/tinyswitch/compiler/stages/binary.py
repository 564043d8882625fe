"""ADD and MUL of two feature maps, axes of length 1 repeating."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyswitch.compiler.fixedpoint import quantize_multiplier
from tinyswitch.compiler.graph import Operator
from tinyswitch.compiler.plan import FeatureMap, Stage
from tinyswitch.compiler.stages.common import Unsupported, activation_range, first_row, same_row

if TYPE_CHECKING:
    from tinyswitch.compiler.lowering import Lowering

LEFT_SHIFT = 20  # of ADD's 8-bit operands; tflite add.cc


def lower_add(state: Lowering, op: Operator) -> None:
    a, b = state.map(op.inputs[0]), state.map(op.inputs[1])
    output = state.new_map(op.outputs[0])
    # tflite add.cc, Prepare: both operands go to twice the larger scale
    common = 2 * max(a.scale, b.scale)
    operand_pairs = [quantize_multiplier(m.scale / common) for m in (a, b)]
    result = quantize_multiplier(common / ((1 << LEFT_SHIFT) * output.scale))
    state.add(_stage("ts_add", a, b, output, operand_pairs, result, op))


def lower_mul(state: Lowering, op: Operator) -> None:
    a, b = state.map(op.inputs[0]), state.map(op.inputs[1])
    output = state.new_map(op.outputs[0])
    # tflite mul.cc, Prepare
    result = quantize_multiplier(a.scale * b.scale / output.scale)
    state.add(_stage("ts_mul", a, b, output, [(0, 0), (0, 0)], result, op))


def _stage(
    kernel: str,
    a: FeatureMap,
    b: FeatureMap,
    output: FeatureMap,
    operand_pairs: list[tuple[int, int]],
    result: tuple[int, int],
    op: Operator,
) -> Stage:
    low, high = activation_range(op.options.fusedActivationFunction, output)
    operands = [_operand(m, output, *pair) for m, pair in zip((a, b), operand_pairs, strict=True)]
    params = {
        "operand": operands,
        "multiplier": result[0],
        "shift": result[1],
        "zero_point": output.zero_point,
        "low": low,
        "high": high,
    }
    reads = [first_row if o["repeat_y"] else same_row for o in operands]
    return Stage(kernel, "ts_binary_params", params, [a, b], output, reads)


def _operand(source: FeatureMap, output: FeatureMap, multiplier: int, shift: int) -> dict:
    def repeats(size: int, whole: int) -> int:
        if size not in (1, whole):
            raise Unsupported(f"operands of {size} and {whole} along one axis don't fit: damaged file")
        return int(size == 1 and whole > 1)

    return {
        "multiplier": multiplier,
        "shift": shift,
        "zero_point": source.zero_point,
        "repeat_y": repeats(source.height, output.height),
        "repeat_x": repeats(source.width, output.width),
        "repeat_channel": repeats(source.channels, output.channels),
    }
