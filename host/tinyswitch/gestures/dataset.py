"""Windows of recordings with their features, divided by recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.features.spectral import Extractor, Window
from tinyswitch.gestures.recording import Recording
from tinyswitch.gestures.sampling import STEP_S, at_rate, starts

FEWEST = 4  # recordings of a class: some to train with, some to hold out


@dataclass(frozen=True)
class Augmentation:
    """How far a recording's variants may be from it; drawn evenly, anew for each variant."""

    variants: int = 4  # of each recording, besides itself
    degrees: float = 20.0  # rotation about a random axis: the board is held otherwise
    scale: float = 1.25  # movements larger or smaller by up to this factor
    stretch: float = 1.12  # and slower or faster


@dataclass(frozen=True)
class Windows:
    """``features`` (n, features) int8; ``labels`` (n,) index of the class; ``recordings`` (n,) index."""

    features: np.ndarray
    labels: np.ndarray
    recordings: np.ndarray


def classes(recordings: Sequence[Recording]) -> list[str]:
    """The labels, sorted. Raises TinyswitchError for less than two, or too few recordings of one."""
    labels = [recording.label for recording in recordings]
    names = sorted(set(labels))
    for name in names:
        if labels.count(name) < FEWEST:
            raise TinyswitchError(
                f"{recordings[0].path.parent}: {labels.count(name)} recordings of {name!r}; "
                f"at least {FEWEST} of each gesture are needed"
            )
    if len(names) < 2:
        raise TinyswitchError(
            f"{recordings[0].path.parent}: only {names[0]!r}; at least two gestures are needed"
        )
    return names


def split(recordings: Sequence[Recording], share: float, seed: int) -> tuple[list[int], list[int]]:
    """(train, held out): indices of recordings, ``share`` of each class held out, drawn with ``seed``."""
    rng = np.random.default_rng(seed)
    held_out: list[int] = []
    for name in sorted({recording.label for recording in recordings}):
        of_class = [i for i, recording in enumerate(recordings) if recording.label == name]
        held_out += rng.permutation(of_class)[: max(1, round(share * len(of_class)))].tolist()
    return sorted(set(range(len(recordings))) - set(held_out)), sorted(held_out)


def windows(
    recordings: Sequence[Recording],
    chosen: Sequence[int],
    window: Window,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> Windows:
    """All windows of the ``chosen`` recordings, and with ``augmentation`` of variants of them."""
    names = classes(recordings)
    extractor, rng = Extractor(window), np.random.default_rng(seed)
    features, labels, owners = [], [], []
    for index in chosen:
        recording = recordings[index]
        forms = [recording]
        if augmentation is not None:
            forms += [_variant(recording, augmentation, rng) for _ in range(augmentation.variants)]
        for form in forms:
            samples = at_rate(form, window.rate_hz)
            if form is not recording and len(samples) < window.samples:
                continue  # a variant that was made shorter
            for start in starts(form, samples, window):
                features.append(extractor.features(samples, int(start)))
                labels.append(names.index(recording.label))
                owners.append(index)
    return Windows(np.array(features), np.array(labels), np.array(owners))


def _variant(recording: Recording, augmentation: Augmentation, rng: np.random.Generator) -> Recording:
    turned = recording.samples @ _rotation(rng, augmentation.degrees).T
    gravity = turned.mean(0)
    moved = gravity + (turned - gravity) * _factor(rng, augmentation.scale)
    rate = recording.rate_hz * _factor(rng, augmentation.stretch)
    begin = int(rng.integers(0, max(1, round(STEP_S * recording.rate_hz))))  # windows begin elsewhere
    return Recording(recording.path, recording.label, rate, moved[begin:])


def _factor(rng: np.random.Generator, most: float) -> float:
    return float(most ** rng.uniform(-1, 1))


def _rotation(rng: np.random.Generator, degrees: float) -> np.ndarray:
    """Rodrigues' formula, with an axis drawn evenly from the sphere and an angle of up to ``degrees``."""
    x, y, z = (axis := rng.normal(size=3)) / np.linalg.norm(axis)
    angle = np.radians(degrees) * rng.uniform()
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
