"""The int8 weights that all sub-networks of a family share.

The rounding looks at a convolution's weights as they are *before* batch norm: q = round(w / s) * sign(gamma)
with s = max|w| / 127 for each output channel. Batch norm of whatever sub-network then only stretches and
moves a channel, which is left to its scale and bias; the sign keeps that scale positive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tinyswitch.families.views import along_channels, largest_of_channel
from tinyswitch.nets.net import Layer, Net
from tinyswitch.nets.weights import tensor_names

Tensors = Mapping[str, np.ndarray]  # of a checkpoint: PyTorch's names and layouts


@dataclass(frozen=True)
class Norm:
    """Batch norm of one layer, float64 (channels,): gamma * (x - mean) / sqrt(variance + eps) + beta."""

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    eps: float

    def first(self, channels: int) -> Norm:
        """That of the first channels."""
        parts = (self.gamma, self.beta, self.mean, self.variance)
        return Norm(*(part[:channels] for part in parts), self.eps)

    @property
    def factor(self) -> np.ndarray:
        """What a channel is multiplied by."""
        return self.gamma / np.sqrt(self.variance + self.eps)

    @property
    def offset(self) -> np.ndarray:
        """What is added after that."""
        return self.beta - self.mean * self.factor


@dataclass(frozen=True)
class SharedLayer:
    """Weights of one layer of the largest net, in TensorFlow's layout (see views.view)."""

    layer: Layer
    exact: np.ndarray  # float32, as trained, batch norm not folded
    values: np.ndarray  # int8
    step: np.ndarray  # float64 (out,): exact is about values * step, but for the sign of gamma
    norm: Norm | None  # as trained; None: no batch norm
    bias: np.ndarray  # float64 (out,); 0 where there is batch norm

    @property
    def sign(self) -> np.ndarray:
        """(out,) 1 or -1: what ``values`` were multiplied by."""
        return np.ones_like(self.step) if self.norm is None else np.where(self.norm.gamma < 0, -1.0, 1.0)


Shared = dict[str, SharedLayer]  # by the layer's name


def share(net: Net, tensors: Tensors, constant: Mapping[str, np.ndarray] | None = None) -> Shared:
    """Rounds the weights of ``net`` and its exits, whose ``tensors`` have been checked (nets.weights.fold).

    ``constant``: layer -> bool (out,), the channels that give the same value whatever the image. Their rows
    become 0: the scale that such weights, often of 1e-10, ask for would make the bias exceed an int32.
    """
    constant = constant or {}
    return {
        layer.name: _share(layer, net.bn_eps, tensors, constant.get(layer.name))
        for layer in net.all_layers
        if layer.weights
    }


def _share(layer: Layer, eps: float, tensors: Tensors, constant: np.ndarray | None) -> SharedLayer:
    weights, *rest = (tensors[name].astype(np.float64) for name in tensor_names(layer))
    if layer.kind == "dense":
        exact, norm, bias = weights.T, None, rest[0]
    else:
        exact = weights.transpose((2, 3, 0, 1) if layer.kind == "depthwise" else (2, 3, 1, 0))
        norm, bias = Norm(*rest, eps), np.zeros(layer.output[2])
    step = largest_of_channel(layer, exact) / 127
    none = (step == 0) if constant is None else (step == 0) | constant
    step = np.where(none, 1.0, step)
    sign = 1.0 if norm is None else np.where(norm.gamma < 0, -1.0, 1.0)
    scaled = exact * along_channels(layer, np.where(none, 0.0, sign / step))
    values = np.round(scaled).astype(np.int8)
    return SharedLayer(layer, exact.astype(np.float32), values, step, norm, bias)
