"""The trials of a search, kept by Optuna where other processes and machines see them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyswitch.errors import TinyswitchError
from tinyswitch.families.search_space import Spec

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

SAMPLERS = ("nsga2", "tpe")
POPULATION = 16  # of NSGA-II; about the number of starting points, so that they have children soon
HEARTBEAT_S = 30
GRACE_S = 120  # after this long without a sign of life a trial's process is taken for dead
SQLITE = "sqlite:///"
LOCK_S = 60  # that a process waits while others write; SQLite's 5 s are too few on a busy machine
SPEC = "spec"  # attribute of a trial: the sub-network as in a family's file


def check_sampler(name: str) -> None:
    """Raises TinyswitchError if there is none of that name."""
    if name not in SAMPLERS:
        raise TinyswitchError(f"--sampler {name}: there are {', '.join(SAMPLERS)}")


def open_study(storage: str, name: str, facts: Mapping[str, Any], sampler: str) -> Study:
    """The study of that name, begun if it is not there.

    Raises TinyswitchError for a storage that cannot be used, and for a study of something else: one that was
    begun with other ``facts``.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    patience = {"connect_args": {"timeout": LOCK_S}} if storage.startswith(SQLITE) else None
    with storage_errors(storage):
        if storage.startswith(SQLITE):
            Path(storage.removeprefix(SQLITE)).absolute().parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(
                storage=optuna.storages.RDBStorage(
                    storage,
                    engine_kwargs=patience,
                    heartbeat_interval=HEARTBEAT_S,
                    grace_period=GRACE_S,
                ),
                study_name=name,
                directions=["minimize", "maximize"],
                sampler=_sampler(sampler),
                load_if_exists=True,
            )
        known = study.user_attrs.get("facts")
        if known is None:
            study.set_user_attr("facts", dict(facts))
    for key, value in facts.items():
        if known is not None and known.get(key) != value:
            raise TinyswitchError(
                f"{storage}: study {name} was begun with other {key} ({known.get(key)}, now {value}); choose"
                " another --study"
            )
    return study


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Whatever a database can say, as one line."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError, ImportError, ValueError, RuntimeError, OSError) as error:
        reason = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
        raise TinyswitchError(f"--storage {url}: {reason}") from None


def attempt(study: Study, objective: Callable[[Trial], tuple[float, float]]) -> None:
    """One trial. That another process has finished it meanwhile is no error: its result counts.

    SQLite locks no rows, so several processes may take the same waiting trial, even one that was finished in
    that moment; and others give up the trial of a process that was asleep for GRACE_S. Optuna then raises one
    of three: UpdateFinishedTrialError; ValueError where a finished trial is told; AssertionError on top of
    either. The trial's state is no evidence, since it may be running again. What ``objective`` raises is
    raised.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    begun: list[Trial] = []
    failures: list[Exception] = []

    def watched(trial: Trial) -> tuple[float, float]:
        begun.append(trial)
        try:
            return objective(trial)
        except UpdateFinishedTrialError:
            raise
        except Exception as error:
            failures.append(error)
            raise

    try:
        study.optimize(watched, n_trials=1)
        return
    except UpdateFinishedTrialError:
        return
    except (ValueError, AssertionError) as error:
        reason = error.__context__ or error if isinstance(error, AssertionError) else error
    if failures:
        raise failures[0]
    if not begun or not isinstance(reason, (ValueError, UpdateFinishedTrialError)):
        raise reason


def _sampler(name: str) -> BaseSampler:
    """Without a seed: processes that have the same one would all try the same."""
    from optuna.samplers import NSGAIISampler, TPESampler

    if name == "tpe":
        return TPESampler(constant_liar=True)  # processes keep away from what others are trying
    return NSGAIISampler(population_size=POPULATION)


def results(study: Study) -> dict[str, FrozenTrial]:
    """The finished trials, the first one of each sub-network, by ``key`` of its specification."""
    return {key(trial.user_attrs[SPEC]): trial for trial in reversed(_finished(study))}


def finished(study: Study) -> int:
    """Trials that have a result, repetitions included."""
    return len(_finished(study))


def _finished(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def under_way(study: Study) -> int:
    """Trials that some process is at; those of dead processes are given up here."""
    from optuna.storages import fail_stale_trials
    from optuna.trial import TrialState

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fail_stale_trials(study)
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def key(spec: Spec) -> str:
    """The same for the same sub-network."""
    return repr(sorted(spec.items()))
