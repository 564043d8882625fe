"""That sub-networks share their weights, read back from the files: each tensor a view of the largest's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyswitch.compiler import tflite
from tinyswitch.errors import TinyswitchError


@dataclass(frozen=True)
class Proof:
    """Figures of a proof that held."""

    tensors: int  # compared, those of the first model that has them included
    bytes: int  # in these
    distinct_bytes: int  # of the tensors that the others are views of: the weights that flash must hold
    table_channels: dict[str, tuple[int, int]]  # model -> channels of its tables, and of those it has alone


def prove(models: Mapping[str, Path]) -> Proof:
    """Compares the weights of ``models``, the largest first. Raises TinyswitchError where a byte differs."""
    owners: dict[str, tuple[str, np.ndarray]] = {}  # layer -> the first model with it, its weights
    tables: set[tuple[str, bytes]] = set()
    channels: dict[str, tuple[int, int]] = {}
    tensors = compared = 0
    for model, path in models.items():
        whole = own = 0
        for layer, weights, table in _layers(path):
            owner, largest = owners.setdefault(layer, (model, weights))
            if not _is_view(weights, largest):
                raise TinyswitchError(
                    f"{path}: the weights of {layer} are not those of sub-network {owner}: no shared bytes"
                )
            tensors, compared = tensors + 1, compared + weights.size
            count = len(table) // 8
            whole, own = whole + count, own + (count if (layer, table) not in tables else 0)
            tables.add((layer, table))
        channels[model] = whole, own
    return Proof(tensors, compared, sum(largest.size for _, largest in owners.values()), channels)


def _layers(path: Path) -> list[tuple[str, np.ndarray, bytes]]:
    """(name, int8 weights, bias and scales) of each operator that has weights."""
    found = []
    for op in tflite.read(path).operators:
        if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            source, weights, bias = op.inputs
            relative = weights.scales * source.scale / op.outputs[0].scale
            table = bias.data.astype("<i4").tobytes() + relative.astype("<f4").tobytes()
            found.append((op.outputs[0].name, weights.data, table))
    return found


def _is_view(part: np.ndarray, whole: np.ndarray) -> bool:
    """Whether ``part`` is the first channels and the middle taps of ``whole``, both as in the file."""
    if part.ndim != whole.ndim or any(a > b for a, b in zip(part.shape, whole.shape, strict=True)):
        return False
    taps = (1, 2) if part.ndim == 4 else ()
    place = tuple(
        slice((b - a) // 2, (b - a) // 2 + a) if axis in taps else slice(a)
        for axis, (a, b) in enumerate(zip(part.shape, whole.shape, strict=True))
    )
    return np.array_equal(part, whole[place])
