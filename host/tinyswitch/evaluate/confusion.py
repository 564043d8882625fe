"""A confusion matrix as a table and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.table import Table

from tinyswitch.evaluate.figure import save


class Scored(Protocol):
    """What gestures.scores.Scores has: rows of ``confusion`` (classes, classes) are the truth."""

    confusion: np.ndarray

    @property
    def precision(self) -> np.ndarray: ...

    @property
    def recall(self) -> np.ndarray: ...

    @property
    def f1(self) -> np.ndarray: ...


def table(scores: Scored, classes: Sequence[str], title: str, caption: str) -> Table:
    """How often which class was answered, with precision, recall and F1 of each."""
    result = Table(title=title, caption=caption)
    result.add_column("truth \\ answer")
    for name in [*classes, "precision", "recall", "F1"]:
        result.add_column(name, justify="right")
    for i, name in enumerate(classes):
        rates = (scores.precision[i], scores.recall[i], scores.f1[i])
        result.add_row(name, *map(str, scores.confusion[i]), *(f"{rate:.3f}" for rate in rates))
    return result


def draw(scores: Scored, classes: Sequence[str], title: str, path: Path) -> Path:
    """The matrix, and F1 of each class, as PNG; raises TinyswitchError if it cannot be written."""
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    left.imshow(scores.confusion / np.maximum(scores.confusion.sum(1, keepdims=True), 1), "Blues", vmin=0)
    for (row, column), count in np.ndenumerate(scores.confusion):
        dark = count > scores.confusion[row].sum() / 2
        left.text(column, row, count, ha="center", va="center", color="white" if dark else "black")
    left.set(xlabel="answer", ylabel="truth")
    left.set_xticks(range(len(classes)), classes)
    left.set_yticks(range(len(classes)), classes)
    right.barh(range(len(classes)), scores.f1, 0.6)
    right.set_yticks(range(len(classes)), classes)
    right.invert_yaxis()
    right.set(xlabel="F1", xlim=(0, 1))
    figure.suptitle(title)
    return save(figure, path)
