"""Batch norm of sub-networks without training: the trained statistics, moved by what the cuts change.

Delta calibration: over the same images, mean and variance in front of each batch norm are measured in the
whole float net (full) and in the sub-network with its int8 weights (sub). The trained ones (0) then become
    mean = mean0 + (mean_sub - mean_full) * sqrt(var0 / var_full),  variance = var0 * var_sub / var_full.
Against plain re-estimation, which takes mean_sub and var_sub, the trained statistics keep what few images
cannot tell. The whole net is treated as a sub-network too: that takes back most of what rounding costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyswitch.families.forward import activate, convolve, sweep, unnormed
from tinyswitch.families.shared import Norm, Shared, SharedLayer
from tinyswitch.families.tables import Table, Tables, fold
from tinyswitch.families.views import along_channels, view
from tinyswitch.nets.net import Layer, Net
from tinyswitch.quantize.float_model import apply

CONSTANT = 1e-4  # a channel that varies by less over all images and pixels gives a constant
TINY = 1e-12  # added to variances that are divided


@dataclass(frozen=True)
class Statistics:
    """Of one layer in the whole float net, over the calibration images; float64 (out,)."""

    mean: np.ndarray  # in front of batch norm
    variance: np.ndarray
    constant: np.ndarray  # bool: its output, activation included, does not vary
    level: np.ndarray  # the mean behind batch norm, in front of the activation


def measure(net: Net, shared: Shared, images: np.ndarray) -> dict[str, Statistics]:
    """Statistics of each layer with batch norm in the float net with its trained batch norm.

    ``images``: (n, h, w, c) float32 in [-1, 1]. Only the exact weights of ``shared`` count.
    """
    import tensorflow as tf

    found: dict[str, Statistics] = {}

    def compute(layer: Layer, value: Any, shortcut: Any) -> Any:
        output = unnormed(shared, layer, value, shortcut)
        if output is not None:
            return output
        own = shared[layer.name]
        raw = convolve(layer, value, own.exact)
        mean, variance = _moments(raw)
        output = activate(layer, _normed(raw, own.norm))
        axes = tuple(range(output.ndim - 1))
        constant = tf.reduce_max(output, axes) - tf.reduce_min(output, axes) < CONSTANT
        level = own.norm.factor * mean + own.norm.offset
        found[layer.name] = Statistics(mean, variance, constant.numpy(), level)
        return output

    for _ in sweep(net, images, compute):
        pass
    return found


def calibrate(
    net: Net, shared: Shared, statistics: Mapping[str, Statistics], images: np.ndarray, given: Tables
) -> Tables:
    """The tables of ``net``, cut from the net of ``statistics``, over the same images at its resolution.

    Tables of ``given`` are taken as they are, the others measured behind them.
    """
    tables: Tables = {}

    def compute(layer: Layer, value: Any, shortcut: Any) -> Any:
        if not layer.weights:
            return activate(layer, apply(layer, value, None, shortcut))
        own = shared[layer.name]
        if layer.name in given:
            tables[layer.name] = given[layer.name]
        elif own.norm is None:
            tables[layer.name] = _dense(layer, own, value)
        else:
            raw = convolve(layer, value, _kernel(layer, own))
            norm = _moved(own.norm.first(layer.output[2]), *_moments(raw), statistics[layer.name])
            tables[layer.name] = _with_constants(fold(own, norm), statistics[layer.name])
            return activate(layer, _normed(raw, norm, tables[layer.name].offset))
        table = tables[layer.name]
        kernel = view(layer, own.values) * along_channels(layer, table.scale)
        return activate(layer, convolve(layer, value, kernel, table.offset))

    for _ in sweep(net, images, compute):
        pass
    return tables


def unchanged(net: Net, whole: Net) -> set[str]:
    """Names of the first layers of ``net``, up to where it begins to differ from ``whole``."""
    names = set()
    for layer, other in zip(net.layers, whole.layers, strict=False):
        if layer != other:
            break
        names.add(layer.name)
    return names


def _kernel(layer: Layer, own: SharedLayer) -> np.ndarray:
    """The weights as they were before batch norm, rounded."""
    channels = layer.output[2]
    return view(layer, own.values) * along_channels(layer, (own.sign * own.step)[:channels])


def _normed(raw: Any, norm: Norm, offset: np.ndarray | None = None) -> Any:
    offset = norm.offset if offset is None else offset
    return raw * norm.factor.astype(np.float32) + offset.astype(np.float32)


def _moments(raw: Any) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    mean, variance = tf.nn.moments(raw, tuple(range(raw.ndim - 1)))
    return mean.numpy().astype(np.float64), variance.numpy().astype(np.float64)


def _moved(norm: Norm, mean: np.ndarray, variance: np.ndarray, full: Statistics) -> Norm:
    channels = len(mean)
    full_mean, full_variance = full.mean[:channels], full.variance[:channels] + TINY
    moved = norm.mean + (mean - full_mean) * np.sqrt((norm.variance + TINY) / full_variance)
    return Norm(norm.gamma, norm.beta, moved, norm.variance * variance / full_variance, norm.eps)


def _with_constants(table: Table, full: Statistics) -> Table:
    channels = len(table.offset)
    constant, level = full.constant[:channels], full.level[:channels]
    return Table(table.scale, np.where(constant, level, table.offset))


def _dense(layer: Layer, own: SharedLayer, value: Any) -> Table:
    """Its bias makes up for what rounding the weights changes at the mean input."""
    import tensorflow as tf

    mean = tf.reduce_mean(tf.reshape(value, (value.shape[0], -1)), 0).numpy().astype(np.float64)
    error = view(layer, own.exact) - view(layer, own.values) * own.step
    return Table(own.step, own.bias + mean @ error)
