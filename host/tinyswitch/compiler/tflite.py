"""Reads a ``.tflite`` flatbuffer into a :class:`Graph`, trusting nothing in it."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinyswitch.compiler.graph import Graph, Operator, Tensor
from tinyswitch.errors import TinyswitchError

DTYPES = {
    schema.TensorType.FLOAT32: np.dtype(np.float32),
    schema.TensorType.INT8: np.dtype(np.int8),
    schema.TensorType.UINT8: np.dtype(np.uint8),
    schema.TensorType.INT16: np.dtype(np.int16),
    schema.TensorType.INT32: np.dtype(np.int32),
    schema.TensorType.INT64: np.dtype(np.int64),
}
OPERATOR_NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
TYPE_NAMES = {v: k for k, v in vars(schema.TensorType).items() if not k.startswith("_")}
MAX_FILE_BYTES = 64 << 20  # far beyond any microcontroller's flash
MAX_ELEMENTS = 1 << 28


def read(path: Path) -> Graph:
    """Parses ``path``; any damage is a :class:`TinyswitchError` that names the file."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise TinyswitchError(f"{path}: {size} bytes; a .tflite of at most {MAX_FILE_BYTES} is read")
        data = path.read_bytes()
    except OSError as error:
        raise TinyswitchError(f"{path}: {error.strerror}; give the path of a .tflite file") from None
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise TinyswitchError(f"{path}: not a .tflite file (no TFL3 mark)")
    try:
        model = schema.ModelT.InitFromPackedBuf(bytearray(data), 0)
        return _Reader(path, model, data).graph()
    except TinyswitchError:
        raise
    except Exception as error:  # the generated parser raises whatever the damage leads to
        raise TinyswitchError(f"{path}: damaged .tflite file ({type(error).__name__}: {error})") from None


class _Reader:
    def __init__(self, path: Path, model: schema.ModelT, data: bytes):
        self._path = path
        self._model = model
        self._data = data
        if not model.subgraphs or len(model.subgraphs) != 1:
            raise self._error(f"{len(model.subgraphs or [])} subgraphs; models with one are supported")
        self._subgraph = model.subgraphs[0]

    def _error(self, text: str) -> TinyswitchError:
        return TinyswitchError(f"{self._path}: {text}")

    def graph(self) -> Graph:
        tensors = [self._tensor(i, t) for i, t in enumerate(_listed(self._subgraph.tensors))]
        operators = [self._operator(i, op, tensors) for i, op in enumerate(_listed(self._subgraph.operators))]
        return Graph(
            source=str(self._path),
            operators=operators,
            inputs=self._pick(tensors, self._subgraph.inputs, "the model's inputs"),
            outputs=self._pick(tensors, self._subgraph.outputs, "the model's outputs"),
            crc32=zlib.crc32(self._data),
        )

    def _pick(self, tensors: list[Tensor], indices, where: str) -> list[Tensor]:
        picked = []
        for index in _listed(indices):
            if not 0 <= index < len(tensors):
                raise self._error(f"{where} name tensor {index} of {len(tensors)}")
            picked.append(tensors[index])
        return picked

    def _operator(self, index: int, op: schema.OperatorT, tensors: list[Tensor]) -> Operator:
        codes = _listed(self._model.operatorCodes)
        if not 0 <= op.opcodeIndex < len(codes):
            raise self._error(f"operator {index}: code {op.opcodeIndex} of {len(codes)}")
        code = codes[op.opcodeIndex]
        # builtinCode is 32 bit and newer; old files have only the 8-bit one
        name = OPERATOR_NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "unknown")
        if name == "CUSTOM":
            name = f"CUSTOM {(code.customCode or b'?').decode(errors='replace')}"
        inputs = []
        for i in _listed(op.inputs):
            inputs.append(None if i == -1 else self._pick(tensors, [i], f"operator {index} ({name})")[0])
        outputs = self._pick(tensors, op.outputs, f"operator {index} ({name})")
        return Operator(index, name, inputs, outputs, op.builtinOptions, code.version)

    def _tensor(self, index: int, t: schema.TensorT) -> Tensor:
        name = (t.name or b"").decode(errors="replace")
        what = f"tensor {index} ({name})"
        # another type is an error only where an operator uses it; it is named there
        dtype = DTYPES.get(t.type, np.dtype(object))
        shape = tuple(int(d) for d in _listed(t.shape))
        elements = 1
        for d in shape:
            elements *= d
            if d < 1 or elements > MAX_ELEMENTS:
                raise self._error(f"{what} has shape {shape}; every dimension must be fixed and at least 1")
        scales, zero_points, axis = self._quantisation(what, t.quantization)
        return Tensor(
            index, name, shape, dtype, scales, zero_points, axis, self._constant(what, t, dtype, shape)
        )

    def _constant(self, what: str, t: schema.TensorT, dtype: np.dtype, shape: tuple) -> np.ndarray | None:
        buffers = _listed(self._model.buffers)
        if not 0 <= t.buffer < len(buffers):
            raise self._error(f"{what} names buffer {t.buffer} of {len(buffers)}")
        buffer = buffers[t.buffer]
        raw = buffer.data
        if raw is None and buffer.offset > 1:  # contents behind the flatbuffer, for large files
            raw = np.frombuffer(self._data, np.uint8)[buffer.offset : buffer.offset + buffer.size]
        if raw is None or len(raw) == 0 or dtype.hasobject:
            return None
        raw = np.asarray(raw, np.uint8)
        expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if len(raw) != expected:
            raise self._error(f"{what} has {len(raw)} bytes of data where shape {shape} needs {expected}")
        return raw.view(dtype).reshape(shape)

    def _quantisation(self, what: str, q) -> tuple[np.ndarray, np.ndarray, int]:
        scales = np.asarray(_listed(q.scale) if q else [], np.float32)
        if q is None or len(scales) == 0:
            return np.empty(0, np.float32), np.empty(0, np.int64), 0
        # some converters write filters with negative scales; the lowering checks feature maps
        if not np.all(np.isfinite(scales)):
            raise self._error(f"{what} has a scale that isn't a number")
        zero_points = np.asarray(_listed(q.zeroPoint), np.int64)
        if len(zero_points) == 0:
            zero_points = np.zeros(len(scales), np.int64)
        if len(zero_points) == 1:
            zero_points = np.repeat(zero_points, len(scales))
        if len(zero_points) != len(scales):
            raise self._error(f"{what} has {len(scales)} scales and {len(zero_points)} zero points")
        return scales, zero_points, int(q.quantizedDimension)


def _listed(values) -> list:
    return [] if values is None else list(values)
