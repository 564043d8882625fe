"""Trained weights of a net: from a checkpoint or random, batch norm folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.nets import torchfile
from tinyswitch.nets.check import suggest
from tinyswitch.nets.net import Layer, Net


@dataclass(frozen=True)
class Weights:
    """Of one layer, float32, in TensorFlow's layout."""

    kernel: np.ndarray  # conv: (k, k, in, out); depthwise: (k, k, channels, 1); dense: (in, out)
    bias: np.ndarray  # (out,)


def from_checkpoint(net: Net, path: Path) -> dict[str, Weights]:
    """Layer name → weights, batch norm folded; raises TinyswitchError if they are not this net's."""
    return fold(net, torchfile.read(path), path)


def fold(net: Net, tensors: Mapping[str, np.ndarray], source: Path | str) -> dict[str, Weights]:
    """Layer name → weights of ``tensors``, which have PyTorch's names and layouts (see ``tensor_names``)."""
    expected = {name: shape for layer in net.all_layers for name, shape in tensor_names(layer).items()}
    for name in tensors:
        if name not in expected and not name.endswith(".num_batches_tracked"):
            raise TinyswitchError(
                f"{source}: tensor {name[:80]!r} does not belong to net {net.name}{suggest(name, expected)}"
            )
    for name, shape in expected.items():
        _check(net, source, name, tensors.get(name), shape)
    folded = {layer.name: _fold_layer(net, layer, tensors) for layer in net.all_layers if layer.weights}
    for name, own in folded.items():
        if not (np.isfinite(own.kernel).all() and np.isfinite(own.bias).all()):
            raise TinyswitchError(f"{source}: the weights of {name} exceed float32 once batch norm is folded")
    return folded


def random_tensors(net: Net, seed: int) -> dict[str, np.ndarray]:
    """Tensors of an untrained net: He-normal weights, batch norm that changes nothing. float32."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for layer in net.all_layers:
        for name, shape in tensor_names(layer).items():
            if len(shape) > 1:
                deviation = np.sqrt(2 / np.prod(shape[1:]))
                tensors[name] = rng.normal(0, deviation, shape).astype(np.float32)
            else:
                one = name.endswith(("bn.weight", "running_var"))
                tensors[name] = np.full(shape, 1.0 if one else 0.0, np.float32)
    return tensors


def tensor_names(layer: Layer) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a layer's tensors in a published checkpoint; none for a layer without weights."""
    if not layer.weights:
        return {}
    channels = layer.output[2]
    if layer.kind == "dense":
        prefix = f"{layer.name}.linear"
        return {f"{prefix}.weight": (channels, layer.input[2]), f"{prefix}.bias": (channels,)}
    prefix = tensor_prefix(layer)
    depth = 1 if layer.kind == "depthwise" else layer.input[2]
    norm = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.conv.weight": (channels, depth, layer.kernel, layer.kernel)} | {
        f"{prefix}.bn.{name}": (channels,) for name in norm
    }


def tensor_prefix(layer: Layer) -> str:
    """What the names of a convolution's tensors start with."""
    parts = layer.name.split(".")
    return ".".join([*parts[:2], "mobile_inverted_conv", *parts[2:]] if parts[0] == "blocks" else parts)


def _check(
    net: Net, source: Path | str, name: str, tensor: np.ndarray | None, shape: tuple[int, ...]
) -> None:
    if tensor is None:
        raise TinyswitchError(f"{source}: tensor {name!r} of net {net.name} is missing")
    if tensor.shape != shape:
        raise TinyswitchError(
            f"{source}: tensor {name!r} has shape {tensor.shape}, net {net.name} needs {shape}"
        )
    if not np.isfinite(tensor).all():
        raise TinyswitchError(f"{source}: tensor {name!r} holds values that are not finite")
    if name.endswith("running_var") and (tensor < 0).any():
        raise TinyswitchError(f"{source}: tensor {name!r} is a variance and holds negative values")


def _fold_layer(net: Net, layer: Layer, tensors: Mapping[str, np.ndarray]) -> Weights:
    if layer.kind == "dense":
        with np.errstate(over="ignore"):
            kernel, bias = (tensors[name].astype(np.float32) for name in tensor_names(layer))
        return Weights(np.ascontiguousarray(kernel.T), bias)
    names = tensor_names(layer)
    kernel, gamma, beta, mean, variance = (tensors[name].astype(np.float64) for name in names)
    axes = (2, 3, 0, 1) if layer.kind == "depthwise" else (2, 3, 1, 0)
    with np.errstate(over="ignore", invalid="ignore"):  # ``fold`` looks at the result
        factor = gamma / np.sqrt(variance + net.bn_eps)
        kernel = (kernel * factor[:, None, None, None]).transpose(axes)
        return Weights(np.ascontiguousarray(kernel, np.float32), (beta - mean * factor).astype(np.float32))
