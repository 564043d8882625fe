"""Nets and their weights become int8 models (.tflite)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from tinyswitch import data, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.nets.net import Net
from tinyswitch.nets.weights import Weights, fold, from_checkpoint, random_tensors
from tinyswitch.quantize import calibration as calibrate
from tinyswitch.quantize.keras_model import to_int8
from tinyswitch.quantize.quiet import quiet
from tinyswitch.training.recipes import SOURCES

SEED = 0  # of random weights and random images

__all__ = ["convert"]


def convert(
    net: Net | str | Path,
    checkpoint: Path | Literal["random"] | None,
    calibration: Path | None,
    out: Path,
    log: Callable[[str], None] = print,
) -> Path:
    """Writes the int8 model of ``net`` to ``out`` (.tflite) and returns that path.

    ``checkpoint``: a .pth file, "random" for seeded weights of no use but to measure with, or None for the
    net's own. ``calibration``: a folder of images (see evaluate.images.find_images), or None for those of the
    net's data; random weights then get random images. Input and output are int8; a pixel of the input is
    uint8 - 128 to half a step. ``log`` gets a line for each step. Raises TinyswitchError; ``out`` then is as
    it was.
    """
    net = net if isinstance(net, Net) else nets.load(net)
    out = Path(out)
    if out.suffix != ".tflite":
        raise TinyswitchError(f"{out}: the name of a model ends with .tflite")
    random = checkpoint == "random"
    if random:
        weights = fold(net, random_tensors(net, SEED), "random weights")
    else:
        weights = from_checkpoint(net, _checkpoint(net, checkpoint, log))
    if random and calibration is None:
        frames = calibrate.random_frames(net, SEED)
    else:
        frames = calibrate.frames(net, calibration)
    log(f"{net.name}: converting to int8, calibrated on {len(frames)} images")
    try:
        model = _to_int8(net, weights, frames)
    except (OSError, RuntimeError, ValueError) as error:  # e.g. its temporary files do not fit on the disk
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TinyswitchError(f"{net.name}: TensorFlow does not convert it: {reason}") from None
    data.write_file(out, model)
    log(f"{out}: {out.stat().st_size / 1e3:.0f} kB")
    return out


def _checkpoint(net: Net, given: Path | str | None, log: Callable[[str], None]) -> Path:
    if given is not None:
        return Path(given)
    if net.checkpoint is None:
        raise TinyswitchError(
            f"{net.name}: no trained weights are known for this net: give --checkpoint FILE.pth, or"
            " --checkpoint random to measure without them"
        )
    shipped = nets.MODELS / net.checkpoint
    if shipped.exists():
        return shipped
    if net.data in SOURCES:
        raise TinyswitchError(f"{shipped}: not there; make it with: invoke train --family {net.name}")
    return data.fetch(net.checkpoint, log)


def _to_int8(net: Net, weights: dict[str, Weights], frames: np.ndarray) -> bytes:
    with quiet():
        from tinyswitch.quantize import correction, float_model

        images = calibrate.to_real(_full_range(frames))
        weights = correction.correct_bias(net, correction.tame_constants(net, weights), images)
        model = float_model.build(net, weights)
    return to_int8(model, images)


def _full_range(frames: np.ndarray) -> np.ndarray:
    """``frames`` with a black and a white pixel, so that the int8 input covers all pixel values exactly."""
    frames = frames.copy()
    frames[0, 0, 0], frames[0, -1, -1] = 0, 255
    return frames
