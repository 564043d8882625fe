"""``invoke train --app gesture``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinyswitch.evaluate.display import wide_console
from tinyswitch.firmware.project import ROOT

PICTURES = ROOT / "runs" / "train-gesture"


def train_gestures(
    folder: str | None,
    out: str | None,
    log: Callable[[str], None],
    *,
    seed: int = 0,
    keep: int | None = None,
    trials: int = 0,
) -> None:
    """Trains (see train.train), prints tables to stdout, and draws pictures into runs/train-gesture."""
    from tinyswitch.gestures import plots, report
    from tinyswitch.gestures.train import train

    inputs = (Path(folder) if folder else None, Path(out) if out else None)
    trained = train(*inputs, log, seed=seed, keep=keep, trials=trials)
    console = wide_console()
    for table in report.tables(trained):
        console.print(table)
    log(f"{trained.path} and {trained.path.with_suffix('.json').name}, {trained.record['seconds']} s")
    log(f"pictures: {', '.join(map(str, plots.draw(trained, PICTURES)))}")
