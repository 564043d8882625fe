"""Weights of smaller sub-networks as views of larger ones': the middle of a window, the first channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinyswitch.compiler.plan import Plan, Stage, Weights


@dataclass(frozen=True)
class View:
    """Where weights lie inside others."""

    base: Weights
    offset: int  # bytes

    def stride(self, axis: int) -> int:
        return stride(self.base.values.shape, axis)


def stride(shape: Sequence[int], axis: int) -> int:
    """Bytes from one index of an axis to the next."""
    return prod(shape[axis + 1 :])


def find_views(plans: Sequence[Plan]) -> dict[Weights, View]:
    """For the weights that are part of another model's: where they lie in the largest such ones.

    Only stages whose outputs have the same name are compared, byte by byte.
    """
    alike: dict[tuple, list[Weights]] = defaultdict(list)
    for plan in plans:
        for stage in plan.stages:
            for i, weights in enumerate(stage.weights):
                alike[_key(stage, i)].append(weights)
    found: dict[Weights, View] = {}
    for several in alike.values():
        by_size = sorted(several, key=lambda w: -w.values.size)
        for weights in several:
            views = (_view(weights, base) for base in by_size if base.values.size > weights.values.size)
            view = next((v for v in views if v is not None), None)
            if view is not None:
                found[weights] = view
    return found


def _key(stage: Stage, index: int) -> tuple:
    weights = stage.weights[index]
    return stage.output.name, stage.kernel, index, weights.values.ndim


def _view(weights: Weights, base: Weights) -> View | None:
    small, large = weights.values.shape, base.values.shape
    axes = range(len(small))
    if any(s > b for s, b in zip(small, large, strict=True)):
        return None
    if any((large[a] - small[a]) % 2 for a in weights.taps):
        return None
    if any(stride(small, a) != stride(large, a) for a in axes if a not in weights.strided and small[a] > 1):
        return None  # the kernel cannot be told
    first = [(large[a] - small[a]) // 2 if a in weights.taps else 0 for a in axes]
    part = base.values[tuple(slice(f, f + s) for f, s in zip(first, small, strict=True))]
    if not np.array_equal(part, weights.values):
        return None
    return View(base, sum(f * stride(large, a) for a, f in zip(axes, first, strict=True)))
