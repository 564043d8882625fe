"""Clips as they might have been: elsewhere in the second, louder, faster, in noise, after other sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyswitch.features.frontend import CHANNELS, RATE, ROWS, Frontend
from tinyswitch.keywords.clips import SILENCE, Clip
from tinyswitch.keywords.wav import as_int16

JOINT = 480  # samples over which one clip fades into another
LEAD_ROWS = 50  # of what is heard before a clip in a stream: 1 s


@dataclass(frozen=True)
class Augmentation:
    """How far a clip's variants may be from it; drawn evenly, anew for each variant."""

    shift_s: float = 0.15  # earlier or later
    speed: float = 1.2  # faster or slower by up to this factor
    quieter_db: float = 20.0
    louder_db: float = 6.0  # what exceeds int16 is cut off
    noisy: float = 0.6  # share of the variants with noise
    snr_db: tuple[float, float] = (3.0, 30.0)  # signal to noise
    lead: float = 0.5  # share of the variants that are heard after another sound, not at the stream's begin
    spoken: float = 0.6  # share of those sounds that are other clips; the rest is noise


@dataclass(frozen=True)
class Heard:
    """A variant: its second of sound (16000,) int16, and the features (49, 40) int8 at its end."""

    sound: np.ndarray
    features: np.ndarray


class Variants:
    """Makes variants; noises are the silences among ``others``, any of which may be heard before."""

    def __init__(self, augmentation: Augmentation, others: Sequence[Clip], seed: int):
        self._a, self._rng = augmentation, np.random.default_rng(seed)
        self._others = others
        self._backgrounds = [clip.samples.astype(float) for clip in others if clip.label == SILENCE]
        self._frontend = Frontend()

    def features(self, clip: Clip) -> np.ndarray:
        """(49, 40) int8 of a variant."""
        return self.heard(clip).features

    def heard(self, clip: Clip) -> Heard:
        """A variant, with its sound."""
        sound = moved(stretched(clip.samples.astype(float), self._factor()), self._shift())
        return self._recorded(sound, clip.label == SILENCE)

    def joined(self, first: Clip, second: Clip) -> Heard:
        """The begin of one clip and the end of another, as one sound that nobody said; varied like a clip."""
        sounds = [stretched(clip.samples.astype(float), self._factor()) for clip in (first, second)]
        at = self._rng.uniform(0.35, 0.65) * RATE
        second_share = np.clip((np.arange(RATE) - at) / JOINT + 0.5, 0, 1)
        loud = [max(loudness(sound), 1.0) for sound in sounds]
        sound = sounds[0] * (1 - second_share) + sounds[1] * second_share * loud[0] / loud[1]
        return self._recorded(moved(sound, self._shift()), False)

    def _recorded(self, sound: np.ndarray, silent: bool) -> Heard:
        """Louder or not, in noise or not, after another sound or not."""
        a, rng = self._a, self._rng
        if silent:
            gain = 10 ** (rng.uniform(-2 * a.quieter_db, a.louder_db) / 20)
        else:
            gain = 10 ** (rng.uniform(-a.quieter_db, a.louder_db) / 20)
        sound = sound * gain
        before = self._before() * gain
        if rng.random() < a.noisy:
            ratio = 10 ** (rng.uniform(*a.snr_db) / 20)
            noise = np.concatenate([self._noise(), self._noise()])
            noise *= loudness(sound) / ratio / max(loudness(noise), 1.0)
            before, sound = before + noise[:RATE], sound + noise[RATE:]
        second = as_int16(sound)
        if rng.random() < a.lead:
            return Heard(second, after(as_int16(before), second, self._frontend))
        return Heard(second, alone(second, self._frontend))

    def _factor(self) -> float:
        return float(self._a.speed ** self._rng.uniform(-1, 1))

    def _shift(self) -> int:
        return round(RATE * self._rng.uniform(-self._a.shift_s, self._a.shift_s))

    def _before(self) -> np.ndarray:
        if self._rng.random() < self._a.spoken:
            return self._others[self._rng.integers(len(self._others))].samples.astype(float)
        return self._noise()

    def _noise(self) -> np.ndarray:
        """A second: a background turned round at a random place, or hiss."""
        rng = self._rng
        if rng.random() < 0.15:
            return rng.normal(size=RATE) * 100
        background = self._backgrounds[rng.integers(len(self._backgrounds))]
        return np.roll(background, rng.integers(RATE)) * 10 ** rng.uniform(-1, 0)


def alone(samples: np.ndarray, frontend: Frontend) -> np.ndarray:
    """(49, 40) int8 of a clip (16000,) int16 at the begin of a stream."""
    frontend.reset()
    return frontend.rows(samples)[:ROWS]


def after(before: np.ndarray, samples: np.ndarray, frontend: Frontend) -> np.ndarray:
    """The same of a clip that is heard after ``before``, (16000,) int16: the noise estimate has settled."""
    frontend.reset()
    return frontend.rows(np.concatenate([before, samples]))[LEAD_ROWS : LEAD_ROWS + ROWS]


def loudness(sound: np.ndarray) -> float:
    """RMS of the loudest tenth of a second: pauses around a word do not count."""
    return float(np.sqrt((sound.reshape(10, -1) ** 2).mean(1).max()))


def stretched(sound: np.ndarray, factor: float) -> np.ndarray:
    """``factor`` times as fast (and as high) about the middle; beyond the ends there is silence."""
    middle = (len(sound) - 1) / 2
    at = middle + (np.arange(len(sound)) - middle) * factor
    return np.interp(at, np.arange(len(sound)), sound, left=0, right=0)


def moved(sound: np.ndarray, samples: int) -> np.ndarray:
    """Later by ``samples``, earlier if negative; silence follows or goes before."""
    result = np.zeros_like(sound)
    if samples >= 0:
        result[samples:] = sound[: len(sound) - samples]
    else:
        result[:samples] = sound[-samples:]
    return result


def masked(features: np.ndarray, rng: np.random.Generator, rows: int, channels: int) -> np.ndarray:
    """(n, 49, 40) int8 with up to ``rows`` rows and ``channels`` channels of each silenced.

    "SpecAugment" (Park et al. 2019) with one mask of each kind.
    """
    result = features.copy()
    for image in result:
        height, width = rng.integers(0, rows + 1), rng.integers(0, channels + 1)
        top, left = rng.integers(0, ROWS - height + 1), rng.integers(0, CHANNELS - width + 1)
        image[top : top + height] = -128
        image[:, left : left + width] = -128
    return result
