"""``host-dynamic``: models measured, then switched while they answer images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.host_dynamic.answering import Answering
from tinyswitch.evaluate.host_dynamic.monitor import Monitor
from tinyswitch.evaluate.host_dynamic.options import HostOption, check_alternatives, measure
from tinyswitch.evaluate.host_dynamic.playing import Chooser, Played, Player
from tinyswitch.evaluate.images import Dataset
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.journal import Journal, write_json


@dataclass(frozen=True)
class Job:
    """What is to be done."""

    models: Sequence[Path]
    accuracies: Mapping[Path, float | None]  # those that are known, as fractions
    dataset: Dataset
    choosers: Callable[[Sequence[HostOption]], Mapping[str, Chooser]]  # policy -> it at work
    monitors: Callable[[Sequence[HostOption]], Callable[[], Monitor]]  # makes one for each policy
    workers: int
    batch: int  # images between two decisions
    out: Path
    cache: Path  # of LiteRT's answers


@dataclass(frozen=True)
class Result:
    """What came of it."""

    options: Sequence[HostOption]
    played: Sequence[Played]  # one a policy
    summary: dict[str, Any]  # as written


def run(job: Job, console: Console, log: Callable[[str], None]) -> Result:
    """Measures the models, then answers all images under each policy.

    Writes ``out/POLICY.jsonl`` (a line for each answer and switch) and ``out/summary.json``. Raises
    TinyswitchError for a damaged image or model; Interrupted on Ctrl-C.
    """
    played: list[Played] = []
    choosers: Mapping[str, Chooser] = {}
    with bars(console) as progress:
        try:
            options = measure(job.models, job.accuracies, job.dataset, job.cache, progress, log)
            check_alternatives(options)
            choosers = job.choosers(options)
            new_monitor = job.monitors(options)
            for name, chooser in choosers.items():
                played.append(_play(job, name, chooser, options, new_monitor, progress))
        except KeyboardInterrupt:
            raise Interrupted(len(played), len(choosers), what="policies played") from None
    summary = _summary(job, options, played)
    write_json(job.out / "summary.json", summary)
    return Result(options, played, summary)


def _play(
    job: Job,
    name: str,
    chooser: Chooser,
    options: Sequence[HostOption],
    new_monitor: Callable[[], Monitor],
    progress: Progress,
) -> Played:
    bar = progress.add_task(name, total=len(job.dataset))
    path = job.out / f"{name.replace(':', '-')}.jsonl"

    def say(text: str) -> None:
        progress.console.print(text, highlight=False, soft_wrap=True)

    # A policy starts with new processes: nothing is in memory, no load is left from before
    with Answering(job.workers, "a model") as answering, Journal(path) as journal:
        journal.clear()
        player = Player(name, chooser, options, new_monitor(), answering, journal, say)
        return player.play(job.dataset, job.batch, lambda count: progress.advance(bar, count))


def _summary(job: Job, options: Sequence[HostOption], played: Sequence[Played]) -> dict[str, Any]:
    return {
        "images": len(job.dataset),
        "batch": job.batch,
        "workers": job.workers,
        "models": [
            {key: str(value) if key == "path" else value for key, value in asdict(option).items()}
            for option in options
        ],
        "policies": {one.name: one.summary([o.name for o in options]) for one in played},
    }
