"""Search over what is elastic in a family: few multiply-accumulates against top-1."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import Progress

from tinyswitch import data, nets
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.workers import Workers
from tinyswitch.families.family import Family, Subnet
from tinyswitch.families.search_space import Space, Spec, spec_of, subnet_of
from tinyswitch.families.search_study import (
    SAMPLERS,
    SPEC,
    attempt,
    check_sampler,
    finished,
    key,
    open_study,
    results,
    storage_errors,
    under_way,
)

if TYPE_CHECKING:
    from optuna import Study, Trial

POLL_S = 0.3
REPEATS = 5  # draws a wanted result, at most: what was tried before may be drawn again


class Judge(Protocol):
    """Says what a sub-network is worth."""

    def accuracy(self, subnet: Subnet, half: str) -> float:
        """Top-1 as a fraction over one half of the images: "search" or "report"."""


@dataclass(frozen=True)
class Search:
    """What is searched, and where the trials are kept. Picklable."""

    family: Family
    space: Space
    judge: Callable[[], Judge]  # called once in each worker process
    facts: Mapping[str, Any]  # what results depend on; a study begun with others is not continued
    storage: str  # URL, as Optuna takes it
    study: str
    sampler: str = SAMPLERS[0]


@dataclass(frozen=True)
class Point:
    """A sub-network with what was found."""

    spec: Spec
    macs: int
    search: float | None  # top-1 on the half that was searched with; None: not looked at
    report: float | None = None  # on the other; None: not looked at
    name: str | None = None  # of a declared sub-network


@dataclass(frozen=True)
class Found:
    """The result."""

    trials: tuple[Point, ...]  # one for each sub-network that was tried
    front: tuple[Point, ...]  # those that no other beats, by multiply-accumulates, ascending
    declared: tuple[Point, ...]  # the family's, in its order


def facts(family: Family, space: Space) -> dict[str, str]:
    """What identifies net, weights and space on any machine."""
    content = repr((family.whole.layers, family.net.layers, family.order)).encode()
    name = family.checkpoint or family.whole.checkpoint or ""
    for weights in (nets.MODELS / name, data.local(name) or data.cache() / name):
        if weights.is_file():
            content += weights.read_bytes()
            break
    return {
        "net": f"{family.net.name} {hashlib.sha256(content).hexdigest()[:8]}",
        "dimensions": hashlib.sha256(repr(space.choices).encode()).hexdigest()[:8],
    }


def run(search: Search, trials: int, jobs: int, console: Console) -> Found:
    """Tries in ``jobs`` processes until the study has ``trials`` results, other machines' included.

    Then looks at the front and the declared sub-networks on the other half of the images. Raises
    TinyswitchError for a storage that cannot be used or a study of something else; Interrupted on Ctrl-C,
    when all finished trials are kept.
    """
    check_sampler(search.sampler)
    study = _open(search)
    with storage_errors(search.storage):
        for values in search.space.starts(search.family):
            study.enqueue_trial(values, skip_if_exists=True)
    try:
        return _run(search, study, trials, jobs, console)
    except KeyboardInterrupt:
        raise Interrupted(len(results(study)), trials, search.storage, "tried") from None


def _run(search: Search, study: Study, trials: int, jobs: int, console: Console) -> Found:
    stop = get_context("spawn").Event()
    with Workers(jobs, search.family.name, _start, search, stop) as workers, bars(console) as progress:
        try:
            _explore(study, trials, jobs, workers, stop, progress)
            tried = tuple(_points(study))
            best, declared = front(tried), _declared(search.family, tried)
            looked_at = _report([*best, *declared], workers, progress)
        except KeyboardInterrupt:
            console.print("waiting for the trials under way")
            raise
        finally:
            stop.set()
    return Found(tried, tuple(looked_at[: len(best)]), tuple(looked_at[len(best) :]))


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other equals or beats in both respects, by multiply-accumulates, ascending."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.macs, -p.search)):
        if not kept or point.search > kept[-1].search:
            kept.append(point)
    return kept


def _open(search: Search) -> Study:
    return open_study(search.storage, search.study, search.facts, search.sampler)


def _explore(study: Study, trials: int, jobs: int, workers: Workers, stop: Event, progress: Progress) -> None:
    bar = progress.add_task("trials", total=trials, completed=len(results(study)))
    futures = [workers.submit(_work, trials) for _ in range(jobs)]
    while not all(future.done() for future in futures):
        time.sleep(POLL_S)
        progress.update(bar, completed=len(results(study)))
        if any(future.done() and future.exception() for future in futures):
            stop.set()
    for future in futures:
        workers.result(future)
    progress.update(bar, completed=len(results(study)))


def _points(study: Study) -> list[Point]:
    found = results(study).values()
    return [Point(t.user_attrs[SPEC], round(t.values[0]), t.values[1]) for t in found]


def _declared(family: Family, tried: Sequence[Point]) -> list[Point]:
    """The declared sub-networks, with what is known of them."""
    known = {key(point.spec): point.search for point in tried}
    specs = {subnet.name: spec_of(subnet, family) for subnet in family.subnets}
    return [
        Point(specs[s.name], s.net.macs, known.get(key(specs[s.name])), name=s.name) for s in family.subnets
    ]


def _report(points: Sequence[Point], workers: Workers, progress: Progress) -> list[Point]:
    """The same, with the other half of the images."""
    bar = progress.add_task("the other half", total=len(points))
    looked_at = []
    for future in [workers.submit(_look, point) for point in points]:
        looked_at.append(workers.result(future))
        progress.advance(bar)
    return looked_at


_search: Search  # of this worker process
_stop: Event


def _start(search: Search, stop: Event) -> None:
    global _search, _stop
    os.nice(5)
    _search, _stop = search, stop


@cache
def _judge() -> Judge:
    return _search.judge()


def _work(trials: int) -> None:
    """Tries until there are enough results; waits for those that others are at."""
    study = _open(_search)
    with storage_errors(_search.storage):
        while not _stop.is_set():
            found, running = len(results(study)), under_way(study)
            if found >= trials or finished(study) >= REPEATS * trials:
                return
            if found + running < trials:
                attempt(study, _try)
            else:
                time.sleep(POLL_S)


def _try(trial: Trial) -> tuple[float, float]:
    spec = _search.space.draw(trial)
    subnet = subnet_of(_search.family, spec)
    known = results(trial.study).get(key(spec))
    top1 = known.values[1] if known else _judge().accuracy(subnet, "search")
    trial.set_user_attr(SPEC, spec)
    return float(subnet.net.macs), top1


def _look(point: Point) -> Point:
    subnet, judge = subnet_of(_search.family, point.spec), _judge()
    search = judge.accuracy(subnet, "search") if point.search is None else point.search
    return replace(point, search=search, report=judge.accuracy(subnet, "report"))
