"""Feature maps as the compiler, the link and the evaluation speak of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TensorInfo:
    """An 8-bit feature map of a model's boundary; real = scale * (q - zero_point)."""

    shape: tuple[int, int, int]  # height, width, channels
    dtype: np.dtype  # int8 or uint8
    scale: float
    zero_point: int


def rows_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, channels) of a batch-1 tensor: the last axis is channels, missing ones are 1."""
    dims = tuple(int(d) for d in shape)
    dims = dims[1:] if len(dims) > 1 and dims[0] == 1 else dims
    dims = (1,) * (3 - len(dims)) + dims
    if len(dims) != 3:
        raise ValueError(f"shape {shape} has a batch or more than three other dimensions")
    return dims
