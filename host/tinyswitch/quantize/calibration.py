"""The images whose activations give the int8 ranges."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyswitch import data
from tinyswitch.errors import TinyswitchError
from tinyswitch.nets.net import Net

COUNT = 100  # elastic enough: 250 images gain nothing that can be measured, 32 lose points
RANDOM_COUNT = 16  # of noise, whose images differ little


def frames(net: Net, folder: Path | None) -> np.ndarray:
    """Up to COUNT frames (n, h, w, c), uint8, taken evenly from ``folder``.

    None: from the training images of the data the net is made for. Raises TinyswitchError where there are
    none, or an image cannot be read.
    """
    from tinyswitch.evaluate.images import find_images, fit_frame, load_frame
    from tinyswitch.training.recipes import SOURCES

    if folder is None and net.data in SOURCES:
        train_frames = SOURCES[net.data].split().train_frames
        return np.stack([fit_frame(frame, net.input) for frame in _evenly(train_frames)])

    entries = find_images(folder or _default_folder(net)).entries
    chosen = [entries[index] for index in _indices(len(entries))]
    return np.stack([load_frame(entry.path, net.input) for entry in chosen])


def random_frames(net: Net, seed: int) -> np.ndarray:
    """RANDOM_COUNT frames (n, h, w, c), uint8, of coloured squares: less uniform after pooling than noise."""
    rng = np.random.default_rng(seed)
    side = -(-net.resolution // 8)
    coarse = rng.integers(0, 256, (RANDOM_COUNT, side, side, net.channels), np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)[:, : net.resolution, : net.resolution]


def to_real(frames: np.ndarray) -> np.ndarray:
    """uint8 pixels → float32 in [-1, 1], as the nets are trained: (pixel / 255 - 0.5) / 0.5."""
    return frames.astype(np.float32) / np.float32(127.5) - 1


def _default_folder(net: Net) -> Path:
    folder = data.local("imagenet-sample") if net.data == "imagenet" else None
    if folder is None:
        raise TinyswitchError(
            f"{net.name}: no images to calibrate the int8 ranges with: give --calibration DIR (about {COUNT}"
            f" typical images; labels are not needed){_hint(net)}"
        )
    return folder


def _hint(net: Net) -> str:
    return f", or set {data.VARIABLE} to a folder that has imagenet-sample/" if net.data == "imagenet" else ""


def _indices(count: int) -> list[int]:
    return [int(index) for index in np.linspace(0, count, min(count, COUNT), endpoint=False)]


def _evenly(frames: np.ndarray) -> np.ndarray:
    return frames[_indices(len(frames))]
