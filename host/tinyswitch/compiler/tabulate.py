"""What an operator makes of each of the 256 values of a byte, found by running it in LiteRT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tinyswitch.compiler.graph import Operator, Tensor
from tinyswitch.compiler.stages.common import Unsupported
from tinyswitch.compiler.tflite_writer import TfliteWriter


def tabulate(chain: list[Operator]) -> np.ndarray:
    """Table uint8 (256,) of a chain of one-input operators; indexed by the input byte taken as unsigned.

    Raises Unsupported where LiteRT refuses the operators.
    """
    source, target = chain[0].inputs[0], chain[-1].outputs[0]
    if source is None or any(t.dtype not in (np.int8, np.uint8) for t in (source, target)):
        raise Unsupported("input and output must be 8-bit; quantise the model to full int8")
    writer = TfliteWriter()
    tensors = [_row(writer, source)]
    for op in chain:
        tensors.append(_row(writer, op.outputs[0]))
        writer.op(op.name, [tensors[-2]], [tensors[-1]], op.options, op.version)
    try:
        interpreter = Interpreter(
            model_content=writer.build([tensors[0]], [tensors[-1]]),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(tensors[0], np.arange(256, dtype=np.uint8).view(source.dtype)[None])
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise Unsupported(f"LiteRT refuses it: {reason}") from None
    return interpreter.get_tensor(tensors[-1])[0].view(np.uint8)


def _row(writer: TfliteWriter, tensor: Tensor) -> int:
    row = replace(tensor, shape=(1, 256))
    quantised = {"scale": row.scales, "zero_point": row.zero_points} if len(row.scales) else {}
    return writer.tensor(row.shape, row.dtype, **quantised)
