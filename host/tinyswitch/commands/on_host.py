"""Nets on this machine: compared, and switched."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import target
from tinyswitch.evaluate.display import wide_console
from tinyswitch.evaluate.target import Choice

if TYPE_CHECKING:
    from tinyswitch.evaluate.dynamic.trace import Trace
    from tinyswitch.evaluate.host_dynamic.monitor import Monitor
    from tinyswitch.evaluate.host_dynamic.options import HostOption

Log = Callable[[str], None]
SLACK = 1.5  # a deadline that nobody gave, in times of the slowest model alone


def compare_nets(choice: Choice, images: str | None, limit: str | None, out: str | None, log: Log) -> None:
    from tinyswitch.evaluate.compare import compare, compare_table
    from tinyswitch.evaluate.host_dynamic import pictures

    dataset = pictures.find(images, limit, choice)
    models = target.models(choice, log)
    folder = target.run_folder(out, "compare")
    records = compare(models, dataset, folder, target.CACHE, Console(stderr=True))
    wide_console().print(compare_table(records))
    log(f"results: {folder / 'compare.json'}")


def host_dynamic(
    choice: Choice,
    images: str | None,
    policies: str,
    batch: str | None,
    workers: str | None,
    limit: str | None,
    deadline_ms: str | None,
    ram_mb: str | None,
    threshold: str,
    trace: str | None,
    out: str | None,
    log: Log,
) -> None:
    from tinyswitch.evaluate.dynamic import trace as trace_file
    from tinyswitch.evaluate.host_dynamic import choosing, pictures, report
    from tinyswitch.evaluate.host_dynamic.run import Job, run

    words = choosing.kinds(policies)
    load = None
    if trace:
        load = trace_file.read(Path(trace))
        words.append(choosing.FIXED)  # what a policy is worth shows beside every fixed choice
    margin = _real("--threshold", threshold)
    deadline = None if deadline_ms is None else _real("--deadline-ms", deadline_ms) / 1e3
    ram = None if ram_mb is None else round(_real("--ram-mb", ram_mb) * 1e6)
    dataset = pictures.find(images, limit, choice)
    processes = target.number("--workers", workers) if workers else min(os.cpu_count() or 1, len(dataset))
    known = _models(choice, log)
    job = Job(
        models=list(known),
        accuracies=known,
        dataset=dataset,
        choosers=lambda options: choosing.choosers(words, margin, options),
        monitors=lambda options: _monitors(options, processes, len(dataset), load, deadline, ram, log),
        workers=processes,
        batch=target.number("--batch", batch) if batch else processes,
        out=target.run_folder(out, "host-dynamic"),
        cache=target.CACHE,
    )
    result = run(job, Console(stderr=True), log)
    console = wide_console()
    console.print(report.options_table(result.options))
    names = pictures.class_names(dataset, result.options[0].classes)
    console.print(report.answers_table(result.played[0], names))
    console.print(report.policies_table(result.summary["policies"]))
    log(f"results: {job.out}")


def _models(choice: Choice, log: Log) -> dict[Path, float | None]:
    """Each model with the accuracy that its family's record has."""
    if choice.family and not (choice.net or choice.models):
        return {path: row.accuracy for path, row in target.family_members(choice.family, log)}
    return dict.fromkeys(target.models(choice, log))


def _monitors(
    options: Sequence[HostOption],
    workers: int,
    frames: int,
    load: Trace | None,
    deadline: float | None,
    ram: int | None,
    log: Log,
) -> Callable[[], Monitor]:
    from tinyswitch.evaluate.host_dynamic.monitor import SystemMonitor
    from tinyswitch.evaluate.host_dynamic.trace_monitor import TraceMonitor

    if deadline is None and not (load and load.has_deadline):
        slowest = max(options, key=lambda option: option.seconds)
        deadline = SLACK * slowest.seconds
        log(f"deadline: {deadline * 1e3:.1f} ms, {SLACK} times what {slowest.name} takes alone")
    if load:
        return lambda: TraceMonitor(load, options, frames, deadline or None, ram)
    return lambda: SystemMonitor(workers, deadline or None, ram)


def _real(option: str, text: str) -> float:
    """The value of an option that is a number, not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (value >= 0 and math.isfinite(value)):
        raise TinyswitchError(f"{option} {text}: a number from 0 is needed")
    return value
