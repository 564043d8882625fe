"""Changed training images: moved, mirrored, partly hidden; and images at a smaller resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Augmentation:
    """What is done to each image by chance."""

    shift: int = 0  # pixels up to which it moves both ways
    flip: bool = False  # left becomes right in half of the images
    cutout: int = 0  # side of a grey square put anywhere (DeVries and Taylor, 2017); 0: none
    border: str = "constant"  # numpy.pad's mode: what comes in where an image moves away; black by default

    def apply(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Changed copies of ``frames`` (n, h, w, c) uint8."""
        frames = _shifted(frames, self.shift, self.border, rng) if self.shift else frames.copy()
        if self.flip:
            mirrored = rng.random(len(frames)) < 0.5
            frames[mirrored] = frames[mirrored, :, ::-1]
        if self.cutout:
            _hide(frames, self.cutout, rng)
        return frames


def _shifted(frames: np.ndarray, shift: int, border: str, rng: np.random.Generator) -> np.ndarray:
    count, height, width, _ = frames.shape
    padded = np.pad(frames, ((0, 0), (shift, shift), (shift, shift), (0, 0)), border)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    rows, columns = rng.integers(0, 2 * shift + 1, (2, count))
    return np.ascontiguousarray(windows[np.arange(count), rows, columns].transpose(0, 2, 3, 1))


def _hide(frames: np.ndarray, side: int, rng: np.random.Generator) -> None:
    """A square of which at least a quarter lies in the image turns grey."""
    count, height, width, _ = frames.shape
    top, left = (rng.integers(0, size, (count, 1)) - side // 2 for size in (height, width))
    rows, columns = np.arange(height), np.arange(width)
    inside = ((rows >= top) & (rows < top + side))[:, :, None]
    inside = inside & ((columns >= left) & (columns < left + side))[:, None, :]
    frames[inside] = 128


def resampling(size: int, resolution: int) -> np.ndarray:
    """(resolution, size) float32 R: R @ image @ R.T is what evaluate.images.load_frame makes of an image.

    The image of ``size`` pixels is scaled, and the centre of that taken.
    """
    from PIL import Image

    if resolution == size:
        return np.eye(size, dtype=np.float32)
    goal = int(resolution * 256 / 224)
    unit = Image.fromarray(np.eye(size, dtype=np.float32))
    scaled = np.asarray(unit.resize((size, goal), Image.Resampling.BILINEAR))
    first = round((goal - resolution) / 2)
    return scaled[first : first + resolution].copy()
