"""What the host makes of a recording: features by the firmware's C, the model under LiteRT, the means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyswitch.evaluate.litert import LiteRtModel, litert_errors
from tinyswitch.features.spectral import Extractor
from tinyswitch.gestures.recording import Recording
from tinyswitch.gestures.sampling import at_rate, starts
from tinyswitch.gestures.table import Entry
from tinyswitch.link.gesture import UNCERTAIN, threshold_steps

SMOOTHING = 3  # windows that an answer is the mean of
THRESHOLD = 0.6  # probability that it needs


@dataclass(frozen=True)
class Answer:
    """Of one window, as integers: what a board must say, too."""

    first: int  # number of its first sample
    answer: int  # class, or UNCERTAIN
    raw: tuple[int, ...]  # probabilities in 1/256
    smoothed: tuple[int, ...]  # their mean over the last windows in 1/65536


class Reference:
    """Answers for an entry. Raises TinyswitchError for a model that LiteRT refuses."""

    def __init__(self, entry: Entry, smoothing: int = SMOOTHING, threshold: float = THRESHOLD):
        self._entry, self._smoothing, self._threshold = entry, smoothing, threshold_steps(threshold)
        self._extractor = Extractor(entry.rate.window)
        self._model = LiteRtModel(entry.record.model)

    def samples(self, recording: Recording) -> np.ndarray:
        """The recording as the sensor gives it, (n, 3) int16. Raises TinyswitchError if it has no window."""
        window = self._entry.rate.window
        samples = at_rate(recording, window.rate_hz)
        starts(recording, samples, window)  # says if it is too short
        return samples

    def answers(self, samples: np.ndarray) -> list[Answer]:
        """Of each window, in order."""
        rate = self._entry.rate
        found: list[Answer] = []
        for first in range(0, len(samples) - rate.window.samples + 1, rate.step):
            raw = self._raw(samples, first)
            found.append(self._smooth([answer.raw for answer in found] + [raw], first))
        return found

    def _raw(self, samples: np.ndarray, first: int) -> tuple[int, ...]:
        features = self._extractor.features(samples, first)[list(self._entry.record.features)]
        with litert_errors(self._entry.record.model):
            outputs = self._model.run(features.reshape(self._model.input.shape))
        return tuple(int(score) + 128 for score in outputs[0].reshape(-1))

    def _smooth(self, history: list[tuple[int, ...]], first: int) -> Answer:
        last = np.array(history[-self._smoothing :])
        means = (256 * last.sum(0) + len(last) // 2) // len(last)
        best = int(means.argmax())
        answer = best if means[best] >= self._threshold else UNCERTAIN
        return Answer(first, answer, history[-1], tuple(int(mean) for mean in means))
