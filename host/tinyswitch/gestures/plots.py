"""What a training gave, as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyswitch.evaluate import confusion
from tinyswitch.evaluate.figure import save
from tinyswitch.features import spectral
from tinyswitch.features.spectral import PER_AXIS
from tinyswitch.gestures.network import real
from tinyswitch.gestures.recording import AXES
from tinyswitch.gestures.train import Trained


def draw(trained: Trained, folder: Path) -> list[Path]:
    """Writes scores.png, features.png and importance.png into ``folder``; raises TinyswitchError."""
    import matplotlib

    matplotlib.use("Agg")  # needs no display
    return [
        _draw_scores(trained, folder / "scores.png"),
        _draw_features(trained, folder / "features.png"),
        _draw_importance(trained, folder / "importance.png"),
    ]


def _draw_scores(trained: Trained, path: Path) -> Path:
    """The confusion matrix, and F1 of each class."""
    scores = trained.scores
    title = f"{scores.windows} held-out windows, {100 * scores.accuracy:.1f} % right"
    return confusion.draw(scores, trained.material.classes, title, path)


def _draw_features(trained: Trained, path: Path) -> Path:
    """How each feature's values lie, class by class: a box is the middle half of the windows."""
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    names, classes = spectral.names(AXES), trained.material.classes
    values = real(trained.material.train.features)
    figure, rows = pyplot.subplots(len(AXES), 1, figsize=(13, 9), layout="constrained", sharey=True)
    for axis, axes in enumerate(rows):
        for i in range(len(classes)):
            chosen = values[trained.material.train.labels == i][:, axis * PER_AXIS : (axis + 1) * PER_AXIS]
            places = np.arange(PER_AXIS) + (i - (len(classes) - 1) / 2) * 0.8 / len(classes)
            boxes = axes.boxplot(
                chosen, positions=places, widths=0.7 / len(classes), patch_artist=True, sym=""
            )
            for box in boxes["boxes"]:
                box.set_facecolor(f"C{i}")
        axes.set_xticks(range(PER_AXIS), names[axis * PER_AXIS : (axis + 1) * PER_AXIS], fontsize=8)
        axes.set_ylabel("log2")
    handles = [Patch(color=f"C{i}", label=name) for i, name in enumerate(classes)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(classes), frameon=False)
    return save(figure, path)


def _draw_importance(trained: Trained, path: Path) -> Path:
    """All features, those that are not used in grey."""
    from matplotlib import pyplot

    names, order = spectral.names(AXES), np.argsort(-trained.importance)
    figure, axes = pyplot.subplots(figsize=(7, 7.5), layout="constrained")
    colours = ["C0" if i in trained.kept else "0.8" for i in order]
    axes.barh(range(len(order)), trained.importance[order], color=colours)
    axes.set_yticks(range(len(order)), [names[i] for i in order], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("rise of the cross-entropy when the feature is shuffled (grey: not used)")
    return save(figure, path)
