"""A compiled model: stages on feature maps, their schedule and where everything lies in the arena."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch.tensor import TensorInfo


@dataclass(frozen=True)
class Planar:
    """Rows of channel after channel, zero points in front of each and behind the last; see stages.h."""

    margin: int  # zero points, bytes
    slack: int  # bytes behind a row that kernels may read


@dataclass(frozen=True)
class Paired:
    """Rows of int16 in the order of the matrix product; see dsp/matmul.h."""


def pair_words(channels: int) -> int:
    """Words of a pair of pixels, ``ts_pair_words()``."""
    return -(-channels // 8) * 8


@dataclass(eq=False)
class FeatureMap:
    """height x width x channels 8-bit values, channels innermost; real = scale * (q - zero_point)."""

    name: str
    height: int
    width: int
    channels: int
    dtype: np.dtype  # int8; uint8 only at the model's boundary
    scale: float
    zero_point: int
    constant: np.ndarray | None = None  # (height, width, channels), in flash
    layout: Planar | Paired | None = None  # None: pixels of interleaved channels

    @property
    def row_bytes(self) -> int:
        if isinstance(self.layout, Planar):
            margin = self.layout.margin
            return margin + self.channels * (self.width + margin) + self.layout.slack
        if isinstance(self.layout, Paired):
            return -(-self.width // 2) * 4 * pair_words(self.channels)
        return self.width * self.channels

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    @property
    def info(self) -> TensorInfo:
        return TensorInfo(self.shape, self.dtype, self.scale, self.zero_point)


@dataclass(frozen=True, eq=False)
class Weights:
    """int8 parameters, counted as weights and not as tables.

    They may be a view of a larger model's weights, see :mod:`tinyswitch.compiler.views`.
    """

    values: np.ndarray
    taps: tuple[int, ...] = ()  # axes of a window: a smaller one is the middle of a larger one
    strided: tuple[int, ...] = ()  # axes whose strides the kernel is told, as Stride


@dataclass(frozen=True)
class Stride:
    """Bytes from one index of an axis of ``weights`` to the next, where they lie in flash."""

    weights: Weights
    axis: int


@dataclass(frozen=True)
class Records:
    """A table of C structs with int32 fields: one row a struct."""

    c_type: str
    values: np.ndarray  # int32 (structs, fields)


# Which rows of an input a step reads: step -> range of rows.
Rows = Callable[[int], range]


@dataclass(eq=False)
class Stage:
    """One operator that makes its output row by row.

    ``params`` mirrors the C struct ``struct`` of firmware/engine/stages.h, field by field: int, float, an
    array (emitted as a table), :class:`Records`, :class:`Weights`,
    :class:`Stride`, a nested dict or a list of those.
    """

    kernel: str  # C function
    struct: str | None  # C type of params; None: the kind has none
    params: dict[str, Any]
    inputs: list[FeatureMap]
    output: FeatureMap
    reads: list[Rows]  # one an input
    accumulates: bool = False  # a step takes an input row; the output (one row) appears at the last step
    scratch_bytes: int = 0  # kept between steps only if it accumulates
    macs: int = 0

    @property
    def steps(self) -> int:
        return self.inputs[0].height if self.accumulates else self.output.height

    @property
    def weights(self) -> list[Weights]:
        """Those of its parameters, nested structs included."""
        values = list(self.params.values())
        nested = [v for struct in values if isinstance(struct, dict) for v in struct.values()]
        return [v for v in values + nested if isinstance(v, Weights)]

    def scratch_times(self, steps: list[int]) -> list[tuple[int, int]]:
        """When its scratch holds something, if it runs at the entries ``steps`` of the schedule."""
        return [(steps[0], steps[-1])] if self.accumulates else [(s, s) for s in steps]

    def row_made(self, step: int) -> int | None:
        """Output row that is complete after ``step``."""
        if not self.accumulates:
            return step
        return 0 if step == self.steps - 1 else None


INPUT = -1  # in a schedule: the next row of the model's input arrives


@dataclass(eq=False)
class Placement:
    """Where a feature map lies: row r is at offset + (r % slots) * row_bytes."""

    offset: int
    slots: int


@dataclass(eq=False)
class Plan:
    """Everything the generated C says; sizes in bytes."""

    name: str  # file stem, ASCII, at most 47 characters
    source: Path
    id: int  # CRC-32 of the .tflite
    input_map: FeatureMap
    output_maps: list[FeatureMap]
    stages: list[Stage]
    schedule: list[int]  # stage indices and INPUT
    segments: list[range]  # of stages that run together
    placements: dict[FeatureMap, Placement]
    scratch: dict[Stage, int]  # offsets
    steps_offset: int
    arena_bytes: int
    activation_bytes: int

    @property
    def input(self) -> TensorInfo:
        return self.input_map.info

    @property
    def outputs(self) -> list[TensorInfo]:
        return [m.info for m in self.output_maps]

    @property
    def scratch_bytes(self) -> int:
        """Accumulators and step counters: what the arena holds beyond feature maps."""
        return self.arena_bytes - self.activation_bytes

    @property
    def macs(self) -> int:
        return sum(s.macs for s in self.stages)

    @property
    def weight_bytes(self) -> int:
        return sum(w.values.nbytes for s in self.stages for w in s.weights)

    @property
    def maps(self) -> list[FeatureMap]:
        """Every feature map, constants included, in the order of the generated table."""
        seen = dict.fromkeys([self.input_map])
        for stage in self.stages:
            seen.update(dict.fromkeys([*stage.inputs, stage.output]))
        return list(seen)
