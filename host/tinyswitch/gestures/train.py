"""The gesture model: recordings in, ``.tflite`` and its record out."""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.features import spectral
from tinyswitch.features.spectral import WINDOWS, Window
from tinyswitch.gestures import dataset, network
from tinyswitch.gestures.dataset import Augmentation, Windows
from tinyswitch.gestures.importance import importance
from tinyswitch.gestures.network import Recipe
from tinyswitch.gestures.recording import AXES, Recording, read_folder
from tinyswitch.gestures.sampling import STEP_S, step
from tinyswitch.gestures.scores import Scores, score
from tinyswitch.nets import MODELS

Log = Callable[[str], None]

DATA = "gestures/training"  # in the data root
MODEL = MODELS / "gesture.tflite"
RATE_HZ = 119.0  # of the board's sensor
HELD_OUT = 0.3  # of each class's recordings
CALIBRATION = 500  # windows
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")


@dataclass(frozen=True)
class Material:
    """Recordings as they are trained with. Windows have all features and no variants."""

    recordings: list[Recording]
    classes: list[str]
    train_on: list[int]  # indices of recordings
    hold_out: list[int]
    window: Window
    train: Windows
    held_out: Windows


@dataclass(frozen=True)
class Trained:
    """What a training gave."""

    path: Path
    material: Material
    kept: list[int]  # indices of the features that the model takes
    importance: np.ndarray  # (all features,) for a net that takes all; see importance.py
    scores: Scores  # int8, of the held-out windows
    record: dict[str, Any]


def train(
    folder: Path | None,
    out: Path | None,
    log: Log,
    *,
    seed: int = 0,
    keep: int | None = None,
    trials: int = 0,
) -> Trained:
    """Trains on the recordings of ``folder`` (else the data root's), and writes ``out`` (.tflite) and .json.

    ``seed``: of the division into recordings to train with and held out, of augmentation and training.
    ``keep``: only so many features, those that matter most to the training windows. ``trials``: so many
    recipes are tried first. Raises TinyswitchError; ``out`` then is as it was.
    """
    began = time.perf_counter()
    path = Path(out) if out else MODEL
    if path.suffix != ".tflite":
        raise TinyswitchError(f"{path}: the name of a model ends with .tflite")
    total = len(spectral.names(AXES))
    if keep is not None and not 1 <= keep <= total:
        raise TinyswitchError(f"{keep} features are to be kept; there are {total}")
    material = prepare(_folder(folder), log, seed)
    recipe, augmentation = Recipe(), Augmentation()
    if trials:
        from tinyswitch.gestures.search import search

        inputs = (material.recordings, material.train_on, material.window)
        recipe, augmentation = search(*inputs, trials, seed, log)
    model, kept, rises = _fit(material, recipe, augmentation, seed, keep, log)
    content = network.convert(model, _calibration(material.train.features[:, kept]))
    scores, figures = _evaluate(model, content, material, kept)
    record = _record(material, kept, rises, recipe, augmentation) | {
        "model": path.name,
        "held_out": figures,
        "rates": _rates(figures),
        "searched_recipes": trials,
        "seed": seed,
        "seconds": round(time.perf_counter() - began, 1),
    }
    data.write_file(path, content)
    data.write_file(path.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    return Trained(path, material, kept, rises, scores, record)


def prepare(folder: Path, log: Log, seed: int) -> Material:
    """Reads the recordings, divides them, and computes the features of all windows."""
    recordings, window = read_folder(folder, log), WINDOWS[RATE_HZ]
    classes = dataset.classes(recordings)
    counts = ", ".join(f"{sum(r.label == name for r in recordings)} {name}" for name in classes)
    log(f"{len(recordings)} recordings: {counts}")
    for rate in sorted({round(r.rate_hz, 2) for r in recordings}):
        if not np.isclose(rate, window.rate_hz, rtol=1e-3):
            log(f"recordings at {rate:g} Hz are resampled to the sensor's {window.rate_hz:g} Hz")
    train_on, hold_out = dataset.split(recordings, HELD_OUT, seed)
    parts = [dataset.windows(recordings, part, window) for part in (train_on, hold_out)]
    return Material(recordings, classes, train_on, hold_out, window, *parts)


def _folder(folder: Path | None) -> Path:
    return Path(folder or data.need(DATA, "give a folder of recordings with --recordings"))


def _fit(
    material: Material, recipe: Recipe, augmentation: Augmentation, seed: int, keep: int | None, log: Log
) -> tuple[Any, list[int], np.ndarray]:
    """The Keras model, the features that it takes, and the importance of all."""
    made = dataset.windows(material.recordings, material.train_on, material.window, augmentation, seed)
    log(f"training on {len(made.labels)} windows of {len(material.train_on)} recordings and their variants")
    n_classes, plain = len(material.classes), material.train
    model = network.fit(made.features, made.labels, n_classes, recipe, seed)
    rises = importance(lambda x: network.probabilities(model, x), plain.features, plain.labels, seed)
    kept = list(range(made.features.shape[1]))
    if keep is not None and keep < len(kept):
        kept = sorted(np.argsort(-rises)[:keep].tolist())
        log(f"training again with the {keep} features that matter most")
        model = network.fit(made.features[:, kept], made.labels, n_classes, recipe, seed)
    return model, kept, rises


def _calibration(features: np.ndarray) -> np.ndarray:
    return features[:: max(1, len(features) // CALIBRATION)]


def _evaluate(
    model: Any, content: bytes, material: Material, kept: list[int]
) -> tuple[Scores, dict[str, Any]]:
    """Of the int8 model on the held-out windows, and the figures for the record."""
    held_out, n_classes = material.held_out, len(material.classes)
    floats = network.probabilities(model, held_out.features[:, kept]).argmax(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        int8 = network.check(path)

        def scored(windows: Windows) -> Scores:
            answers = network.answers(int8, windows.features[:, kept]).argmax(1)
            return score(answers, windows.labels, windows.recordings, n_classes)

        scores = scored(held_out)
        slower = {
            f"{rate:g}": scored(dataset.windows(material.recordings, material.hold_out, window)).accuracy
            for rate, window in WINDOWS.items()
            if rate != RATE_HZ
        }
    return scores, {
        "windows": scores.windows,
        "accuracy": _round(scores.accuracy),
        "float_accuracy": _round((floats == held_out.labels).mean()),
        "recordings": scores.recordings,
        "recordings_right": scores.recordings_right,
        "per_class": scores.per_class(material.classes, 4),
        "confusion": scores.confusion.tolist(),
        "accuracy_at_hz": {rate: _round(accuracy) for rate, accuracy in slower.items()},
    }


def _rates(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The sampling rates that the model can be given, the best first: a firmware has an entry for each."""
    accuracies = {RATE_HZ: figures["accuracy"]} | {float(r): a for r, a in figures["accuracy_at_hz"].items()}
    return [
        {**asdict(WINDOWS[rate]), "step": step(WINDOWS[rate]), "accuracy": accuracies[rate]}
        for rate in sorted(accuracies, reverse=True)
    ]


def _record(
    material: Material, kept: list[int], rises: np.ndarray, recipe: Recipe, augmentation: Augmentation
) -> dict[str, Any]:
    """What the model takes and answers, and all that it depends on."""
    names, paths = spectral.names(AXES), [r.path.name for r in material.recordings]
    return {
        "classes": material.classes,
        "features": [names[i] for i in kept],
        "feature_indices": kept,
        "dropped": [name for i, name in enumerate(names) if i not in kept],
        "window": asdict(material.window) | {"step_s": STEP_S},
        "sample_step_ug": spectral.DEFINES["UG"],
        "recordings": {
            "train": [paths[i] for i in material.train_on],
            "held_out": [paths[i] for i in material.hold_out],
        },
        "importance": {name: _round(rise) for name, rise in zip(names, rises, strict=True)},
        "recipe": asdict(recipe),
        "augmentation": asdict(augmentation),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def _round(share: float) -> float:
    return round(float(share), 4)
