"""What the record beside a gesture model says: FILE.json of FILE.tflite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyswitch import app_record
from tinyswitch.errors import TinyswitchError
from tinyswitch.features import spectral
from tinyswitch.features.spectral import Window
from tinyswitch.gestures.recording import AXES
from tinyswitch.gestures.sampling import step
from tinyswitch.nets import MODELS

DEFAULT = MODELS / "gesture.tflite"
MOST_CLASSES = 8  # TS_GESTURE_CLASSES of firmware/gesture/gesture_table.h
LONGEST_NAME = 31


@dataclass(frozen=True)
class Rate:
    """A sampling rate that a model can be given."""

    window: Window
    step: int  # samples from the beginning of a window to that of the next
    accuracy: float | None  # of held-out windows


@dataclass(frozen=True)
class Record:
    """Of one model."""

    model: Path
    classes: tuple[str, ...]
    features: tuple[int, ...]  # indices of the features it takes, in its input's order
    rates: tuple[Rate, ...]  # the best first
    held_out: tuple[str, ...]  # names of the recordings that it was not trained with


def read(model: Path) -> Record:
    """The record beside ``model``; raises TinyswitchError if it is missing or says what cannot be."""
    path = Path(model).with_suffix(".json")
    try:
        record = app_record.read(path, "gesture", lambda content: _record(Path(model), content))
    except FileNotFoundError:
        raise TinyswitchError(
            f"{path}: not there; a gesture model needs the record that `invoke train --app gesture` writes"
        ) from None
    _check(path, record)
    return record


def _record(model: Path, content: Any) -> Record:
    rates = content.get("rates") or [content["window"] | {"accuracy": content["held_out"]["accuracy"]}]
    return Record(
        model,
        tuple(str(name) for name in content["classes"]),
        tuple(int(index) for index in content["feature_indices"]),
        tuple(_rate(rate) for rate in rates),
        tuple(str(name) for name in content["recordings"]["held_out"]),
    )


def _rate(content: Any) -> Rate:
    window = Window(float(content["rate_hz"]), int(content["samples"]), int(content["log2_length"]))
    accuracy = content["accuracy"]
    steps = int(content["step"]) if "step" in content else step(window)
    return Rate(window, steps, None if accuracy is None else float(accuracy))


def _check(path: Path, record: Record) -> None:
    total = len(spectral.names(AXES))
    if not 2 <= len(record.classes) <= MOST_CLASSES:
        raise TinyswitchError(f"{path}: {len(record.classes)} classes; a board takes 2 to {MOST_CLASSES}")
    for name in record.classes:
        if not (name.isascii() and name.isprintable() and 0 < len(name) <= LONGEST_NAME):
            raise TinyswitchError(
                f"{path}: class {name!r}; a board takes names of 1 to {LONGEST_NAME} ASCII characters"
            )
    if not record.features or not all(0 <= index < total for index in record.features):
        raise TinyswitchError(f"{path}: feature_indices must be numbers from 0 to {total - 1}")
    for rate in record.rates:
        try:
            spectral.Extractor(rate.window)
        except TinyswitchError as error:
            raise TinyswitchError(f"{path}: {error}") from None
        if not (rate.step > 0 and 0 < rate.window.rate_hz < 1000):
            raise TinyswitchError(f"{path}: {rate.window.rate_hz:g} Hz with a step of {rate.step} samples")


def same_classes(records: Sequence[Record]) -> tuple[str, ...]:
    """The classes of all; raises TinyswitchError if they differ."""
    first = records[0]
    for other in records[1:]:
        if other.classes != first.classes:
            raise TinyswitchError(
                f"{other.model}: its classes ({', '.join(other.classes)}) are not those of {first.model} "
                f"({', '.join(first.classes)}); build them one by one"
            )
    return first.classes
