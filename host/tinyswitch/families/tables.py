"""What a sub-network has of its own: a scale and an offset for each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyswitch.families.shared import Norm, SharedLayer


@dataclass(frozen=True)
class Table:
    """Of one layer, float64 (out,): output = scale * (int8 weights applied to the input) + offset."""

    scale: np.ndarray  # >= 0
    offset: np.ndarray


Tables = dict[str, Table]  # by the layer's name


def fold(shared: SharedLayer, norm: Norm) -> Table:
    """The table that batch norm ``norm`` makes of the first channels of a layer."""
    return Table(shared.step[: len(norm.gamma)] * np.abs(norm.factor), norm.offset)


def plain(shared: SharedLayer) -> Table:
    """That of a layer without batch norm."""
    return Table(shared.step, shared.bias)
