"""Gestures on a board: recordings played to it, and recorded from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from tinyswitch import firmware
from tinyswitch.boards import Board, names
from tinyswitch.commands.building import GESTURE, gesture_models
from tinyswitch.commands.evaluating import check, connected
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.display import bars, wide_console
from tinyswitch.evaluate.target import Choice
from tinyswitch.firmware import Build, project
from tinyswitch.gestures import record, table
from tinyswitch.gestures.table import Entry
from tinyswitch.link import Client
from tinyswitch.link.gesture import Gestures

Log = Callable[[str], None]
SOURCES = ("sensor", "link")
COUNTDOWN_S = 3  # before a recording begins


def stream_recordings(
    board: str,
    port: str,
    choice: Choice,
    recordings: str | None,
    limit: str | None,
    source: str | None,
    rate: str | None,
    out: str | None,
    log: Log,
) -> None:
    """Each model at its best rate, or ``rate``. TinyswitchError if recordings are lost or answers differ."""
    project.board(board, GESTURE)
    if source not in (None, *SOURCES):
        raise TinyswitchError(f"--source {source}: it is sensor or link")
    count = target.number("--limit", limit) if limit else None
    models = gesture_models(choice)
    chosen = [_entry(table.entries([model]), rate) for model in models]
    log(f"building the firmware for {board}")
    built = firmware.build(board, GESTURE, models)
    with connected(board, port, built, log) as (device, prepare):
        playing = _playing(device, built, source)
        for entry in chosen:
            folder = target.model_folder(out, len(chosen) > 1, board, entry.name)
            _stream(device, playing, built, entry, recordings, count, folder, prepare, log)


def _entry(entries: list[Entry], rate: str | None) -> Entry:
    """The entry for ``rate``, else the first."""
    if rate is None:
        return entries[0]
    for entry in entries:
        if f"{entry.rate.window.rate_hz:g}" == rate.strip():
            return entry
    there = ", ".join(f"{entry.rate.window.rate_hz:g}" for entry in entries)
    raise TinyswitchError(f"--rate {rate}: {entries[0].record.model} has {there} (Hz)")


def _playing(device: Board, built: Build, source: str | None) -> Callable[[Path], Board] | None:
    """What makes a board into whose sensor a recording is played; None: samples go over the link."""
    possible = device.kind == "virtual" and device.name in names.WITH_MOTION
    if source == "sensor" and not possible:
        raise TinyswitchError(
            "--source sensor: recordings can be played into the sensor of a virtual "
            f"{names.WITH_MOTION[0]} alone; leave it out, and {device.name} gets them over the link"
        )
    if source == "link" or not possible:
        return None
    from tinyswitch.boards.virtual import VirtualBoard  # loads the emulator
    from tinyswitch.boards.virtual.chip import Options

    return lambda path: VirtualBoard(built.elf, device.name, Options(motion=path, motion_fast=True))


def _stream(
    device: Board,
    playing: Callable[[Path], Board] | None,
    built: Build,
    entry: Entry,
    recordings: str | None,
    limit: int | None,
    out: Path,
    prepare: Callable[[], None],
    log: Log,
) -> None:
    from tinyswitch.evaluate.gesture.display import gesture_tables
    from tinyswitch.evaluate.gesture.material import recordings as chosen
    from tinyswitch.evaluate.gesture.stream import Job, gesture_eval

    folder, found = chosen(entry.record, Path(recordings) if recordings else None, limit, log)
    job = Job(device, playing, built, entry, folder, found, out, prepare)
    summary = gesture_eval(job, Console(stderr=True))
    console = wide_console()
    for shown in gesture_tables(summary, entry.record.classes):
        console.print(shown)
    log(f"results: {out}")
    check(summary, out, "windows", "windows differ from the host's")


def record_motions(
    board: str, port: str, label: str, seconds: str, count: str, out: str | None, log: Log
) -> None:
    """Writes ``count`` recordings, one after the other, each after a countdown."""
    from tinyswitch.gestures import recorder

    project.board(board, GESTURE)
    recorder.check_label(label)
    length, number = target.number("--seconds", seconds, minimum=2), target.number("--count", count)
    folder = Path(out) if out else project.ROOT / "recordings"
    built = firmware.build(board, GESTURE, [record.DEFAULT])
    with connected(board, port, built, log) as (device, _):
        if device.kind == "native":
            raise TinyswitchError(f"--board {board}: it has no motion sensor; {names.WITH_MOTION[0]} has one")
        client = Client(device.open())
        info = client.hello()
        if info.app != GESTURE:
            raise TinyswitchError(
                f"{device.name}: the application on it is {info.app!r}; run build-flash --app {GESTURE} first"
            )
        try:
            for i in range(number):
                _countdown(f"{label}, {i + 1} of {number}", log)
                rate, samples = _capture(client, label, length)
                content = recorder.document(samples, rate, info.board)
                print(recorder.save(content, folder, label))
        finally:
            client.close()


def _capture(client: Client, label: str, seconds: int) -> tuple[float, np.ndarray]:
    """Rate and samples, with a progress bar in seconds."""
    from tinyswitch.gestures.recorder import capture

    with bars(Console(stderr=True)) as progress:
        bar = progress.add_task(label, total=seconds)
        return capture(Gestures(client), seconds, lambda done: progress.update(bar, completed=round(done)))


def _countdown(what: str, log: Log) -> None:
    for left in range(COUNTDOWN_S, 0, -1):
        log(f"{what}: in {left} s")
        time.sleep(1)
