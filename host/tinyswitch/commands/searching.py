"""The search for sub-networks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tinyswitch import families
from tinyswitch.evaluate import target
from tinyswitch.evaluate.display import wide_console

Log = Callable[[str], None]
STUDIES = target.ROOT / "build" / "search"  # a database a family


def search_family(
    name: str,
    trials: str,
    images: str | None,
    limit: str | None,
    storage: str | None,
    study: str | None,
    sampler: str,
    explore: str | None,
    jobs: str,
    out: str | None,
    log: Log,
) -> None:
    from tinyswitch.families import search, search_report
    from tinyswitch.families.search_images import Halves, ImageJudge
    from tinyswitch.families.search_space import DIMENSIONS, Space

    family = families.load(name)
    wanted, processes = target.number("--trials", trials), target.number("--jobs", jobs)
    dimensions = [word.strip() for word in explore.split(",")] if explore else DIMENSIONS
    space = Space.of(family.net, dimensions)
    halves = Halves.find(
        family,
        Path(images) if images else None,
        target.number("--limit", limit, minimum=2) if limit else None,
    )
    job = search.Search(
        family,
        space,
        functools.partial(ImageJudge, family, halves),
        search.facts(family, space) | halves.facts,
        storage or f"sqlite:///{STUDIES / family.name}.db",
        study or family.name,
        sampler,
    )
    found = search.run(job, wanted, processes, Console(stderr=True))
    folder = target.run_folder(out, "search", family.name)
    facts = {"family": family.name, "net": family.net.name, "study": job.study, "images": halves.counts}
    search_report.write(found, facts, folder)
    wide_console().print(search_report.table(found, len(halves.report)))
    lines = search_report.lines(found, family)
    if lines:
        print(f"new sub-networks, for {family.source}:\n{lines}")
    pictures = search_report.draw(found, f"{family.name}: {len(halves.search)} images a half", folder)
    log(f"results: {folder / 'search.json'}, {', '.join(map(str, pictures))}")
