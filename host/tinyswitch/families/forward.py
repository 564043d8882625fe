"""Runs a net in float over many images at once, layer by layer, so that each can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinyswitch.families.shared import Shared
from tinyswitch.families.tables import Tables
from tinyswitch.families.views import along_channels, view
from tinyswitch.nets.net import Layer, Net
from tinyswitch.nets.weights import Weights
from tinyswitch.quantize.float_model import apply

Compute = Callable[[Layer, Any, Any], Any]  # layer, its input, the shortcut's output -> its output


def sweep(net: Net, images: np.ndarray, compute: Compute) -> Iterator[tuple[Layer, Any]]:
    """Each layer with its output over ``images``, (n, h, w, c) float32; activations belong to ``compute``."""
    import tensorflow as tf

    value = tf.convert_to_tensor(images)
    kept = {-1: value}
    for index, layer in enumerate(net.layers):
        shortcut = kept[layer.shortcut] if layer.shortcut is not None else None
        value = compute(layer, value, shortcut)
        yield layer, value
        kept[index] = value
        wanted = {later.shortcut for later in net.layers[index + 1 :]}
        kept = {key: value for key, value in kept.items() if key in wanted}


def activate(layer: Layer, value: Any) -> Any:
    """The layer's activation."""
    import tensorflow as tf

    return tf.nn.relu6(value) if layer.relu6 else value


def convolve(layer: Layer, value: Any, kernel: np.ndarray, offset: np.ndarray | None = None) -> Any:
    """A layer with weights, without its activation; ``kernel`` in TensorFlow's layout."""
    offset = np.zeros(layer.output[2]) if offset is None else offset
    return apply(layer, value, Weights(kernel.astype(np.float32), offset.astype(np.float32)), None)


def with_tables(shared: Shared, tables: Tables) -> Compute:
    """What a sub-network computes: the shared weights under its tables; activations stay float."""

    def compute(layer: Layer, value: Any, shortcut: Any) -> Any:
        if not layer.weights:
            return activate(layer, apply(layer, value, None, shortcut))
        table = tables[layer.name]
        values = view(layer, shared[layer.name].values)
        kernel = values * along_channels(layer, table.scale)
        return activate(layer, convolve(layer, value, kernel, table.offset))

    return compute


def unnormed(shared: Shared, layer: Layer, value: Any, shortcut: Any) -> Any | None:
    """The output of a layer without batch norm; None if it has one."""
    if not layer.weights:
        return activate(layer, apply(layer, value, None, shortcut))
    own = shared[layer.name]
    return activate(layer, convolve(layer, value, own.exact, own.bias)) if own.norm is None else None


def exact(shared: Shared) -> Compute:
    """What the net computes in float, with its weights and batch norm as trained."""

    def compute(layer: Layer, value: Any, shortcut: Any) -> Any:
        output = unnormed(shared, layer, value, shortcut)
        if output is not None:
            return output
        own = shared[layer.name]
        kernel = own.exact * along_channels(layer, own.norm.factor)
        return activate(layer, convolve(layer, value, kernel, own.norm.offset))

    return compute


def scores(net: Net, images: np.ndarray, compute: Compute, batch: int = 50) -> np.ndarray:
    """(n, classes) float32: the net's answers."""
    found = []
    for start in range(0, len(images), batch):
        *_, (_, value) = sweep(net, images[start : start + batch], compute)
        found.append(value.numpy().reshape(value.shape[0], -1))
    return np.concatenate(found)
