"""Nets on this machine: compared, and switched."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from tinyswitch.evaluate import target
from tinyswitch.evaluate.display import wide_console
from tinyswitch.evaluate.target import Choice

Log = Callable[[str], None]


def compare_nets(choice: Choice, images: str | None, limit: str | None, out: str | None, log: Log) -> None:
    from tinyswitch.evaluate.compare import compare, compare_table

    dataset = target.images(images, limit)
    models = target.models(choice, log)
    folder = target.run_folder(out, "compare")
    records = compare(models, dataset, folder, target.CACHE, Console(stderr=True))
    wide_console().print(compare_table(records))
    log(f"results: {folder / 'compare.json'}")
