"""How often a keyword model is right, class by class, under LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.display import wide_console
from tinyswitch.evaluate.litert import LiteRtModel, litert_errors
from tinyswitch.features.frontend import CHANNELS, ROWS
from tinyswitch.gestures.scores import Scores, score
from tinyswitch.keywords import clips, features, report
from tinyswitch.keywords.clips import CLASSES, Clip

ZERO_POINT = -128  # of a model's input; a feature is that input as it is
# What the original work has of its test clips, which each class must exceed (in the order of CLASSES).
REQUIRED = (0.50, 0.98, 0.93, 0.84)


def judge_model(model: str, folder: str | None, log: Callable[[str], None], *, seed: int = 0) -> None:
    """Prints the tables of a ``.tflite`` on all clips of ``folder``, else of the data root.

    ``seed``: of which clip is heard before which. Raises TinyswitchError.
    """
    path = Path(model)
    loaded = check(path)
    found = clips.read_folder(clips.find(Path(folder) if folder else None), log)
    with litert_errors(path):
        scores, in_stream = evaluate(loaded, found, seed)
    console = wide_console()
    console.print(report.confusion_table(scores, f"{path.name}, int8"))
    console.print(report.class_table(scores, in_stream, REQUIRED))


def evaluate(model: LiteRtModel, of: Sequence[Clip], seed: int) -> tuple[Scores, Scores]:
    """Scores of clips at the begin of a stream, and of clips that are heard after another one.

    The first are by the one window that is the clip, the second by the mean of those about it, as on a board.
    """
    labels = np.array([clip.label for clip in of])
    images = features.in_stream(of, seed)
    means = answers(model, images.reshape(-1, *images.shape[2:])).reshape(*images.shape[:2], -1).sum(1)
    alone = answers(model, features.plain(of))
    owners = np.arange(len(labels))
    first, second = (score(found.argmax(1), labels, owners, len(CLASSES)) for found in (alone, means))
    return first, second


def check(path: Path) -> LiteRtModel:
    """``path`` loaded; raises TinyswitchError if it does not take 49 x 40 features and tell CLASSES apart."""
    model = LiteRtModel(path)
    size, outputs = int(np.prod(model.input.shape)), model.outputs[0].shape
    if size != ROWS * CHANNELS or model.input.zero_point != ZERO_POINT:
        raise TinyswitchError(f"{path}: takes {model.input.shape}; a keyword model takes 49 x 40 features")
    if int(np.prod(outputs)) != len(CLASSES):
        raise TinyswitchError(f"{path}: answers {outputs}; a keyword model answers {', '.join(CLASSES)}")
    return model


def answers(model: LiteRtModel, features: np.ndarray) -> np.ndarray:
    """Outputs (n, classes) int8 of int8 features (n, 49, 40)."""
    shape = model.input.shape
    return np.array([model.run(image.reshape(shape))[0].reshape(-1) for image in features])
