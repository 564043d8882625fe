"""Labelled images, divided into those to train with and those held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Split:
    """Frames (n, h, w, c) uint8, 0 to 255; labels (n,) int64, from 0."""

    train_frames: np.ndarray
    train_labels: np.ndarray
    held_out_frames: np.ndarray
    held_out_labels: np.ndarray
