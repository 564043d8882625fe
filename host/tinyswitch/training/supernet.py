"""A net whose sub-networks are trained together: they all read the same variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tinyswitch.nets import weights
from tinyswitch.nets.net import Layer, Net
from tinyswitch.training.augment import resampling

Moments = Mapping[str, tuple[np.ndarray, np.ndarray]]  # layer -> mean and variance of each channel
Norm = Callable[[Layer, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]  # layer, value, gamma, beta -> value


class SuperNet(keras.Model):
    """The variables of ``net``, and the sub-networks that run on parts of them.

    A sub-network is a Net whose layers are named as those of ``net``: it takes the centre of the kernels and
    the first of the channels, as many as its layers have (tinyswitch.families.derive).
    """

    def __init__(self, net: Net, seed: int = 0):
        super().__init__(name=net.name.replace("-", "_").replace(".", "_"))
        self.net = net
        self.parts: dict[str, list[Any]] = {}  # layer -> kernel, and gamma and beta or bias
        for layer, (name, tensor) in _initial(net, seed):
            variable = self.add_weight(
                shape=tensor.shape, name=name.replace(".", "_"), initializer=lambda *_, t=tensor, **__: t
            )
            self.parts.setdefault(layer.name, []).append(variable)
        self.built = True

    def scores(self, net: Net, images: tf.Tensor, norm: Norm) -> dict[str, tf.Tensor]:
        """Head -> (n, classes) of the sub-network ``net`` for real images (n, h, w, c).

        Besides the sub-network's own head these are those of the exits it passes on its way.
        """
        found: dict[str, tf.Tensor] = {}
        outputs = [images]
        for index, layer in enumerate(net.layers):
            outputs.append(self._apply(layer, outputs[-1], outputs, norm))
            number = _ends_block(net, index)
            if number in net.exits:
                pool, dense = net.exits[number]
                found[dense.name] = self._apply(dense, self._apply(pool, outputs[-1], [], norm), [], norm)
        found[net.layers[-1].name] = outputs[-1]
        return found

    def _apply(self, layer: Layer, value: tf.Tensor, outputs: list[tf.Tensor], norm: Norm) -> tf.Tensor:
        if layer.kind == "add":
            return value + outputs[layer.shortcut + 1]
        if layer.kind == "pool":
            return tf.reduce_mean(value, (1, 2))
        kernel, *rest = self.parts[layer.name]
        if layer.kind == "dense":
            return tf.matmul(value, kernel.value) + rest[0].value
        value = _convolve(layer, value, _cut(kernel.value, layer))
        gamma, beta = (part.value[: layer.output[2]] for part in rest)
        value = norm(layer, value, gamma, beta)
        return tf.nn.relu6(value) if layer.relu6 else value

    def tensors(self, moments: Moments) -> dict[str, np.ndarray]:
        """The weights under the names and in the layouts of a published checkpoint.

        ``moments``: layer -> mean and variance for its batch norm.
        """
        found: dict[str, np.ndarray] = {}
        for layer in self.net.all_layers:
            if names := weights.tensor_names(layer):
                kernel, *rest = (part.numpy() for part in self.parts[layer.name])
                if layer.batch_norm:
                    rest += moments[layer.name]
                found |= dict(zip(names, [kernel.transpose(_TO_TORCH[layer.kind]), *rest], strict=True))
        return found


_TO_TORCH = {"dense": (1, 0), "conv": (3, 2, 0, 1), "depthwise": (2, 3, 0, 1)}
_FROM_TORCH = {"dense": (1, 0), "conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1)}


def _initial(net: Net, seed: int) -> Iterator[tuple[Layer, tuple[str, np.ndarray]]]:
    """Layer, and name and values of one of its variables in TensorFlow's layout."""
    tensors = weights.random_tensors(net, seed)
    for layer in net.all_layers:
        for name in weights.tensor_names(layer):
            if not name.endswith(("running_mean", "running_var")):
                tensor = tensors[name]
                if name.endswith(".weight") and tensor.ndim > 1:
                    tensor = tensor.transpose(_FROM_TORCH[layer.kind])
                yield layer, (name, np.ascontiguousarray(tensor))


def _ends_block(net: Net, index: int) -> int | None:
    """The number of the block that ends with layer ``index``."""
    parts = net.layers[index].name.split(".")
    following = net.layers[index + 1].name.split(".") if index + 1 < len(net.layers) else [""]
    return int(parts[1]) if parts[0] == "blocks" and following[:2] != parts[:2] else None


def _cut(kernel: tf.Tensor, layer: Layer) -> tf.Tensor:
    """The centre of the kernel's taps, the first of its channels."""
    margin = (kernel.shape[0] - layer.kernel) // 2
    taps = slice(margin, margin + layer.kernel)
    if layer.kind == "depthwise":
        return kernel[taps, taps, : layer.output[2]]
    return kernel[taps, taps, : layer.input[2], : layer.output[2]]


def _convolve(layer: Layer, value: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Padded by kernel // 2 zeros on all sides that a window reaches."""
    before = layer.kernel // 2
    after = max((layer.output[0] - 1) * layer.stride + layer.kernel - layer.input[0] - before, 0)
    if before == after:
        padding = "SAME"
    else:
        value, padding = tf.pad(value, ((0, 0), (before, after), (before, after), (0, 0))), "VALID"
    steps = (1, layer.stride, layer.stride, 1)
    convolve = tf.nn.depthwise_conv2d if layer.kind == "depthwise" else tf.nn.conv2d
    return convolve(value, kernel, steps, padding)


def batch_norm(eps: float) -> Norm:
    """Batch norm with the batch's own statistics, to train with."""
    return recording_norm(eps, {})


def recording_norm(eps: float, found: dict[str, tuple[tf.Tensor, tf.Tensor]]) -> Norm:
    """The same; ``found`` gets each layer's mean and variance."""

    def norm(layer: Layer, value: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        fused = tf.compat.v1.nn.fused_batch_norm
        value, *found[layer.name] = fused(value, gamma, beta, epsilon=eps, is_training=True)
        return value

    return norm


def fixed_norm(eps: float, moments: Moments) -> Norm:
    """Batch norm with the statistics of ``moments``."""

    def norm(layer: Layer, value: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        return tf.nn.batch_normalization(value, *moments[layer.name], beta, gamma, eps)

    return norm


def to_input(frames: tf.Tensor, resolution: int) -> tf.Tensor:
    """uint8 frames (n, s, s, c) as the real input (n, r, r, c) of a net."""
    value = tf.cast(frames, tf.float32) / 127.5 - 1
    if frames.shape[1] == resolution:
        return value
    matrix = tf.constant(resampling(frames.shape[1], resolution))
    return tf.einsum("ri,nijc,sj->nrsc", matrix, value, matrix)
