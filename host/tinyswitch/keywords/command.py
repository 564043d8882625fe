"""``invoke train --app keyword``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinyswitch.evaluate import confusion
from tinyswitch.evaluate.display import percent, wide_console
from tinyswitch.firmware.project import ROOT

PICTURES = ROOT / "runs" / "train-keyword"


def train_keywords(
    folder: str | None, out: str | None, log: Callable[[str], None], *, net: str = "default", seed: int = 0
) -> None:
    """Trains (see train.train), prints tables to stdout, and draws a picture into runs/train-keyword."""
    from tinyswitch.keywords import report
    from tinyswitch.keywords.clips import CLASSES
    from tinyswitch.keywords.judge import REQUIRED
    from tinyswitch.keywords.train import train

    trained = train(Path(folder) if folder else None, Path(out) if out else None, log, net=net, seed=seed)
    console = wide_console()
    scores = trained.scores
    floats = f"unseen speakers, int8; float: {percent(trained.record['held_out']['float_accuracy'])}"
    console.print(report.confusion_table(scores, floats))
    console.print(report.class_table(scores, trained.scores_in_stream, REQUIRED))
    title = f"{scores.windows} clips of unseen speakers, {percent(scores.accuracy)} right"
    picture = confusion.draw(scores, CLASSES, title, PICTURES / f"{trained.path.stem}.png")
    log(f"{trained.path} and {trained.path.with_suffix('.json').name}, {trained.record['seconds']} s")
    log(f"picture: {picture}")
