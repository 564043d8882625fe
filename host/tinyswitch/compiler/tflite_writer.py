"""Writes ``.tflite`` files operator by operator."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinyswitch.compiler.tflite import DTYPES

TYPES = {dtype: code for code, dtype in DTYPES.items()}
# the operator versions whose int8 kernels this project is about; 2 for the others
VERSIONS = {
    "FULLY_CONNECTED": 4,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "RESHAPE": 1,
    "RELU_N1_TO_1": 1,
    "HARD_SWISH": 1,
}


class TfliteWriter:
    """Collects tensors and operators; :meth:`build` gives the file's bytes."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]

    def tensor(
        self, shape, dtype=np.int8, scale=None, zero_point=0, axis=0, data=None, name: str | None = None
    ) -> int:
        """Index of a new tensor; ``scale`` a number or one a channel, None: not quantised."""
        t = schema.TensorT()
        t.name = (name or f"t{len(self._graph.tensors)}").encode()
        t.shape = np.asarray(shape, np.int32)
        t.type = TYPES[np.dtype(dtype)]
        t.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            t.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, np.float32))
            q.zeroPoint = np.broadcast_to(np.asarray(zero_point, np.int64), q.scale.shape).copy()
            q.quantizedDimension = axis
            t.quantization = q
        self._graph.tensors.append(t)
        return len(self._graph.tensors) - 1

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self._graph.tensors[tensor].shape)

    def op(self, name: str, inputs, outputs, options=None, version: int | None = None) -> None:
        """Adds an operator; ``options`` is an ``...OptionsT`` of the schema."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = VERSIONS.get(name, 2) if version is None else version
        op = schema.OperatorT()
        op.opcodeIndex = len(self._model.operatorCodes)
        self._model.operatorCodes.append(code)
        op.inputs, op.outputs = np.asarray(inputs, np.int32), np.asarray(outputs, np.int32)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            op.builtinOptions = options
        self._graph.operators.append(op)

    def build(self, inputs, outputs) -> bytes:
        self._graph.inputs = np.asarray(inputs, np.int32)
        self._graph.outputs = np.asarray(outputs, np.int32)
        packer = flatbuffers.Builder(1024)
        packer.Finish(self._model.Pack(packer), b"TFL3")
        return bytes(packer.Output())


def options(kind: str, **values):
    """A schema options object, ``options("Conv2D", strideH=2)`` for ``Conv2DOptionsT``."""
    result = getattr(schema, f"{kind}OptionsT")()
    for name, value in values.items():
        if not hasattr(result, name):
            raise AttributeError(f"{kind}Options has no {name}")
        setattr(result, name, value)
    return result
