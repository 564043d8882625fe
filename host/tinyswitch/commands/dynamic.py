"""Policies on a board, under a load that changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from tinyswitch import firmware
from tinyswitch.commands.building import APP
from tinyswitch.commands.evaluating import connected
from tinyswitch.data import write_file
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.display import wide_console
from tinyswitch.evaluate.dynamic import dynamic_eval, trace
from tinyswitch.evaluate.dynamic.report import policies_table
from tinyswitch.evaluate.dynamic.run import Job
from tinyswitch.evaluate.host_dynamic import pictures
from tinyswitch.evaluate.host_dynamic.choosing import kinds
from tinyswitch.evaluate.target import Choice
from tinyswitch.firmware import Build, project

Log = Callable[[str], None]


def evaluate_policies(
    board: str,
    port: str,
    choice: Choice,
    policies: str,
    trace_file: str | None,
    images: str | None,
    limit: str | None,
    fps: str,
    threshold: str,
    out: str | None,
    log: Log,
) -> None:
    """Prints the table; TinyswitchError if answers differ from LiteRT's."""
    project.board(board, APP)
    words = kinds(policies)
    played = trace.read(Path(trace_file) if trace_file else trace.DEFAULT)
    rate = _positive("--fps", fps)
    margins = [_positive("--threshold", word.strip()) for word in threshold.split(",")]
    frames = target.number("--limit", limit) if limit else played.frames(rate)
    dataset = pictures.find(images, str(frames), choice)
    entries = target.entries(choice, board, log)
    log(f"building the firmware for {board}")
    built = firmware.build(board, APP, entries)
    folder = target.run_folder(out, "dynamic", board, played.path.stem)
    built = _kept(built, folder)
    name = choice.family.partition(":")[0] if choice.family else None
    with connected(board, port, built, log) as (device, prepare):
        job = Job(
            board=device,
            build=built,
            family=Path(name).stem if name else None,
            policies=words,
            thresholds=margins,
            trace=played,
            dataset=dataset,
            frames=frames,
            fps=rate,
            out=folder,
            cache=target.CACHE,
        )
        summary = dynamic_eval(job, Console(stderr=True), prepare)
    wide_console().print(policies_table(summary))
    log(f"results: {job.out}, timeline: {job.out / 'timeline.png'}")
    _check(summary, job.out)


def _kept(built: Build, folder: Path) -> Build:
    """The same with a copy of the firmware in ``folder``: every policy starts the board again, and meanwhile
    another command may build another firmware."""
    copy = folder / "firmware.elf"
    write_file(copy, built.elf.read_bytes())
    copy.chmod(0o755)
    return replace(built, elf=copy)


def _check(summary: dict[str, Any], out: Path) -> None:
    for name, found in summary["details"].items():
        different = found["inferences"] - found["identical_outputs"]
        if different:
            raise TinyswitchError(
                f"{out}: policy {name}: {different} of {found['inferences']} answers differ from LiteRT's"
            )


def _positive(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and math.isfinite(value)):
        raise TinyswitchError(f"{option} {text}: a number above 0 is needed")
    return value
