"""The embedded default: a classifier of handwritten digits, trained on the images in scikit-learn's wheel.

Source of the images: UCI ML hand-written digits, test set, as ``sklearn.datasets.load_digits`` gives them:
1797 of 8x8 pixels.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tinyswitch import data, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.nets import torchfile, weights
from tinyswitch.nets.net import Net
from tinyswitch.quantize import convert, float_model
from tinyswitch.quantize.calibration import to_real
from tinyswitch.quantize.quiet import quiet

if TYPE_CHECKING:
    import keras

SEED = 0
EPOCHS = 60
BATCH = 64
LEARNING_RATE = 3e-3  # at the start; falls to 0 along a cosine
HELD_OUT = 0.2
SHAPE = (8, 8, 1)
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Split:
    """Frames (n, 8, 8, 1) uint8, 0 to 255; labels (n,) int64, 0 to 9."""

    train_frames: np.ndarray
    train_labels: np.ndarray
    held_out_frames: np.ndarray
    held_out_labels: np.ndarray


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


def train(
    net: str | Path | Net = "digits", out: Path | None = None, log: Callable[[str], None] = print
) -> Path:
    """Trains ``net`` on the digits and writes ``out``, the int8 model; about a minute on two cores.

    ``out`` (.tflite) is models/NAME.tflite by default. Beside it, with other suffixes: .pth, the float
    weights that ``convert`` finds, and .json, the figures of this training. Nothing is written before all
    is measured. Raises TinyswitchError for a net that the digits do not suit.
    """
    net = net if isinstance(net, Net) else nets.load(net)
    _check(net)
    out = Path(out) if out else nets.MODELS / f"{net.name}.tflite"
    if out.suffix != ".tflite":
        raise TinyswitchError(f"{out}: the name of a model ends with .tflite")
    start = time.monotonic()
    digits = split()
    log(f"{net.name}: training on {len(digits.train_labels)} digits, {EPOCHS} epochs, seed {SEED}")
    model = _fit(net, digits)
    checkpoint = io.BytesIO()
    torchfile.write(_tensors(net, model), checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        weights_file, model_file = Path(folder) / "net.pth", Path(folder) / "net.tflite"
        data.write_file(weights_file, checkpoint.getvalue())
        convert(net, weights_file, None, model_file, log=lambda line: None)
        accuracy = {"float": _float_accuracy(model, digits), "int8": _int8_accuracy(model_file, digits)}
        tflite = model_file.read_bytes()
    figures = _figures(net, digits, accuracy, time.monotonic() - start)
    data.write_file(out.with_suffix(".pth"), checkpoint.getvalue())
    data.write_file(out.with_suffix(".json"), (json.dumps(figures, indent=2) + "\n").encode())
    data.write_file(out, tflite)
    log(
        f"{out}: {len(tflite) / 1e3:.0f} kB; right on the held-out fifth: {accuracy['int8']:.2%} as int8,"
        f" {accuracy['float']:.2%} as float"
    )
    return out


def _check(net: Net) -> None:
    if net.data != "digits" or net.input != SHAPE or net.classes != len(NAMES):
        raise TinyswitchError(
            f"{net.source or net.name}: cannot be trained here: only nets with "
            '"data": "digits", "resolution": 8, "channels": 1 and 10 classes can, such as digits'
        )


def _fit(net: Net, digits: Split) -> keras.Model:
    with quiet():
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(SEED)
        tf.config.experimental.enable_op_determinism()
        model = float_model.connect(net, batch_norm=True, batch=None)
        steps = EPOCHS * -(-len(digits.train_labels) // BATCH)
        model.compile(
            optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    rng = np.random.default_rng(SEED)
    with Progress(
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    ) as progress:
        task = progress.add_task("", total=EPOCHS)
        for epoch in range(EPOCHS):
            frames = to_real(_shifted(digits.train_frames, rng))
            history = model.fit(
                frames,
                digits.train_labels,
                batch_size=BATCH,
                epochs=epoch + 1,
                initial_epoch=epoch,
                verbose=0,
            )
            accuracy = history.history["accuracy"][-1]
            progress.update(task, advance=1, description=f"{accuracy:.1%} of the training digits right")
    return model


def _shifted(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each frame moved by -1, 0 or 1 pixel both ways; what comes in is background."""
    padded = np.pad(frames, ((0, 0), (1, 1), (1, 1), (0, 0)))
    offsets = rng.integers(0, 3, (len(frames), 2))
    height, width, _ = SHAPE
    return np.stack(
        [image[y : y + height, x : x + width] for image, (y, x) in zip(padded, offsets, strict=True)]
    )


def _tensors(net: Net, model: keras.Model) -> dict[str, np.ndarray]:
    """The trained weights under the names and in the layouts of a published checkpoint."""
    tensors: dict[str, np.ndarray] = {}
    for layer in net.layers:
        names = weights.tensor_names(layer)
        if not names:
            continue
        keras_layer = model.get_layer(float_model.keras_name(layer.name))
        kernel, *rest = keras_layer.get_weights()
        if layer.batch_norm:
            rest = model.get_layer(f"{keras_layer.name}_bn").get_weights()
        axes = {"dense": (1, 0), "conv": (3, 2, 0, 1), "depthwise": (2, 3, 0, 1)}[layer.kind]
        tensors |= dict(zip(names, [kernel.transpose(axes), *rest], strict=True))
    return tensors


def _float_accuracy(model: keras.Model, digits: Split) -> float:
    scores = model.predict(to_real(digits.held_out_frames), verbose=0)
    return float((scores.argmax(axis=1) == digits.held_out_labels).mean())


def _int8_accuracy(path: Path, digits: Split) -> float:
    """By LiteRT's reference kernels, which every board equals bit by bit."""
    from tinyswitch.evaluate.images import to_model_input
    from tinyswitch.evaluate.litert import LiteRtModel

    model = LiteRtModel(path)
    right = [
        int(model.run(to_model_input(frame, model.input))[0].argmax()) == label
        for frame, label in zip(digits.held_out_frames, digits.held_out_labels, strict=True)
    ]
    return float(np.mean(right))


def _figures(net: Net, digits: Split, accuracy: dict[str, float], seconds: float) -> dict[str, Any]:
    packages = ("tensorflow", "keras", "scikit-learn", "numpy")
    return {
        "net": net.name,
        "data": "sklearn.datasets.load_digits",
        "split": {
            "train": len(digits.train_labels),
            "held_out": len(digits.held_out_labels),
            "stratified": True,
            "seed": SEED,
        },
        "seed": SEED,
        "epochs": EPOCHS,
        "batch": BATCH,
        "optimizer": f"Adam, learning rate {LEARNING_RATE} falling to 0 along a cosine",
        "augmentation": "shifts by up to one pixel",
        "held_out_accuracy": {kind: round(value, 4) for kind, value in accuracy.items()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "date": datetime.now(UTC).date().isoformat(),
        "duration_s": round(seconds, 1),
        "cpus": os.cpu_count(),
    }
