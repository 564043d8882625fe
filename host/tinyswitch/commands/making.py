"""Nets, models, training."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tinyswitch import families, nets
from tinyswitch.commands.building import APP, GESTURE, KEYWORD
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.display import count, wide_console
from tinyswitch.evaluate.target import Choice
from tinyswitch.families.record import Record
from tinyswitch.firmware import project

Log = Callable[[str], None]


def list_nets() -> None:
    table = Table("net", "input", "MACs", "parameters", "weights")
    for row in nets.table():
        size = f"{row.resolution} x {row.resolution}"
        table.add_row(row.name, size, count(row.macs), count(row.parameters), row.checkpoint)
    Console().print(table)


def convert_net(net: str, checkpoint: str | None, calibration: str | None, out: str | None, log: Log) -> None:
    from tinyswitch.quantize import convert  # loads TensorFlow

    loaded = nets.load(net)
    path = Path(out) if out else target.MODELS / f"{loaded.name}.tflite"
    weights = checkpoint if checkpoint in (None, "random") else Path(checkpoint)
    convert(loaded, weights, Path(calibration) if calibration else None, path, log)
    if not (out or checkpoint or calibration):
        target.note_conversion(loaded, path)


def plan_models(board: str, choice: Choice, segment: str | None, out: str | None, log: Log) -> None:
    from tinyswitch.compiler import compile_model
    from tinyswitch.compiler.memory_map import MemoryMap
    from tinyswitch.evaluate import plan_picture, plan_text

    spec = project.board(board, APP)
    console, folder = wide_console(), target.run_folder(out, "plan", board)
    # weights don't matter here either, but all nets at once would be too much
    chosen = target.measured(choice, log) if choice.net else target.models(choice, log)
    for model in chosen:
        memory_map = MemoryMap(compile_model(model, spec.kernels))
        for table in plan_text.tables(memory_map, plan_text.chosen(memory_map, segment)):
            console.print(table)
        log(f"pictures: {', '.join(map(str, plan_picture.draw(memory_map, folder)))}")


def make_family(name: str, images: str | None, limit: str | None, out: str | None, log: Log) -> None:
    from tinyswitch.families.making import make  # loads TensorFlow

    family = families.load(name)
    measured = target.number("--limit", limit) if limit else None
    folder = Path(out) if out else target.FAMILIES / family.name
    made = make(family, Path(images) if images else None, folder, log, measured)
    if not (images or limit or out):
        target.note_family(family, folder)
    wide_console().print(family_table(made))


def family_table(made: Record) -> Table:
    """What each sub-network costs and is worth."""
    table = Table("sub-network", "input", "MACs", "tables of its own", "int8 top-1", title=made.family)
    for row in made.subnets:
        top1 = "-" if row.accuracy is None else f"{row.accuracy:.1%} of {row.accuracy_images}"
        size = f"{row.resolution} x {row.resolution}"
        table.add_row(row.name, size, count(row.macs), f"{row.table_bytes / 1e3:.1f} kB", top1)
    table.caption = f"one set of int8 weights, {made.weights_bytes / 1e3:.1f} kB, shared byte for byte"
    return table


def _prefer_onednn() -> None:
    """Convolutions and batch norm by oneDNN: trains 1.4 times as fast on two cores with AVX2.

    It is TensorFlow's default only where there is AVX-512. To be called before TensorFlow is loaded.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def train_family(name: str, out: str | None, log: Log) -> None:
    _prefer_onednn()
    from tinyswitch.training.train import train  # loads TensorFlow

    log(f"record: {train(name, Path(out) if out else None, log)}")


@dataclass(frozen=True)
class AppTraining:
    """What was asked for, as it was typed."""

    recordings: str | None
    keep: str | None
    trials: str | None
    net: str | None
    out: str | None


def train_app(app: str, family: str | None, asked: AppTraining, log: Log) -> None:
    """Trains the model of an application. Raises TinyswitchError for options that are another's."""
    _prefer_onednn()
    if family:
        raise TinyswitchError("give either --family or --app")
    if app == GESTURE:
        _none_of(app, net=asked.net)
        _train_gestures(asked, log)
    elif app == KEYWORD:
        _none_of(app, keep=asked.keep, trials=asked.trials)
        _train_keywords(asked, log)
    else:
        raise TinyswitchError(f"--app {app}: it is {GESTURE} or {KEYWORD}")


def _none_of(app: str, **options: str | None) -> None:
    for name, value in options.items():
        if value is not None:
            raise TinyswitchError(f"--{name} {value}: --app {app} has no such option")


def _train_gestures(asked: AppTraining, log: Log) -> None:
    from tinyswitch.gestures.command import train_gestures  # loads TensorFlow

    kept = target.number("--keep", asked.keep) if asked.keep else None
    trials = target.number("--trials", asked.trials or "0", minimum=0)
    train_gestures(asked.recordings, asked.out, log, keep=kept, trials=trials)


def _train_keywords(asked: AppTraining, log: Log) -> None:
    from tinyswitch.keywords.command import train_keywords

    train_keywords(asked.recordings, asked.out, log, net=asked.net or "default")
