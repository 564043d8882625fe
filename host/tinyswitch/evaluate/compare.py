"""Nets side by side on this machine: time, memory, top-1 and top-5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.display import bars, kilobytes, percent
from tinyswitch.evaluate.host import check_images
from tinyswitch.evaluate.images import Dataset
from tinyswitch.evaluate.journal import write_json
from tinyswitch.evaluate.profile import ROUNDS, WARM_UP, profile
from tinyswitch.evaluate.reference import ENGINE, Reference, decode
from tinyswitch.evaluate.summary import accuracy, ranking

Record = dict[str, Any]
TIMED = "processor time of one inference, one thread, LiteRT's optimised kernels"


def compare(
    models: Sequence[Path], dataset: Dataset, out: Path, cache: Path, console: Console, rounds: int = ROUNDS
) -> list[Record]:
    """A record for each model, in their order; also written to ``out/compare.json``.

    The answers are those of LiteRT's reference kernels, which a board gives too, on all cores; what ``cache``
    has is not computed again. Then each model is timed with LiteRT's optimised kernels, nothing else running
    here: ``ms`` and ``elapsed_ms`` (medians of ``rounds``) and ``ram_bytes`` (evaluate.profile).
    Raises TinyswitchError for a damaged image or model.
    """
    records = []
    with bars(console) as progress:
        for model in models:
            records.append(_answers(model, dataset, cache, progress))
        bar = progress.add_task("timing", total=len(models) * (rounds + WARM_UP))
        for model, record in zip(models, records, strict=True):
            found = profile(model, dataset.entries[0].path, rounds, lambda: progress.advance(bar))
            record |= {
                "ms": found.cpu_seconds * 1e3,
                "elapsed_ms": found.seconds * 1e3,
                "rounds": rounds,
                "ram_bytes": found.ram_bytes,
            }
    write_json(out / "compare.json", {"engine": ENGINE, "timed": TIMED, "nets": records})
    return records


def accuracy_of(
    model: Path, dataset: Dataset, cache: Path, progress: Progress
) -> tuple[float | None, float | None]:
    """Top-1 and top-5 as fractions; None where the labels say nothing about the model."""
    record = _answers(model, dataset, cache, progress)
    return record["top1"], record["top5"]


def _answers(model: Path, dataset: Dataset, cache: Path, progress: Progress) -> Record:
    sources = [entry.path for entry in dataset.entries]
    with Reference(model, cache) as reference:
        digests = check_images(reference, sources, progress)
        bar = progress.add_task(model.stem, total=len(sources))
        reference.start(sources, digests, lambda: progress.advance(bar))
        scores = reference.outputs[0]
        ranked = {
            entry.name: ranking(decode(reference.answer(digest)[0], scores))
            for entry, digest in zip(dataset.entries, digests, strict=True)
        }
        shape = reference.input.shape
    classes = int(np.prod(scores.shape))
    top1, top5 = accuracy(dataset, ranked, classes)
    return {
        "name": model.stem,
        "file": str(model),
        "input": list(shape),
        "file_bytes": model.stat().st_size,
        "images": len(dataset),
        "top1": top1,
        "top5": top5,
        "no_accuracy": dataset.mismatch(classes),
    }


def compare_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """The table of ``compare-nets``: a line a net."""
    if not records:
        raise TinyswitchError("nothing to compare")
    reasons = {r["no_accuracy"] for r in records if r["no_accuracy"]}
    table = Table(
        title=f"{records[0]['images']} images",
        caption="; ".join([f"time: {TIMED}", *(f"no accuracy: {r}" for r in sorted(reasons))]),
    )
    table.add_column("net")
    for name in ("input", "file", "RAM", "time", "top-1", "top-5"):
        table.add_column(name, justify="right")
    for record in records:
        table.add_row(
            record["name"],
            "x".join(map(str, record["input"])),
            kilobytes(record["file_bytes"]),
            kilobytes(record["ram_bytes"]),
            f"{record['ms']:.2f} ms",
            percent(record["top1"]),
            percent(record["top5"]),
        )
    return table
