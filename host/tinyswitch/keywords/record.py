"""What the record beside a keyword model says: FILE.json of FILE.tflite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyswitch import app_record
from tinyswitch.errors import TinyswitchError
from tinyswitch.keywords.clips import CLASSES, UNKNOWN
from tinyswitch.nets import MODELS

DEFAULT = MODELS / "keyword.tflite"
ALTERNATIVES = (MODELS / "keyword-tiny.tflite", MODELS / "keyword-large.tflite")
FIRST_WORD = UNKNOWN + 1  # classes from this one on are words


@dataclass(frozen=True)
class Record:
    """Of one model."""

    model: Path
    classes: tuple[str, ...]
    accuracy: float | None  # of held-out clips; None: unknown
    held_out: tuple[str, ...]  # speakers, and recordings of silence, that it was not trained with


def read(model: Path) -> Record:
    """The record beside ``model``; one without a record (the published one) tells CLASSES apart.

    Raises TinyswitchError if the record says what cannot be.
    """
    path = Path(model).with_suffix(".json")
    try:
        record = app_record.read(path, "keyword", lambda content: _record(Path(model), content))
    except FileNotFoundError:
        return Record(Path(model), CLASSES, None, ())
    if record.classes != CLASSES:
        raise TinyswitchError(
            f"{path}: classes {', '.join(record.classes)}; a keyword model tells {', '.join(CLASSES)} apart"
        )
    return record


def _record(model: Path, content: Any) -> Record:
    return Record(
        model,
        tuple(str(name) for name in content["classes"]),
        float(content["held_out"]["accuracy"]),
        tuple(str(name) for name in content["speakers"]["held_out"]),
    )


def shipped() -> Sequence[Path]:
    """The project's own models, the default one first."""
    return [DEFAULT, *(path for path in ALTERNATIVES if path.exists())]
