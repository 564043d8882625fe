"""Models on boards and under LiteRT: accuracy, equality, cost."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tinyswitch import firmware
from tinyswitch.commands.building import APP, each, flash
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import baselines, target
from tinyswitch.evaluate.display import board_table, host_table, verify_table, wide_console
from tinyswitch.evaluate.images import Dataset
from tinyswitch.evaluate.journal import write_json
from tinyswitch.evaluate.target import Choice
from tinyswitch.families import record
from tinyswitch.firmware import Build, project

if TYPE_CHECKING:
    from tinyswitch.boards import Board

Log = Callable[[str], None]


def stream_images(
    board: str,
    app: str,
    port: str,
    choice: Choice,
    images: str | None,
    limit: str | None,
    out: str | None,
    log: Log,
) -> None:
    project.board(board, app)
    dataset = target.images(images, limit)
    entries = target.entries(choice, board, log)
    log(f"building the firmware for {board}")
    built = firmware.build(board, app, entries)
    with connected(board, port, built, log) as (device, prepare):
        for one in each(built):
            name = one.models[0].name
            folder = target.model_folder(out, len(entries) > 1, board, name)
            stream(device, one, dataset, folder, prepare, log)


@contextmanager
def connected(board: str, port: str, built: Build, log: Log) -> Iterator[tuple[Board, Callable[[], None]]]:
    """The board at ``port``, and what puts ``built`` on it, at the first call."""
    from tinyswitch.boards import connect

    with connect(board, port, built) as device:
        yield device, functools.cache(lambda: flash(device, built, log))


def stream(
    device: Board, built: Build, dataset: Dataset, out: Path, prepare: Callable[[], None], log: Log
) -> dict[str, Any]:
    """Streams to the first model of ``built`` and prints the table.

    Raises TinyswitchError if images were lost or answers differ.
    """
    from tinyswitch.evaluate.stream import stream_eval

    summary = stream_eval(device, built, dataset, out, target.CACHE, Console(stderr=True), prepare)
    Console().print(board_table(summary))
    log(f"results: {out}")
    check(summary, out, "images", "answers differ from LiteRT's")
    return summary


def check(summary: Mapping[str, Any], out: Path, frames: str, differ: str) -> None:
    """Raises TinyswitchError if ``frames`` were lost, or some of the answers ``differ``."""
    if summary["lost"]:
        raise TinyswitchError(
            f"{summary['lost']} of {summary['images']} {frames} lost; the same command goes on"
        )
    different = summary["answered"] - summary["identical_outputs"]
    if different:
        raise TinyswitchError(f"{out}: {different} of {summary['answered']} {differ}")


def host_images(choice: Choice, images: str | None, limit: str | None, out: str | None, log: Log) -> None:
    from tinyswitch.evaluate.host import host_eval

    dataset = target.images(images, limit)
    models = target.models(choice, log)
    for model in models:
        folder = target.model_folder(out, len(models) > 1, "host", model.stem)
        summary = host_eval(model, dataset, folder, target.CACHE, Console(stderr=True))
        Console().print(host_table(summary))
        log(f"results: {folder}")


def verify_models(
    board: str, port: str, choice: Choice, count: str, seed: str, out: str | None, log: Log
) -> None:
    """All in one firmware, one after the other."""
    from tinyswitch.evaluate.verify import verify

    inputs, start = target.number("--count", count), target.number("--seed", seed, minimum=0)
    project.board(board, APP)
    built = firmware.build(board, APP, target.entries(choice, board, log))
    with connected(board, port, built, log) as (device, prepare):
        console = Console(stderr=True)
        reports = [verify(device, one, inputs, start, target.CACHE, console, prepare) for one in each(built)]
    if out:
        write_json(Path(out), reports if len(reports) > 1 else reports[0])
    Console().print(verify_table(reports, board))
    wrong = [r for r in reports if r["identical"] < r["count"]]
    if wrong:
        found = ", ".join(f"{r['model']} {r['count'] - r['identical']} of {r['count']}" for r in wrong)
        raise TinyswitchError(f"answers differ from LiteRT's: {found}")


def bench_models(
    board: str,
    port: str,
    choice: Choice,
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
    for model in target.measured(choice, log):
        try:
            records.append(_bench(board, port, model, frames, start, known, log))
        except firmware.DoesNotFit as error:
            log(str(error))
            missing.append(model.stem)
            continue
        write_json(folder / "bench.json", records)  # after each: an interruption leaves what there is
        if choice.family and (model.parent / record.FILE).exists():
            _note_cost(model, records[-1], log)
        for table in bench_display.parts_tables(records[-1], stages):
            console.print(table)
    if records:
        for table in bench_display.model_tables(records):
            console.print(table)
        bench_plot.draw(records, folder)
        log(f"results and pictures: {folder}")
    _check_bench(board, folder, records, missing, asked=choice.given)


def _note_cost(model: Path, measured: Mapping[str, Any], log: Log) -> None:
    """What a sub-network takes goes into its family's record, and so into the next model table.

    Not of the native board: nanoseconds are this machine's alone.
    """
    unit = measured["unit"]
    if unit == "ns" or measured["identical_outputs"] != measured["count"]:
        return
    record.note(model.parent, measured["board"], unit, {model.stem: measured["ticks"]})
    log(f"{model.parent / record.FILE}: {model.stem}: {measured['ticks']:,} {unit} on {measured['board']}")


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
    from tinyswitch.evaluate.bench import bench

    log(f"{model.stem}: building the firmware for {board}")
    built = firmware.build(board, APP, [model])
    baseline = baselines.of_model(model.stem, known)
    with connected(board, port, built, log) as (device, prepare):
        return bench(device, built, count, seed, baseline, target.CACHE, Console(stderr=True), prepare)
