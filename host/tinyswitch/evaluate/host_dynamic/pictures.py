"""The images to answer: a file, a folder, or a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.images import Dataset, Entry, find_images

IMAGENET_CLASSES = 1000


def find(images: str | None, limit: str | None) -> Dataset:
    """The image file ``images``, or what target.images finds.

    A file that a data set lists has its label and the names of its classes. Raises TinyswitchError.
    """
    path = Path(images) if images else None
    if path is None or not path.is_file():
        return target.images(images, limit)
    for folder in (path.parent, path.parent.parent):
        if (folder / "labels.csv").exists():
            dataset = find_images(folder)
            entries = tuple(e for e in dataset.entries if e.path.resolve() == path.resolve())
            if entries:
                return replace(dataset, entries=entries)
    return Dataset(path.parent, (Entry(path, path.name, None),))


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
