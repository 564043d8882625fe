"""Which part of a layer's weights a sub-network takes: the centre of a kernel, the first channels."""

from __future__ import annotations

import numpy as np

from tinyswitch.nets.net import Layer


def view(layer: Layer, values: np.ndarray) -> np.ndarray:
    """The part of ``values`` that ``layer``, cut from the one whose weights they are, works with; no copy.

    ``values`` in TensorFlow's layout: conv (k, k, in, out), depthwise (k, k, channels, 1), dense (in, out).
    """
    if layer.kind == "dense":
        return values[: layer.input[2], : layer.output[2]]
    before = (values.shape[0] - layer.kernel) // 2
    taps = slice(before, before + layer.kernel)
    if layer.kind == "depthwise":
        return values[taps, taps, : layer.output[2]]
    return values[taps, taps, : layer.input[2], : layer.output[2]]


def along_channels(layer: Layer, factors: np.ndarray) -> np.ndarray:
    """``factors``, one an output channel, shaped so that they multiply weights in TensorFlow's layout."""
    return factors[:, None] if layer.kind == "depthwise" else factors


def largest_of_channel(layer: Layer, values: np.ndarray) -> np.ndarray:
    """The largest magnitude (out,) of each output channel of weights in TensorFlow's layout."""
    axes = (0, 1, 3) if layer.kind == "depthwise" else tuple(range(values.ndim - 1))
    return np.abs(values).max(axis=axes)
