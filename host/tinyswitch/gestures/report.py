"""What a training gave, as tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.table import Table

from tinyswitch.evaluate import confusion
from tinyswitch.evaluate.display import percent
from tinyswitch.features import spectral
from tinyswitch.gestures.recording import AXES
from tinyswitch.gestures.train import Trained

SHOWN = 10  # features in the table of importance


def tables(trained: Trained) -> Iterator[Table]:
    """Scores with the confusion matrix, and the features that matter most."""
    yield _confusion(trained)
    yield _importance(trained)


def _confusion(trained: Trained) -> Table:
    scores, figures = trained.scores, trained.record["held_out"]
    slower = ", ".join(f"{percent(a)} at {rate} Hz" for rate, a in figures["accuracy_at_hz"].items())
    title = (
        f"{percent(scores.accuracy)} of {scores.windows} held-out windows right,\n"
        f"{scores.recordings_right} of {scores.recordings} held-out recordings"
    )
    caption = f"int8; float: {percent(figures['float_accuracy'])}\nwith slower samples: {slower}"
    return confusion.table(scores, trained.material.classes, title, caption)


def _importance(trained: Trained) -> Table:
    names, order = spectral.names(AXES), np.argsort(-trained.importance)
    kept = len(trained.kept)
    table = Table(
        title=f"features that matter most ({kept} of {len(names)} are used)",
        caption="rise of the cross-entropy on the training windows when the feature is shuffled",
    )
    table.add_column("feature")
    table.add_column("rise", justify="right")
    table.add_column("used")
    for i in order[:SHOWN]:
        table.add_row(names[i], f"{trained.importance[i]:.4f}", "yes" if i in trained.kept else "no")
    return table
