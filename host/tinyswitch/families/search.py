"""Search over what is elastic in a family: few multiply-accumulates against top-1."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.workers import Workers
from tinyswitch.families.family import Family, Subnet
from tinyswitch.families.search_space import Space, Spec, Value, subnet_of

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import RDBStorage

SAMPLERS = ("nsga2", "tpe")
HEARTBEAT_S = 30  # a trial of a process that died is given up after GRACE_S
GRACE_S = 120
POLL_S = 0.3
ATTEMPTS = 20  # draws for one that was not tried before


class Judge(Protocol):
    """Says what a sub-network is worth."""

    def accuracy(self, subnet: Subnet, half: str) -> float:
        """Top-1 as a fraction over one half of the images: "search" or "report"."""


@dataclass(frozen=True)
class Search:
    """What is searched, and where the trials are kept."""

    family: Family
    space: Space
    judge: Callable[[], Judge]  # called once in each worker process; must be picklable
    facts: Mapping[str, Any]  # what a trial's result depends on; a study with others is not continued
    storage: str  # URL, as Optuna takes it
    study: str
    sampler: str = SAMPLERS[0]


@dataclass(frozen=True)
class Point:
    """A sub-network with what was found."""

    spec: Spec
    macs: int
    search: float  # top-1 on the half that was searched with
    report: float | None = None  # on the other; None: not looked at
    name: str | None = None  # of a declared sub-network


@dataclass(frozen=True)
class Found:
    """The result: all trials, those that no other beats, and the family's declared sub-networks."""

    trials: tuple[Point, ...]
    front: tuple[Point, ...]  # by multiply-accumulates, ascending
    declared: tuple[Point, ...]


def run(search: Search, trials: int, jobs: int, console: Console) -> Found:
    """Tries until the study has ``trials`` results, those of other machines included, in ``jobs`` processes.

    Then looks at the front and the declared sub-networks on the other half of the images. Raises
    TinyswitchError for a storage that cannot be used or a study of something else; Interrupted on Ctrl-C,
    when all finished trials are kept.
    """
    study = _study(search)
    for values in search.space.starts(search.family):
        study.enqueue_trial(values, skip_if_exists=True)
    stop = get_context("spawn").Event()
    with Workers(jobs, search.family.name, _start, search, stop) as workers, bars(console) as progress:
        try:
            bar = progress.add_task("trials", total=trials, completed=_count(study))
            running = [workers.submit(_work, trials) for _ in range(jobs)]
            while not all(future.done() for future in running):
                time.sleep(POLL_S)
                progress.update(bar, completed=_count(study))
            for future in running:
                workers.result(future)
            progress.update(bar, completed=_count(study))
            found = _points(study)
            best = front(found)
            declared = [_declared(search, subnet) for subnet in search.family.subnets]
            bar = progress.add_task("other half of the images", total=len(best) + len(declared))
            results = []
            for future in [workers.submit(_look, *job) for job in [(p.spec, p.name) for p in best] + declared]:
                results.append(workers.result(future))
                progress.advance(bar)
        except KeyboardInterrupt:
            console.print("stopping when the trials under way are finished")
            stop.set()
            raise Interrupted(_count(study), trials, search.storage) from None
    return Found(tuple(found), tuple(results[: len(best)]), tuple(results[len(best) :]))


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other equals or beats in both respects, by multiply-accumulates, ascending."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.macs, -p.search)):
        if not kept or point.search > kept[-1].search:
            kept.append(point)
    return kept


def _declared(search: Search, subnet: Subnet) -> tuple[Spec, str]:
    return spec_of(subnet, search.family), subnet.name


def spec_of(subnet: Subnet, family: Family) -> Spec:
    """How ``subnet`` stands in its family's file, with everything written out."""
    spec: Spec = {}
    if subnet.resolution != family.net.resolution:
        spec["resolution"] = subnet.resolution
    if subnet.skip:
        spec["skip"] = sorted(subnet.skip)
    for name, cut in (("kernel", subnet.kernels), ("width", subnet.widths)):
        if cut:
            spec[name] = {str(number): value for number, value in sorted(cut.items())}
    if subnet.exit is not None:
        spec["exit"] = subnet.exit
    return spec


# --- the study


def _study(search: Search) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _storage_errors(search.storage):
        study = optuna.create_study(
            storage=_storage(search.storage),
            study_name=search.study,
            directions=["minimize", "maximize"],
            sampler=_sampler(search.sampler),
            load_if_exists=True,
        )
        known = study.user_attrs.get("facts")
        if known is None:
            study.set_user_attr("facts", dict(search.facts))
            return study
    for name, value in search.facts.items():
        if known.get(name) != value:
            raise TinyswitchError(
                f"{search.storage}: study {search.study} is of {name} {known.get(name)}, not {value};"
                " choose another --study, or give what it was begun with"
            )
    return study


def _storage(url: str) -> RDBStorage:
    from optuna.storages import RDBStorage

    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return RDBStorage(url, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S)


@contextmanager
def _storage_errors(url: str):
    """Whatever the database says, in one line."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        reason = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
        raise TinyswitchError(f"--storage {url}: not usable: {reason}") from None


def _sampler(name: str):
    import warnings

    import optuna
    from optuna.samplers import NSGAIISampler, TPESampler

    if name not in SAMPLERS:
        raise TinyswitchError(f"--sampler {name}: there are {', '.join(SAMPLERS)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Each process draws with a seed of its own: the same one would make all draw the same.
        if name == "tpe":
            return TPESampler(constant_liar=True)  # processes do not try the same place at once
        return NSGAIISampler(population_size=POPULATION)


POPULATION = 16


def _finished(study: Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _count(study: Study) -> int:
    return len(_finished(study))


def _points(study: Study) -> list[Point]:
    """One for each sub-network that was tried."""
    found = {}
    for trial in _finished(study):
        spec = trial.user_attrs["spec"]
        found[repr(spec)] = Point(spec, round(trial.values[0]), trial.values[1], name=None)
    return list(found.values())


# --- in the workers

_search: Search
_stop: Event
_judge: Judge


def _start(search: Search, stop: Event) -> None:
    global _search, _stop, _judge
    os.nice(5)
    _search, _stop = search, stop
    _judge = search.judge()


def _work(trials: int) -> None:
    """Tries until there are enough."""
    from optuna.trial import TrialState

    study = _study(_search)
    while not _stop.is_set():
        begun = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
        if len(begun) >= trials:
            return
        with _storage_errors(_search.storage):
            study.optimize(_try, n_trials=1)


def _try(trial: Trial) -> tuple[float, float]:
    spec = _search.space.draw(trial)
    subnet = subnet_of(_search.family, spec)
    known = {repr(p.spec): p.search for p in _points(trial.study)}
    top1 = known.get(repr(spec))
    if top1 is None:
        top1 = _judge.accuracy(subnet, "search")
    trial.set_user_attr("spec", spec)
    return float(subnet.net.macs), top1


def _look(spec: Spec, name: str | None) -> Point:
    subnet = subnet_of(_search.family, spec)
    both = [_judge.accuracy(subnet, half) for half in ("search", "report")]
    return Point(spec, subnet.net.macs, *both, name=name)
