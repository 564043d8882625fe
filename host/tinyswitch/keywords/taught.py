"""Variants of clips with what the teacher hears in them, computed once and kept under build/keywords."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from tinyswitch import data
from tinyswitch.features.frontend import CHANNELS, ROWS
from tinyswitch.keywords import features
from tinyswitch.keywords.augment import Augmentation, Heard, Variants
from tinyswitch.keywords.clips import Clip
from tinyswitch.keywords.teacher import STARTS, WIDTH, Teacher

PIECE = 32  # clips that a process takes at a time


@dataclass(frozen=True)
class Taught:
    """Variants of n clips, ``count`` of each, and joints of two clips each, m of them.

    Without a teacher there are no joints, and the embeddings are empty: 0 in place of 4.
    """

    images: np.ndarray  # (n, count, 49, 40) int8
    embeddings: np.ndarray  # (n, count, 4, 96) float16
    joined: np.ndarray  # (m, 49, 40) int8
    joined_embeddings: np.ndarray  # (m, 4, 96) float16


def prepare(
    clips: Sequence[Clip],
    count: int,
    joints: int,
    augmentation: Augmentation,
    seed: int,
    step: Callable[[int], None] = lambda _: None,
    *,
    teacher: bool = True,
) -> Taught:
    """``joints`` joined sounds for each clip. ``step`` is called with the number of clips done since.

    Raises TinyswitchError if there shall be a ``teacher`` but is none.
    """
    joints = joints if teacher else 0
    key = features.key(clips, (), count, augmentation, seed, f"taught {joints} {teacher}")
    path = features.FOLDER / f"{key}.npz"
    if path.exists():
        with np.load(path) as kept:
            return Taught(*(kept[name] for name in Taught.__annotations__))
    pieces = [range(at, min(at + PIECE, len(clips))) for at in range(0, len(clips), PIECE)]
    workers = min(os.cpu_count() or 1, len(pieces))
    shared = (clips, count, joints, augmentation, seed, teacher)
    made = []
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, shared) as pool:
        for piece, found in zip(pieces, pool.map(_piece, pieces), strict=True):
            made.append(found)
            step(len(piece))
    taught = Taught(*(np.concatenate(parts) for parts in zip(*made, strict=True)))
    content = io.BytesIO()
    np.savez(content, **vars(taught))
    data.write_file(path, content.getvalue())
    return taught


_shared: tuple[Sequence[Clip], int, int, Augmentation, int]
_teacher: Teacher | None


def _begin(*shared: Any) -> None:
    global _shared, _teacher
    os.nice(5)
    *_shared, teacher = shared  # type: ignore[assignment]
    _teacher = Teacher() if teacher else None


def _piece(indices: range) -> tuple[np.ndarray, ...]:
    """What Taught has, of some of the clips."""
    clips, count, joints, augmentation, seed = _shared
    rng = np.random.default_rng([seed, indices[0]])
    maker = Variants(augmentation, clips, int(rng.integers(2**31)))
    said = [[maker.heard(clips[i]) for _ in range(count)] for i in indices]
    joined = [
        maker.joined(*(clips[k] for k in rng.integers(len(clips), size=2)))
        for _ in indices
        for _ in range(joints)
    ]
    return (
        np.array([[heard.features for heard in row] for row in said]),
        np.array([[_embed(heard) for heard in row] for row in said], np.float16),
        np.array([heard.features for heard in joined], np.int8).reshape(-1, ROWS, CHANNELS),
        np.array([_embed(heard) for heard in joined], np.float16).reshape(-1, len(STARTS), WIDTH),
    )


def _embed(heard: Heard) -> np.ndarray:
    return _teacher.embed(heard.sound) if _teacher else np.empty((0, WIDTH), np.float16)
