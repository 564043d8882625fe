"""Nets, models, training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tinyswitch import nets
from tinyswitch.commands.building import APP
from tinyswitch.evaluate import target
from tinyswitch.evaluate.display import count, wide_console
from tinyswitch.evaluate.target import Choice
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


def train_net(net: str, out: str | None, log: Log) -> None:
    from tinyswitch.training.train import train  # loads TensorFlow

    train(net, Path(out) if out else None, log)
