"""Any int8 ``.tflite`` -> stages -> plan -> C tables."""

from tinyswitch.compiler.compile import compile_model
from tinyswitch.compiler.emit import emit
from tinyswitch.compiler.plan import Plan
from tinyswitch.compiler.stream import Stream, compile_stream
from tinyswitch.compiler.table import Known

__all__ = ["Known", "Plan", "Stream", "compile_model", "compile_stream", "emit"]
