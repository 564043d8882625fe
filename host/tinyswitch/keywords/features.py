"""Features of clips and their variants, computed once and kept under build/keywords."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from tinyswitch import data
from tinyswitch.features.frontend import CHANNELS, HEADER, RATE, ROWS, STEP, Frontend
from tinyswitch.firmware.project import ROOT
from tinyswitch.keywords.augment import Augmentation, Variants, alone
from tinyswitch.keywords.clips import Clip
from tinyswitch.keywords.recording import PITCH

FOLDER = ROOT / "build" / "keywords"
AROUND, WINDOW_STEP = 12, 4  # rows


def plain(clips: Sequence[Clip]) -> np.ndarray:
    """(n, 49, 40) int8: each clip at the begin of a stream."""
    frontend = Frontend()
    return np.array([alone(clip.samples, frontend) for clip in clips])


def in_stream(clips: Sequence[Clip], seed: int) -> np.ndarray:
    """(n, 7, 49, 40) int8: windows about each clip, which is heard after another one, drawn with ``seed``.

    As when clips are played to a board (recording.joined), and it averages over half a second: windows that
    begin from 12 rows before the clip to 12 after it.
    """
    frontend, order = Frontend(), np.random.default_rng(seed).permutation(len(clips))
    pause = np.zeros(PITCH - RATE, np.int16)
    found = []
    for clip, other in zip(clips, order, strict=True):
        frontend.reset()
        rows = frontend.rows(np.concatenate([clips[other].samples, pause, clip.samples, pause]))
        firsts = PITCH // STEP + np.arange(-AROUND, AROUND + 1, WINDOW_STEP)
        found.append([rows[first : first + ROWS] for first in firsts])
    return np.array(found)


def of_variants(
    clips: Sequence[Clip],
    others: Sequence[Clip],
    count: int,
    augmentation: Augmentation,
    seed: int,
    step: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """(clips, count, 49, 40) int8; each clip itself first. ``step`` is called after each clip."""
    path = FOLDER / f"{key(clips, others, count, augmentation, seed)}.npy"
    if path.exists():
        return np.load(path)
    result = np.empty((len(clips), count, ROWS, CHANNELS), np.int8)
    maker = Variants(augmentation, others, seed)
    for i, clip in enumerate(clips):
        result[i, 0] = alone(clip.samples, Frontend())
        for j in range(1, count):
            result[i, j] = maker.features(clip)
        step()
    content = io.BytesIO()
    np.save(content, result)
    data.write_file(path, content.getvalue())
    return result


def key(
    clips: Sequence[Clip],
    others: Sequence[Clip],
    count: int,
    augmentation: Augmentation,
    seed: int,
    kind: str = "",
) -> str:
    """Of all that the features depend on: sounds, variants, and the code that computes them."""
    digest = hashlib.sha256(f"{kind}{count} {seed} {asdict(augmentation)}".encode())
    for path in (*sorted(HEADER.parent.glob("frontend*")), ROOT / "host/tinyswitch/keywords/augment.py"):
        digest.update(path.read_bytes())
    for clip in (*clips, *others):
        digest.update(f"{clip.label}".encode())
        digest.update(clip.samples.tobytes())
    return digest.hexdigest()[:16]
