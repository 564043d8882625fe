"""A Keras model as an int8 ``.tflite``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyswitch.quantize.quiet import quiet


def to_int8(model: Any, calibration: np.ndarray) -> bytes:
    """The ``.tflite``, int8 from its input to its output.

    ``calibration``: (n, ...) float32 inputs; the input's scale is such that int8 covers exactly the values
    from the smallest to the largest of them.
    """
    with quiet():
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _rows(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()


def _rows(inputs: np.ndarray) -> Iterator[list[np.ndarray]]:
    for row in inputs:
        yield [row[None].astype(np.float32)]
