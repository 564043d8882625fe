"""Folders of labelled images, and how an image becomes a model's input."""

from __future__ import annotations

import csv
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np
from PIL import Image

from tinyswitch.errors import TinyswitchError
from tinyswitch.tensor import TensorInfo

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})

# Real ranges that nets are trained with; a model's quantised range is one of them, or the pixels' own.
REAL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))


@dataclass(frozen=True)
class Entry:
    """One image of a data set."""

    path: Path
    name: str  # unique in its data set: path relative to the folder of the images, with '/'
    label: int | None  # class index


@dataclass(frozen=True)
class Dataset:
    """Images in a fixed order; those of class folders take turns, so that the first N are of all classes."""

    folder: Path
    entries: tuple[Entry, ...]
    class_names: dict[int, str] = field(default_factory=dict)
    complete: bool = False  # class_names has every class, not only those with a name or an image here

    def __len__(self) -> int:
        return len(self.entries)

    def first(self, count: int | None) -> Dataset:
        """The first ``count`` images; all of them for None."""
        if count is not None and count < 1:
            raise TinyswitchError(f"limit {count}: at least one image is needed")
        return Dataset(self.folder, self.entries[:count], self.class_names, self.complete)

    def mismatch(self, classes: int) -> str | None:
        """Why these labels say nothing about a model of so many classes; None if they do."""
        labels = [entry.label for entry in self.entries if entry.label is not None]
        if not labels:
            return "the images have no labels"
        if max(labels) >= classes:
            return f"label {max(labels)} is not among the model's {classes} classes"
        if self.complete and len(self.class_names) != classes:
            return f"the labels are of {len(self.class_names)} classes, the model has {classes}"
        return None


def find_images(folder: Path) -> Dataset:
    """The images of ``folder``: ``labels.csv`` beside ``images/``, or one sub-folder a class, or just images.

    ``labels.csv`` has the columns ``file`` and ``class_index`` (may be empty), optionally ``name``; a
    ``classes.csv`` with ``class_index`` and ``name`` beside it lists all the classes. Sub-folders get
    class indices in the order of their names, or their names are the indices if all are numbers.
    Raises TinyswitchError if the folder is none of these, or file and labels disagree.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TinyswitchError(
            f"{folder}: {'not a folder' if folder.exists() else 'no such folder'} of images"
        )
    try:
        if (folder / "labels.csv").exists():
            return _labelled(folder)
        classes = sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))
        if classes and [d.name for d in classes] != ["images"]:
            return _class_folders(folder, classes)
        files = _image_files(folder)
    except OSError as error:
        raise TinyswitchError(f"{error.filename or folder}: {error.strerror or error}") from None
    if not files:
        raise _no_images(folder)
    return Dataset(folder, tuple(Entry(path, _name(path, folder), None) for path in files))


def _labelled(folder: Path) -> Dataset:
    images = folder / "images"
    labels_csv = folder / "labels.csv"
    if not images.is_dir():
        raise TinyswitchError(f"{folder}: labels.csv is there, but no folder images/ beside it")
    files = {_name(path, images): path for path in _image_files(images)}
    if not files:
        raise _no_images(images)
    names: dict[int, str] = {}
    entries: dict[str, Entry] = {}
    for line, row in _rows(labels_csv, ("file", "class_index")):
        name, label = row["file"], _class_index(labels_csv, line, row["class_index"], empty_allowed=True)
        if name in entries:
            raise TinyswitchError(f"{labels_csv}: line {line}: {name!r} is listed twice")
        if name not in files:
            raise TinyswitchError(f"{labels_csv}: line {line}: {name!r} is not in {images}")
        entries[name] = Entry(files[name], name, label)
        if label is not None and row.get("name"):
            names[label] = row["name"]
    unlabelled = [name for name in files if name not in entries]
    if unlabelled:
        more = f" and {len(unlabelled) - 1} more" if len(unlabelled) > 1 else ""
        raise TinyswitchError(
            f"{labels_csv}: misses {unlabelled[0]!r}{more} of {images}; add the lines or remove the images"
        )
    classes_csv = folder / "classes.csv"
    if classes_csv.exists():
        names = {
            _class_index(classes_csv, line, row["class_index"]): row["name"]
            for line, row in _rows(classes_csv, ("class_index", "name"))
        }
    return Dataset(folder, tuple(entries.values()), names, classes_csv.exists())


def _class_folders(folder: Path, classes: Sequence[Path]) -> Dataset:
    numbered = all(directory.name.isascii() and directory.name.isdigit() for directory in classes)
    names: dict[int, str] = {}
    columns: list[list[Entry]] = []
    for position, directory in enumerate(classes):
        label = int(directory.name) if numbered else position
        if label in names:
            raise TinyswitchError(
                f"{folder}: {names[label]!r} and {directory.name!r} are the same class index"
            )
        names[label] = directory.name
        columns.append([Entry(path, _name(path, folder), label) for path in _image_files(directory)])
        if not columns[-1]:
            raise _no_images(directory)
    interleaved = (entry for row in zip_longest(*columns) for entry in row if entry is not None)
    return Dataset(folder, tuple(interleaved), names, complete=True)


def _image_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _no_images(folder: Path) -> TinyswitchError:
    return TinyswitchError(f"{folder}: no images in it ({', '.join(sorted(SUFFIXES))})")


def _rows(path: Path, columns: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Lines of a CSV file as (line number, {column: text}); complains about missing columns or fields."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            rows = [(reader.line_num, row) for row in reader]
            found = reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise TinyswitchError(f"{path}: not a CSV file in UTF-8: {error}") from None
    for column in columns:
        if column not in found:
            raise TinyswitchError(f"{path}: no column {column!r}; its first line must name the columns")
        for line, row in rows:
            if row[column] is None:
                raise TinyswitchError(f"{path}: line {line}: no value for column {column!r}")
    return rows


def _class_index(path: Path, line: int, text: str, empty_allowed: bool = False) -> int | None:
    if empty_allowed and not text.strip():
        return None
    try:
        index = int(text)
    except ValueError:
        index = -1
    if index < 0:
        raise TinyswitchError(f"{path}: line {line}: class_index {text!r} is not a number from 0")
    return index


def load_frame(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """The image as the pixels (h, w, c), uint8, that a model with input ``shape`` sees.

    An image of the right size is taken as it is. A larger one is scaled (bilinear) until its shorter side is
    256/224 of the input's, a smaller one until it covers the input, and cropped at the centre: the usual
    evaluation on ImageNet (torchvision's Resize and CenterCrop). c = 1 is greyscale, c = 3 RGB.
    Raises TinyswitchError for a file that cannot be decoded and for another c.
    """
    mode = _mode(path, shape)
    try:
        with Image.open(path) as file:
            image = file.convert(mode)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error) as error:
        raise TinyswitchError(f"{path}: not a readable image: {_reason(error)}") from None
    except Image.DecompressionBombError:
        raise TinyswitchError(f"{path}: too large to be decoded") from None
    return _fit(image, shape)


def fit_frame(frame: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The pixels ``frame`` (h, w, c), uint8, scaled and cropped to ``shape`` as ``load_frame`` does it."""
    return _fit(Image.fromarray(frame[..., 0] if shape[2] == 1 else frame), shape)


def _mode(path: Path, shape: tuple[int, int, int]) -> str:
    channels = shape[2]
    if channels not in (1, 3):
        raise TinyswitchError(
            f"{path}: a model with an input of {channels} channels takes no image (1 or 3 channels)"
        )
    return "L" if channels == 1 else "RGB"


def _fit(image: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, _ = shape
    if image.size != (width, height):
        image = _crop(_scale(image, width, height), width, height)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]


def _scale(image: Image.Image, width: int, height: int) -> Image.Image:
    larger = image.width > width and image.height > height
    margin = 256 / 224 if larger else 1.0
    goal_width, goal_height = int(width * margin), int(height * margin)
    if goal_width * image.height >= goal_height * image.width:
        size = (goal_width, max(int(goal_width * image.height / image.width), height))
    else:
        size = (max(int(goal_height * image.width / image.height), width), goal_height)
    return image.resize(size, Image.Resampling.BILINEAR)


def _crop(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def to_model_input(frame: np.ndarray, info: TensorInfo) -> np.ndarray:
    """The pixels ``frame`` (h, w, c), uint8, in the model's 8-bit input type, same shape.

    Which real value a pixel stands for is read off the range that the input can hold: about [0, 1], [-1, 1]
    or [0, 255] means that the net was trained on pixels scaled linearly to that range. Any other range is
    taken to be the pixels' own, so that pixel 0 is the smallest integer and 255 the largest.
    """
    if frame.shape != info.shape or frame.dtype != np.uint8:
        raise ValueError(f"frame is {frame.dtype} {frame.shape}, the model takes pixels of {info.shape}")
    return _pixel_table(info)[frame]


def _pixel_table(info: TensorInfo) -> np.ndarray:
    """(256,) of ``info.dtype``: pixel value → quantised value."""
    limits = np.iinfo(info.dtype)
    pixels = np.arange(256, dtype=np.float64)
    low, high = (info.scale * (q - info.zero_point) for q in (limits.min, limits.max))
    for real_low, real_high in REAL_RANGES:
        slack = 0.05 * (real_high - real_low)
        if abs(low - real_low) <= slack and abs(high - real_high) <= slack:
            real = real_low + (real_high - real_low) * pixels / 255
            # Halves go down: with scale 1/127.5 every pixel is one, and -1 must stay the smallest integer
            quantised = np.ceil(real / info.scale - 0.5 - 1e-6) + info.zero_point
            return np.clip(quantised, limits.min, limits.max).astype(info.dtype)
    return (pixels + limits.min).astype(info.dtype)
