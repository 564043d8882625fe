"""What a training gave, as pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from tinyswitch import data
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
    from matplotlib import pyplot

    scores, names = trained.scores, trained.material.classes
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    left.imshow(scores.confusion / np.maximum(scores.confusion.sum(1, keepdims=True), 1), "Blues", vmin=0)
    for (row, column), count in np.ndenumerate(scores.confusion):
        dark = count > scores.confusion[row].sum() / 2
        left.text(column, row, count, ha="center", va="center", color="white" if dark else "black")
    left.set(xlabel="answer", ylabel="truth")
    left.set_xticks(range(len(names)), names)
    left.set_yticks(range(len(names)), names)
    right.barh(range(len(names)), scores.f1, 0.6)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set(xlabel="F1", xlim=(0, 1))
    figure.suptitle(f"{scores.windows} held-out windows, {100 * scores.accuracy:.1f} % right")
    return _save(figure, path)


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
    return _save(figure, path)


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
    return _save(figure, path)


def _save(figure, path: Path) -> Path:
    from matplotlib import pyplot

    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    pyplot.close(figure)
    data.write_file(path, content.getvalue())
    return path
