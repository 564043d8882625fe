"""Any int8 ``.tflite`` -> stages -> plan -> C tables."""

from tinyswitch.compiler.compile import compile_model
from tinyswitch.compiler.emit import emit
from tinyswitch.compiler.plan import Plan

__all__ = ["Plan", "compile_model", "emit"]
