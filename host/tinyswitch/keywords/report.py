"""How often a keyword model is right, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tinyswitch.evaluate import confusion
from tinyswitch.evaluate.display import percent
from tinyswitch.gestures.scores import Scores
from tinyswitch.keywords.clips import CLASSES


def confusion_table(scores: Scores, caption: str) -> Table:
    """Of clips that stand alone."""
    title = f"{percent(scores.accuracy)} of {scores.windows} clips right"
    return confusion.table(scores, CLASSES, title, caption)


def class_table(scores: Scores, in_stream: Scores, required: Sequence[float]) -> Table:
    """The share of each class's clips that is right, against what it must exceed."""
    table = Table(
        title="right, by class", caption="in a stream: heard after another clip, by the mean of half a second"
    )
    table.add_column("class")
    for name in ("clips", "alone", "in a stream", "to exceed", "exceeded"):
        table.add_column(name, justify="right")
    for i, name in enumerate(CLASSES):
        alone, after = scores.recall[i], in_stream.recall[i]
        clips = str(scores.confusion[i].sum())
        exceeded = "yes" if min(alone, after) > required[i] else "alone" if alone > required[i] else "no"
        table.add_row(name, clips, percent(alone), percent(after), percent(required[i]), exceeded)
    return table
