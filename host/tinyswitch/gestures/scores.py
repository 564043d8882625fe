"""How often answers are right, by window and by recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Of windows with known classes. ``confusion`` (classes, classes) int64: rows the truth."""

    confusion: np.ndarray
    recordings: int
    recordings_right: int  # by the majority of their windows

    @property
    def windows(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def precision(self) -> np.ndarray:
        """(classes,), 0 where nothing was answered."""
        return np.diag(self.confusion) / np.maximum(self.confusion.sum(0), 1)

    @property
    def recall(self) -> np.ndarray:
        return np.diag(self.confusion) / np.maximum(self.confusion.sum(1), 1)

    def per_class(self, classes: Sequence[str], digits: int | None = None) -> dict[str, dict[str, float]]:
        """Precision, recall and F1 by the class's name; rounded to ``digits`` behind the point if given."""

        def shown(rate: float) -> float:
            return rate if digits is None else round(rate, digits)

        rates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {
            name: {key: shown(float(values[i])) for key, values in rates.items()}
            for i, name in enumerate(classes)
        }

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall."""
        both = self.confusion.sum(0) + self.confusion.sum(1)
        return 2 * np.diag(self.confusion) / np.maximum(both, 1)


def score(answers: np.ndarray, labels: np.ndarray, recordings: np.ndarray, n_classes: int) -> Scores:
    """Of class indices answered and true (n,), and the recording (n,) each window is from.

    In a tie the first class has the majority.
    """
    confusion = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    owners = np.unique(recordings)
    right = 0
    for owner in owners:
        of_owner = recordings == owner
        majority = np.bincount(answers[of_owner], minlength=n_classes).argmax()
        right += int(majority == labels[of_owner][0])
    return Scores(confusion, len(owners), right)
