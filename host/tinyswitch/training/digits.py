"""Handwritten digits, which scikit-learn's wheel contains: what the embedded default is trained on.

Source: UCI ML hand-written digits, test set, as ``sklearn.datasets.load_digits`` gives them:
1797 of 8x8 pixels.
"""

from __future__ import annotations

import csv
import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch import data
from tinyswitch.training.split import Split

SEED = 0  # of the division
HELD_OUT = 0.2
SHAPE = (8, 8, 1)
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@cache
def split() -> Split:
    """The digits: four fifths to train with, a fifth held out, each with the same share of every class."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    frames = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    parts = train_test_split(
        frames, digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=SEED
    )
    return Split(parts[0], parts[2], parts[1], parts[3])


def write_images(folder: Path) -> Path:
    """Writes the held-out digits to ``folder``: images/*.png, labels.csv and classes.csv; returns ``folder``.

    The same files on every call. Raises TinyswitchError where they cannot be written.
    """
    from PIL import Image

    held_out = split()
    lines: list[tuple[Any, ...]] = [("file", "class_index", "name")]
    for index, (frame, label) in enumerate(
        zip(held_out.held_out_frames, held_out.held_out_labels, strict=True)
    ):
        name = f"digit_{index:03d}.png"
        content = io.BytesIO()
        Image.fromarray(frame[..., 0]).save(content, "PNG")
        data.write_file(folder / "images" / name, content.getvalue())
        lines.append((name, int(label), NAMES[label]))
    data.write_file(folder / "classes.csv", _csv([("class_index", "name"), *enumerate(NAMES)]))
    data.write_file(folder / "labels.csv", _csv(lines))
    return folder


def _csv(lines: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()
