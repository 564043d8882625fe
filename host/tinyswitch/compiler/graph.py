"""A model as the compiler sees it: operators on feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(eq=False)
class Tensor:
    """A tensor of a ``.tflite``; real = scale * (q - zero_point), per channel if it has several."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scales: np.ndarray  # float32, (1,) or (channels,); empty if not quantised
    zero_points: np.ndarray  # int64, as long as scales
    axis: int  # of the channels that scales belong to
    data: np.ndarray | None  # constant contents, else None

    @property
    def scale(self) -> float:
        """The one scale, as the float32 it is stored as."""
        return float(self.scales[0])

    @property
    def zero_point(self) -> int:
        return int(self.zero_points[0])


@dataclass(eq=False)
class Operator:
    """One operator of a ``.tflite``."""

    index: int
    name: str  # BuiltinOperator name, "CONV_2D"
    inputs: list[Tensor | None]  # None: an optional input left out
    outputs: list[Tensor]
    options: Any  # the schema's options object, or None
    version: int = 1  # of the operator's definition


@dataclass
class Graph:
    """Operators in execution order."""

    source: str  # file name, for messages
    operators: list[Operator]
    inputs: list[Tensor]
    outputs: list[Tensor]
    crc32: int
