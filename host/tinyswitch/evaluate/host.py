"""Images through LiteRT on this machine: what a board should answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.images import Dataset, Entry
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.journal import Journal, write_json
from tinyswitch.evaluate.reference import Reference, decode
from tinyswitch.evaluate.summary import host_summary, ranking
from tinyswitch.tensor import TensorInfo


def host_eval(model: Path, dataset: Dataset, out: Path, cache: Path, console: Console) -> dict[str, Any]:
    """Runs ``model`` under LiteRT's reference kernels on all cores; what ``cache`` has is not computed again.

    Writes ``out/results.jsonl`` and ``out/summary.json``, and returns the latter. Raises TinyswitchError for
    a damaged image or file that cannot be written; Interrupted on Ctrl-C.
    """
    sources = [entry.path for entry in dataset.entries]
    answers: dict[str, list[str]] = {}
    with Reference(model, cache) as reference, Journal(out / "results.jsonl") as journal:
        journal.clear()
        scores = reference.outputs[0]
        try:
            with bars(console) as progress:
                digests = check_images(reference, sources, progress)
                bar = progress.add_task("LiteRT", total=len(sources))
                reference.start(sources, digests, lambda: progress.advance(bar))
                for entry, digest in zip(dataset.entries, digests, strict=True):
                    outputs = reference.answer(digest)
                    journal.append(_record(entry, digest, outputs, scores))
                    answers[entry.name] = outputs
        except KeyboardInterrupt:
            raise Interrupted(len(answers), len(dataset), str(out)) from None
    summary = host_summary(model.stem, answers, scores, dataset)
    write_json(out / "summary.json", summary)
    return summary


def check_images(reference: Reference, sources: Sequence[Path], progress: Progress) -> list[str]:
    """Decodes every image once, so that a damaged one is found before any work; returns the digests."""
    bar = progress.add_task("checking images", total=len(sources))
    digests = reference.digests(sources, lambda: progress.advance(bar))
    progress.remove_task(bar)
    return digests


def _record(entry: Entry, digest: str, outputs: list[str], scores: TensorInfo) -> dict[str, Any]:
    values = decode(outputs[0], scores)
    return {
        "image": entry.name,
        "frame": digest,
        "label": entry.label,
        "top5": [[index, int(values.ravel()[index])] for index in ranking(values)],
        "outputs": outputs,
    }
