"""Scales of the activations: the same in all sub-networks, from the union of what each of them shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tinyswitch.families.forward import Compute, sweep
from tinyswitch.nets.net import Net

INPUT = "image"  # the name of the nets' input


@dataclass(frozen=True)
class Range:
    """Real values that a tensor takes."""

    low: float
    high: float

    def union(self, other: Range) -> Range:
        """The smallest range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class Scale:
    """real = scale * (q - zero_point), q int8."""

    scale: float  # float32's value
    zero_point: int


def observe(net: Net, images: np.ndarray, compute: Compute, batch: int = 50) -> dict[str, Range]:
    """Layer -> smallest and largest value of its output over ``images``; clipping any costs accuracy."""
    import tensorflow as tf

    found: dict[str, Range] = {}
    for start in range(0, len(images), batch):
        for layer, value in sweep(net, images[start : start + batch], compute):
            seen = Range(float(tf.reduce_min(value)), float(tf.reduce_max(value)))
            found[layer.name] = seen.union(found.get(layer.name, seen))
    return found


def union(observed: Iterable[dict[str, Range]]) -> dict[str, Range]:
    """Layer -> range over all of ``observed``."""
    found: dict[str, Range] = {}
    for ranges in observed:
        for name, seen in ranges.items():
            found[name] = seen.union(found.get(name, seen))
    return found


def scales(ranges: dict[str, Range]) -> dict[str, Scale]:
    """Layer -> scale, and the input's: as quantize.convert has it, each pixel value one integer."""
    return {name: scale_of(seen) for name, seen in ranges.items()} | {INPUT: scale_of(Range(-1.0, 1.0))}


def scale_of(seen: Range) -> Scale:
    """The asymmetric int8 scale of a range, which is stretched to hold 0. Source: TensorFlow's converter."""
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    if high - low < 255 * np.finfo(np.float32).tiny:  # nothing to tell apart, and no scale that small
        return Scale(float(np.float32(1 / 255)), -128)
    scale = float(np.float32((high - low) / 255))
    return Scale(scale, int(np.clip(np.round(-128 - low / scale), -128, 127)))
