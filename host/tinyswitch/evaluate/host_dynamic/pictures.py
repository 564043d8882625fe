"""The images to answer: a file, a folder, a data set, or those that a net's own data set holds out."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from tinyswitch import data, families, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.images import Dataset, Entry, find_images
from tinyswitch.quantize.quiet import quiet

IMAGENET_CLASSES = 1000
HELD_OUT = ("digits", "cifar10")  # data of nets whose images are no files: modules of tinyswitch.training
FOLDER = target.ROOT / "build" / "images"


def find(images: str | None, limit: str | None, choice: target.Choice) -> Dataset:
    """The image file ``images``, or what target.images finds; without any, images of the nets' own data.

    A file that a data set lists has its label and the names of its classes. Raises TinyswitchError.
    """
    path = Path(images) if images else None
    if path is None and (name := _data_of(choice)) in HELD_OUT:
        return _held_out(name, target.number("--limit", limit) if limit else None)
    if path is None or not path.is_file():
        return target.images(images, limit)
    for folder in (path.parent, path.parent.parent):
        if (folder / "labels.csv").exists():
            dataset = find_images(folder)
            entries = tuple(e for e in dataset.entries if e.path.resolve() == path.resolve())
            if entries:
                return replace(dataset, entries=entries)
    return Dataset(path.parent, (Entry(path, path.name, None),))


def _data_of(choice: target.Choice) -> str | None:
    """What the nets are made for."""
    if choice.family:
        return families.load(choice.family.partition(":")[0]).net.data
    return nets.load(choice.net.split(",")[0].strip()).data if choice.net else None


def _held_out(name: str, limit: int | None) -> Dataset:
    """Held-out images, as files in ``build/images``; classes take turns, so that the first are of all."""
    with quiet():  # TensorFlow may come along
        module = importlib.import_module(f"tinyswitch.training.{name}")
    split = module.split()
    entries = []
    for number in _in_turns(split.held_out_labels)[:limit]:
        frame, label = split.held_out_frames[number], split.held_out_labels[number]
        path = FOLDER / name / f"{number:05}.png"
        if not path.exists():
            content = io.BytesIO()
            Image.fromarray(frame.squeeze()).save(content, "PNG")
            data.write_file(path, content.getvalue())
        entries.append(Entry(path, path.name, int(label)))
    return Dataset(FOLDER / name, tuple(entries), dict(enumerate(module.NAMES)), complete=True)


def _in_turns(labels: np.ndarray) -> np.ndarray:
    """Indices of ``labels``: the first of each class, then the second of each, and so on."""
    turns = np.zeros(len(labels), int)
    for label in np.unique(labels):
        turns[labels == label] = np.arange(np.count_nonzero(labels == label))
    return np.lexsort((labels, turns))


def class_names(dataset: Dataset, classes: int) -> Mapping[int, str]:
    """What the classes of a model with so many are called, as far as is known."""
    if dataset.class_names and not dataset.mismatch(classes):
        return dataset.class_names
    if classes == IMAGENET_CLASSES and (folder := data.local(target.IMAGES)):
        try:
            return find_images(folder).class_names
        except TinyswitchError:  # only names are missing then
            return {}
    return {}
