"""Trains a family and what its record compares it with; writes weights, models and the record."""

from __future__ import annotations

import io
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tinyswitch import data, families, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.families import Family
from tinyswitch.families.family import FOLDER
from tinyswitch.nets import torchfile
from tinyswitch.quantize.quiet import quiet
from tinyswitch.training.recipes import SOURCES, Recipe, Source
from tinyswitch.training.split import Split

Log = Callable[[str], None]

STATES = Path("build/training")  # where interrupted trainings go on from
FILE = "training.json"
KINDS = (
    "elastic",
    "alone",
)  # how the family's net is trained; the second, to compare with, without the others


def train(family: Family | str | Path, out: Path | None = None, log: Log = print) -> Path:
    """Trains ``family`` and writes its record, training.json, whose path it returns.

    An interrupted training goes on where its last epoch ended. ``out``: a folder for everything; None: the
    float weights go to models/, as the net's file names them, the rest to models/families/NAME/: the record
    and what families.making.make writes. Raises TinyswitchError for a net whose images are not known, or of
    another size or number of classes.
    """
    family = family if isinstance(family, Family) else families.load(family)
    source = _source(family)
    folder = Path(out) if out else FOLDER / family.name
    checkpoint = (folder if out else nets.MODELS) / _checkpoint(family)
    split = source.split()
    with quiet():
        import tensorflow as tf

        from tinyswitch.families.making import make
    tf.get_logger().setLevel("ERROR")  # that each sub-network is a graph of its own is no mistake
    content, figures = _trained(family, source.recipe, split, log)
    data.write_file(checkpoint, content)
    log(f"{checkpoint}: {len(content) / 1e6:.1f} MB")
    record = folder / FILE
    data.write_file(record, (json.dumps(_record(family, source, split, figures), indent=1) + "\n").encode())
    make(replace(family, checkpoint=str(checkpoint.absolute())), None, folder, log)
    if source.alone and not out:
        default = nets.MODELS / f"{family.net.name}.tflite"
        data.write_file(default, (folder / f"{family.subnets[0].name}.tflite").read_bytes())
    for kind in KINDS:
        _state(family, kind).unlink(missing_ok=True)
    return record


def _trained(family: Family, recipe: Recipe, split: Split, log: Log) -> tuple[bytes, dict[str, Any]]:
    """The checkpoint; and for each of KINDS what the training took and what came of it."""
    from tinyswitch.training import elastic, evaluation

    images = len(split.train_labels)
    log(f"{family.name}: {len(family.subnets)} sub-networks, {images} images, seed {recipe.seed}")
    content, figures = io.BytesIO(), {}
    for kind, epochs in zip(KINDS, (recipe.epochs, recipe.baseline_epochs), strict=True):
        trainer = elastic.Trainer(family, recipe, epochs, images, kind == KINDS[0])
        spent = _run(trainer, epochs, split, _state(family, kind), kind)
        found = evaluation.measure(trainer.model, family, split, recipe)
        shown = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in found.accuracy.items())
        log(f"trained {kind}, {epochs} epochs, {spent['cpu_seconds'] / 60:.1f} minutes of CPU time: {shown}")
        figures[kind] = spent | {"accuracy": found.accuracy}
        if kind == KINDS[0]:
            torchfile.write(trainer.model.tensors(found.moments), content)
    return content.getvalue(), figures


def _state(family: Family, kind: str) -> Path:
    return STATES / f"{family.name}-{kind}.npz"


def _source(family: Family) -> Source:
    net = family.whole
    source = SOURCES.get(net.data or "")
    if source is None or net.input != source.shape or net.classes != source.classes:
        able = "; ".join(
            f'"data": "{s.name}", "resolution": {s.shape[0]}, "channels": {s.shape[2]}, {s.classes} classes'
            for s in SOURCES.values()
        )
        raise TinyswitchError(f"{net.source or net.name}: cannot be trained here: only nets with {able} can")
    return source


def _checkpoint(family: Family) -> str:
    name = family.checkpoint or family.whole.checkpoint
    if name is None:
        raise TinyswitchError(
            f"{family.whole.source}: no name for the trained weights:"
            f' add "checkpoint": "{family.net.name}.pth"'
        )
    return name


def _run(trainer: Any, epochs: int, split: Split, state: Path, kind: str) -> dict[str, Any]:
    """Trains to the end, from the last epoch that ``state`` has; returns what it took."""
    spent = trainer.restore(state) or {"epochs": 0, "seconds": 0.0, "cpu_seconds": 0.0, "right": []}
    columns = (
        TextColumn(kind),
        TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        done, steps = spent["epochs"], trainer.epoch_steps
        task = progress.add_task("", total=epochs * steps, completed=done * steps, epoch=done)
        for epoch in range(done, epochs):
            start, cpu = time.monotonic(), time.process_time()

            def advance(right: float) -> None:
                progress.update(task, advance=1, description=f"{right:.1%} right")

            progress.update(task, epoch=epoch + 1)
            right = trainer.epoch(split, epoch, advance)
            spent["epochs"] = epoch + 1
            spent["seconds"] += time.monotonic() - start
            spent["cpu_seconds"] += time.process_time() - cpu
            spent["right"].append(round(right, 4))
            trainer.keep(state, spent)
    return spent


def _record(family: Family, source: Source, split: Split, figures: dict[str, Any]) -> dict[str, Any]:
    """What training.json holds: figures of the float sub-networks, and everything that they depend on."""
    packages = ("tensorflow", "keras", "numpy")
    return {
        "family": family.name,
        "net": family.whole.name,
        "data": source.origin,
        "images": {"train": len(split.train_labels), "held_out": len(split.held_out_labels)},
        "macs": {subnet.name: subnet.net.macs for subnet in family.subnets},
        "held_out_accuracy": {
            kind: {name: round(share, 4) for name, share in found.pop("accuracy").items()}
            for kind, found in figures.items()
        },
        "took": {
            kind: found | {key: round(found[key], 1) for key in ("seconds", "cpu_seconds")}
            for kind, found in figures.items()
        },
        "recipe": asdict(source.recipe),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "cpus": os.cpu_count(),
        "date": datetime.now(UTC).date().isoformat(),
    }
