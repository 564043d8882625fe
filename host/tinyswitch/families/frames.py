"""Images that sub-networks of any resolution are calibrated and measured with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import Dataset, find_images, fit_frame, load_frame
from tinyswitch.nets.net import Net

COUNT = 250  # of images to calibrate with: 100 cost little, 32 cost 4 points (mcunet-320kb-1mb)

Source = Path | np.ndarray  # an image file, or pixels (h, w, c) uint8


class Frames:
    """Images and, where they are known, their labels."""

    def __init__(self, sources: Iterable[Source], labels: Iterable[int | None] | None = None, name: str = ""):
        self.sources: Sequence[Source] = list(sources)
        self.labels = list(labels) if labels is not None else [None] * len(self.sources)
        self.name = name  # what they are, for people
        self._kept: dict[tuple[int, int], np.ndarray] = {}

    @classmethod
    def of(cls, dataset: Dataset) -> Frames:
        """Those of a data set."""
        return cls(
            (entry.path for entry in dataset.entries),
            (entry.label for entry in dataset.entries),
            str(dataset.folder),
        )

    def __len__(self) -> int:
        return len(self.sources)

    def at(self, net: Net) -> np.ndarray:
        """(n, h, w, c) uint8 as ``net`` takes them; kept. TinyswitchError for a file that is no image."""
        key = net.resolution, net.channels
        if key not in self._kept:
            self._kept[key] = self.of_size(net.input)
        return self._kept[key]

    def of_size(self, shape: tuple[int, int, int]) -> np.ndarray:
        """(n, *shape) uint8; shape: height, width, channels. TinyswitchError for a file that is no image."""
        return np.stack([_frame(source, shape) for source in self.sources])

    def evenly(self, count: int) -> Frames:
        """Up to ``count`` of them, evenly spread."""
        chosen = np.linspace(0, len(self), min(count, len(self)), endpoint=False).astype(int)
        return self._some(chosen)

    def first(self, count: int | None) -> Frames:
        """The first ``count``; all of them for None."""
        if count is not None and count < 1:
            raise TinyswitchError(f"limit {count}: at least one image is needed")
        return self._some(range(len(self))[:count])

    def halves(self) -> tuple[Frames, Frames]:
        """Every second one, and the others."""
        return self._some(range(0, len(self), 2)), self._some(range(1, len(self), 2))

    def _some(self, chosen: Iterable[int]) -> Frames:
        chosen = list(chosen)
        return Frames((self.sources[i] for i in chosen), (self.labels[i] for i in chosen), self.name)


def _frame(source: Source, shape: tuple[int, int, int]) -> np.ndarray:
    return load_frame(source, shape) if isinstance(source, Path) else fit_frame(source, shape)


def find(net: Net, folder: Path | None) -> tuple[Frames, Frames]:
    """Images to calibrate with and images to measure with.

    Of the data that the net is made for: training images and those held out. Of a ``folder``, and of
    the ImageNet sample, the same images are both: calibration looks at no labels. Raises TinyswitchError.
    """
    if folder is None and net.data == "digits":
        from tinyswitch.training import digits

        return _of_split(digits.split(), "digits of scikit-learn")
    if folder is None and net.data == "cifar10":
        from tinyswitch.training import cifar10

        return _of_split(cifar10.split(), "CIFAR-10")
    if folder is None and net.data == "imagenet":
        folder = data.local("imagenet-sample")
    if folder is None:
        hint = f", or set {data.VARIABLE} to a folder that has imagenet-sample/"
        raise TinyswitchError(
            f"{net.name}: no images to calibrate its sub-networks with: give --images DIR (about {COUNT}"
            f" typical images){hint if net.data == 'imagenet' else ''}"
        )
    found = Frames.of(find_images(folder))
    return found.evenly(COUNT), found


def _of_split(split: object, name: str) -> tuple[Frames, Frames]:
    """``split``: see tinyswitch.training.split."""
    train = Frames(split.train_frames, split.train_labels.tolist(), f"{name}, training images")
    held_out = Frames(split.held_out_frames, split.held_out_labels.tolist(), f"{name}, held-out images")
    return train.evenly(COUNT), held_out
