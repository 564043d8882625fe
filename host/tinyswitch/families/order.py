"""Sorts the channels of expansions by importance, so that the first ones are those to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyswitch.families.derive import block_numbers, expanded_channels
from tinyswitch.families.family import Family
from tinyswitch.nets.net import Layer, Net
from tinyswitch.nets.weights import fold, tensor_prefix

DEAD = 1e-4  # a channel of ReLU6 that varies by less, over all images and pixels, never fires

Tensors = Mapping[str, np.ndarray]  # of a checkpoint: PyTorch's names and layouts


def prepare(family: Family, tensors: Tensors, images: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors of ``family.net``, of those of ``family.whole``: expansions sorted, and cut to its widths.

    ``images``: (n, h, w, c) float32 as the net takes them; used where the order is to be by importance. What
    a channel that is cut always gave, if it is dead, goes into the batch norm behind, so that leaving out
    dead channels changes nothing.
    """
    result = dict(tensors)
    if family.order == "importance":
        activity = _activity(family.whole, tensors, images)
    for number in block_numbers(family.whole):
        kept = expanded_channels(family.net, number)
        if kept is None:
            continue
        if family.order == "importance":
            mean, deviation = activity[number]
            order = np.argsort(-_importance(family, number, tensors, deviation), kind="stable")
            _absorb(family, number, result, order[kept:], np.where(deviation == 0, mean, 0))
        else:
            order = np.arange(expanded_channels(family.whole, number))
        _select(family, number, result, order[:kept])
    return result


def _layers(net: Net, number: int) -> dict[str, Layer]:
    """The convolutions of a block by what they are."""
    prefix = f"blocks.{number}."
    return {layer.name.removeprefix(prefix): layer for layer in net.layers if layer.name.startswith(prefix)}


def _importance(family: Family, number: int, tensors: Tensors, deviation: np.ndarray) -> np.ndarray:
    """What each channel adds to the deviation of the block's output, in units of batch norm's gamma.

    The depthwise output's own deviation times the norm of the weights that take it on; 0 for a dead channel.
    """
    prefix = tensor_prefix(_layers(family.whole, number)["point_linear"])
    names = ("weight", "running_var")
    gamma, variance = (tensors[f"{prefix}.bn.{name}"].astype(np.float64) for name in names)
    factor = gamma / np.sqrt(variance + family.whole.bn_eps)
    weights = tensors[f"{prefix}.conv.weight"][:, :, 0, 0] * factor[:, None]
    return deviation * np.sqrt((weights**2).sum(axis=0))


def _absorb(
    family: Family, number: int, tensors: dict[str, np.ndarray], cut: np.ndarray, constant: np.ndarray
) -> None:
    """The batch norm behind takes off its mean what the channels ``cut`` gave: their ``constant``."""
    prefix = tensor_prefix(_layers(family.whole, number)["point_linear"])
    weights = tensors[f"{prefix}.conv.weight"][:, cut, 0, 0].astype(np.float64)
    mean = tensors[f"{prefix}.bn.running_mean"]
    tensors[f"{prefix}.bn.running_mean"] = (mean - weights @ constant[cut]).astype(np.float32)


def _select(family: Family, number: int, tensors: dict[str, np.ndarray], order: np.ndarray) -> None:
    layers = _layers(family.whole, number)
    for part in ("inverted_bottleneck", "depth_conv"):
        prefix = tensor_prefix(layers[part])
        names = [f"{prefix}.bn.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
        for name in [f"{prefix}.conv.weight", *names]:
            tensors[name] = tensors[name][order]
    weights = f"{tensor_prefix(layers['point_linear'])}.conv.weight"
    tensors[weights] = np.ascontiguousarray(tensors[weights][:, order])


def _activity(net: Net, tensors: Tensors, images: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Block → mean and deviation of each channel of its depthwise output over images and pixels."""
    import tensorflow as tf

    from tinyswitch.quantize.float_model import apply

    weights = fold(net, tensors, net.name)
    value = tf.constant(images)
    kept: dict[int, Any] = {-1: value}
    found = {}
    for index, layer in enumerate(net.layers):
        shortcut = kept[layer.shortcut] if layer.shortcut is not None else None
        value = apply(layer, value, weights.get(layer.name), shortcut)
        value = tf.nn.relu6(value) if layer.relu6 else value
        kept[index] = value
        wanted = {later.shortcut for later in net.layers[index + 1 :]}
        kept = {key: value for key, value in kept.items() if key in wanted}
        if layer.kind == "depthwise":
            number = int(layer.name.split(".")[1])
            mean, variance = tf.nn.moments(tf.cast(value, tf.float64), (0, 1, 2))
            constant = tf.reduce_max(value, (0, 1, 2)) - tf.reduce_min(value, (0, 1, 2)) < DEAD
            found[number] = mean.numpy(), np.where(constant, 0, np.sqrt(variance))
    return found
