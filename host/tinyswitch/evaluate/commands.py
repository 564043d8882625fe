"""What each task of ``tasks.py`` does, with the options as the user typed them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tinyswitch import data, firmware, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import baselines, target
from tinyswitch.evaluate.display import board_table, count, host_table, verify_table, wide_console
from tinyswitch.evaluate.images import Dataset
from tinyswitch.evaluate.journal import write_json
from tinyswitch.firmware import Build, project

if TYPE_CHECKING:
    from tinyswitch.boards import Board

Log = Callable[[str], None]
APP = "image"  # the application that answers images


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


def build_firmware(board: str, app: str, net: str | None, models: str | None, log: Log) -> None:
    built = _built(board, app, net, models, log)
    print(firmware.report(built))
    print(built.elf)


def _built(board: str, app: str, net: str | None, models: str | None, log: Log) -> Build:
    project.board(board, app)  # a mistyped board is noticed before anything is converted
    return firmware.build(board, app, target.models(net, models, log))


def build_and_flash(
    board: str, app: str, net: str | None, models: str | None, port: str | None, log: Log
) -> None:
    built = _built(board, app, net, models, log)
    print(firmware.report(built))
    firmware.upload(built, port)
    log(f"{board}: flashed")


def stream_images(
    board: str,
    port: str,
    net: str | None,
    models: str | None,
    images: str | None,
    limit: str | None,
    out: str | None,
    log: Log,
) -> None:
    project.board(board, APP)
    dataset = target.images(images, limit)
    model = target.one_model(net, models, log)
    stream(board, port, model, dataset, target.run_folder(out, board, model.stem), log)


def stream(board: str, port: str, model: Path, dataset: Dataset, out: Path, log: Log) -> dict[str, Any]:
    """Builds, streams, prints the table; raises TinyswitchError if images were lost or answers differ."""
    from tinyswitch.boards import connect
    from tinyswitch.evaluate.stream import stream_eval

    log(f"building the firmware for {board}")
    built = firmware.build(board, APP, [model])
    with connect(board, port, built) as device:
        console = Console(stderr=True)
        summary = stream_eval(
            device, built, dataset, out, target.CACHE, console, lambda: flash(device, built, log)
        )
    Console().print(board_table(summary))
    log(f"results: {out}")
    if summary["lost"]:
        raise TinyswitchError(
            f"{summary['lost']} of {summary['images']} images lost; the same command goes on"
        )
    different = summary["answered"] - summary["identical_outputs"]
    if different:
        raise TinyswitchError(f"{out}: {different} of {summary['answered']} answers differ from LiteRT's")
    return summary


def flash(device: Board, built: Build, log: Log) -> None:
    """Puts the firmware on a real board; where that cannot be done, the board's own has to do."""
    if device.kind != "real":
        return
    device.open()  # a port that is missing or busy is noticed before anything is written
    device.close()
    try:
        firmware.upload(built, device.path)
        log(f"{device.name}: flashed")
    except TinyswitchError as error:
        log(f"{device.name}: not flashed, so what is on it is used: {error}")


def host_images(
    net: str | None, models: str | None, images: str | None, limit: str | None, out: str | None, log: Log
) -> None:
    from tinyswitch.evaluate.host import host_eval

    dataset = target.images(images, limit)
    model = target.one_model(net, models, log)
    folder = target.run_folder(out, "host", model.stem)
    summary = host_eval(model, dataset, folder, target.CACHE, Console(stderr=True))
    Console().print(host_table(summary))
    log(f"results: {folder}")


def verify_model(
    board: str,
    port: str,
    net: str | None,
    models: str | None,
    count: str,
    seed: str,
    out: str | None,
    log: Log,
) -> None:
    from tinyswitch.boards import connect
    from tinyswitch.evaluate.verify import verify

    inputs, start = target.number("--count", count), target.number("--seed", seed, minimum=0)
    project.board(board, APP)
    built = firmware.build(board, APP, [target.one_model(net, models, log)])
    with connect(board, port, built) as device:
        console = Console(stderr=True)
        report = verify(
            device, built, inputs, start, target.CACHE, console, lambda: flash(device, built, log)
        )
    if out:
        write_json(Path(out), report)
    Console().print(verify_table(report, board))
    different = report["count"] - report["identical"]
    if different:
        raise TinyswitchError(
            f"{built.models[0].source}: {different} of {inputs} answers differ from LiteRT's"
        )


def bench_models(
    board: str,
    port: str,
    net: str | None,
    models: str | None,
    count: str,
    seed: str,
    out: str | None,
    stages: bool,
    log: Log,
) -> None:
    """Leaves out models that do not fit; if they were asked for, TinyswitchError names them at the end."""
    from tinyswitch.evaluate import bench_display, bench_plot

    frames, start = target.number("--count", count), target.number("--seed", seed, minimum=0)
    known = baselines.of_board(project.board(board, APP))
    folder, console = target.run_folder(out, "bench", board), wide_console()
    records, missing = [], []
    for model in target.measured(net, models, log):
        try:
            records.append(_bench(board, port, model, frames, start, known, log))
        except firmware.DoesNotFit as error:
            log(str(error))
            missing.append(model.stem)
            continue
        write_json(folder / "bench.json", records)  # after each: an interruption leaves what there is
        for table in bench_display.parts_tables(records[-1], stages):
            console.print(table)
    if records:
        for table in bench_display.model_tables(records):
            console.print(table)
        bench_plot.draw(records, folder)
        log(f"results and pictures: {folder}")
    _check_bench(board, folder, records, missing, asked=bool(net or models))


def _check_bench(
    board: str, folder: Path, records: Sequence[Mapping[str, Any]], missing: Sequence[str], asked: bool
) -> None:
    if missing and (asked or not records):
        raise TinyswitchError(f"left out, since they do not fit {board}: {', '.join(missing)}")
    wrong = [r["model"] for r in records if r["identical_outputs"] != r["count"]]
    if wrong:
        raise TinyswitchError(f"{folder}: answers that differ from LiteRT's: {', '.join(wrong)}")


def _bench(
    board: str,
    port: str,
    model: Path,
    count: int,
    seed: int,
    known: Mapping[str, dict[str, Any]],
    log: Log,
) -> dict[str, Any]:
    from tinyswitch.boards import connect
    from tinyswitch.evaluate.bench import bench

    log(f"{model.stem}: building the firmware for {board}")
    built = firmware.build(board, APP, [model])
    with connect(board, port, built) as device:
        console = Console(stderr=True)
        baseline = baselines.of_model(model.stem, known)
        return bench(
            device, built, count, seed, baseline, target.CACHE, console, lambda: flash(device, built, log)
        )


def plan_models(
    board: str, net: str | None, models: str | None, segment: str | None, out: str | None, log: Log
) -> None:
    from tinyswitch.compiler import compile_model
    from tinyswitch.compiler.memory_map import MemoryMap
    from tinyswitch.evaluate import plan_picture, plan_text

    spec = project.board(board, APP)
    console, folder = wide_console(), target.run_folder(out, "plan", board)
    # weights don't matter here either, but all nets at once would be too much
    chosen = target.measured(net, models, log) if net else target.models(net, models, log)
    for model in chosen:
        memory_map = MemoryMap(compile_model(model, spec.kernels))
        for table in plan_text.tables(memory_map, plan_text.chosen(memory_map, segment)):
            console.print(table)
        log(f"pictures: {', '.join(map(str, plan_picture.draw(memory_map, folder)))}")


def train_net(net: str, out: str | None, log: Log) -> None:
    from tinyswitch.training import digits  # loads TensorFlow

    digits.train(net, Path(out) if out else None, log)


def run_demo(board: str | None, port: str, log: Log) -> None:
    from tinyswitch.evaluate import demo

    demo.run(board, port, log)


def run_tests(quick: bool, log: Log) -> None:
    """Style of Python and C, then the tests; TinyswitchError names what failed."""
    tools = Path(sys.executable).parent
    sources = sorted(
        str(f) for folder in ("firmware", "tests") for f in (target.ROOT / folder).rglob("*.[ch]")
    )
    commands = {
        "ruff check": [sys.executable, "-m", "ruff", "check", "."],
        "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "."],
        "clang-format": [str(tools / "clang-format"), "--dry-run", "-Werror", *sources],
        "pytest": [sys.executable, "-m", "pytest", *(["-x"] if quick else [])],
    }
    environment = {k: v for k, v in os.environ.items() if not (quick and k == data.VARIABLE)}
    failed = []
    for name, command in commands.items():
        log(f"== {name}")
        if subprocess.run(command, cwd=target.ROOT, env=environment, check=False).returncode:
            failed.append(name)
    if failed:
        raise TinyswitchError(f"failed: {', '.join(failed)}")
