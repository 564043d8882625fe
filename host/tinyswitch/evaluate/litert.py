"""A model under LiteRT: its reference kernels are the oracle every board is compared with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tinyswitch.errors import TinyswitchError
from tinyswitch.quantize.quiet import quiet
from tinyswitch.tensor import TensorInfo, rows_shape


class LiteRtModel:
    """Runs one model, one frame at a time, on one thread.

    Inputs and outputs are 8-bit: where the model begins with QUANTIZE of a float input or ends with
    DEQUANTIZE, the integer side of that operator is the boundary, as it is on the link.

    ``optimised`` takes the kernels that LiteRT takes by itself (XNNPACK): faster, but they round otherwise,
    so that outputs may be a few steps away from the reference kernels'. ``seconds`` is what the last
    inference took, ``cpu_seconds`` the processor's time of it: less, where other work took turns.
    """

    def __init__(self, path: Path, optimised: bool = False):
        reference = {
            "experimental_op_resolver_type": OpResolverType.BUILTIN_REF,
            "experimental_preserve_all_tensors": True,
        }
        self.seconds = self.cpu_seconds = 0.0
        try:
            with quiet() if optimised else nullcontext():  # XNNPACK says that it is there
                self._interpreter = Interpreter(str(path), num_threads=1, **({} if optimised else reference))
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines() or ["no reason given"]
            raise TinyswitchError(f"{path}: LiteRT does not load it: {reason[0]}") from None
        self._details = {t["index"]: t for t in self._interpreter.get_tensor_details()}
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1:
            raise TinyswitchError(f"{path}: {len(inputs)} inputs; models with one input are supported")
        ops = self._interpreter._get_ops_details()
        self._input = inputs[0]["index"]
        self._input_index = self._behind(ops, self._input)
        ends = [t["index"] for t in self._interpreter.get_output_details()]
        self._output_indices = [self._before(ops, index) for index in ends]
        self.input = self._info(path, self._input_index)
        self.outputs = [self._info(path, i) for i in self._output_indices]
        if optimised:  # tensors inside are not kept
            self._output_indices = ends

    def _behind(self, ops: list[dict], index: int) -> int:
        """The integer tensor that a float input is quantised to; else the input itself."""
        if self._details[index]["dtype"] != np.float32:
            return index
        for op in ops:
            if op["op_name"] == "QUANTIZE" and index in op["inputs"]:
                return int(op["outputs"][0])
        return index

    def _before(self, ops: list[dict], index: int) -> int:
        """The integer tensor that a float output is dequantised from; else the output itself."""
        if self._details[index]["dtype"] != np.float32:
            return index
        for op in ops:
            if op["op_name"] == "DEQUANTIZE" and index in op["outputs"]:
                return int(op["inputs"][0])
        return index

    def _info(self, path: Path, index: int) -> TensorInfo:
        detail = self._details[index]
        dtype = np.dtype(detail["dtype"])
        if dtype not in (np.int8, np.uint8):
            raise TinyswitchError(
                f"{path}: tensor {detail['name']!r} is {dtype}, not 8-bit; quantise the model to full int8"
            )
        scale, zero_point = detail["quantization"]
        try:
            shape = rows_shape(tuple(detail["shape"]))
        except ValueError as error:
            raise TinyswitchError(f"{path}: tensor {detail['name']!r}: {error}") from None
        return TensorInfo(shape, dtype, float(scale), int(zero_point))

    def run(self, frame: np.ndarray) -> list[np.ndarray]:
        """Outputs, each of shape (height, width, channels), for one 8-bit frame of ``input.shape``."""
        detail = self._details[self._input]
        if frame.dtype != self.input.dtype:
            raise ValueError(f"frame is {frame.dtype}, the model takes {self.input.dtype}")
        if detail["dtype"] == np.float32:
            # scale * (q - zero_point) rounds back to q exactly: the error is far below half a step
            real = (frame.astype(np.float32) - self.input.zero_point) * np.float32(self.input.scale)
            self._interpreter.set_tensor(self._input, real.reshape(detail["shape"]))
        else:
            self._interpreter.set_tensor(self._input, frame.reshape(detail["shape"]))
        begin, begin_cpu = time.perf_counter(), time.thread_time()
        self._interpreter.invoke()
        self.seconds, self.cpu_seconds = time.perf_counter() - begin, time.thread_time() - begin_cpu
        return [
            self._quantised(self._interpreter.get_tensor(index), info).reshape(info.shape)
            for index, info in zip(self._output_indices, self.outputs, strict=True)
        ]

    @staticmethod
    def _quantised(output: np.ndarray, info: TensorInfo) -> np.ndarray:
        """What DEQUANTIZE made ``output`` of; exact, as above."""
        if output.dtype == info.dtype:
            return output
        return (np.rint(output / np.float32(info.scale)) + info.zero_point).astype(info.dtype)


@contextmanager
def litert_errors(path: Path) -> Iterator[None]:
    """A damaged model that LiteRT loads can still make it raise nearly anything."""
    try:
        yield
    except (RuntimeError, ValueError, LookupError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TinyswitchError(f"{path}: LiteRT does not run it: {reason}") from None
