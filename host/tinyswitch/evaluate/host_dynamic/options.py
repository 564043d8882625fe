"""The models to choose from, with what each takes on this machine and is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.compare import accuracy_of
from tinyswitch.evaluate.images import Dataset
from tinyswitch.evaluate.profile import WARM_UP, profile

ROUNDS = 20
FEWEST = 30  # labelled images on which an accuracy is measured


@dataclass(frozen=True)
class HostOption:
    """One model."""

    name: str
    path: Path
    seconds: float  # of one inference: processor time, so what it takes without other load
    ram_bytes: int  # that it adds to a worker process
    accuracy: float | None  # top-1 as a fraction; None: not known
    classes: int


def measure(
    models: Sequence[Path],
    known: Mapping[Path, float | None],
    dataset: Dataset,
    cache: Path,
    progress: Progress,
    log: Callable[[str], None],
) -> list[HostOption]:
    """The options, measured one after the other while nothing else of ours runs.

    ``known`` has accuracies; of the others they are measured on ``dataset`` with LiteRT's reference kernels.
    Where it has too few labels, or those of other classes, policies take the slower model for the better one,
    and ``log`` says so.
    Raises TinyswitchError for a damaged image or model.
    """
    accuracies = dict(known)
    if sum(entry.label is not None for entry in dataset.entries) >= FEWEST:
        for model in models:
            if accuracies.get(model) is None:
                accuracies[model], _ = accuracy_of(model, dataset, cache, progress)
    bar = progress.add_task("measuring models", total=len(models) * (ROUNDS + WARM_UP))
    options = []
    for model in models:
        found = profile(model, dataset.entries[0].path, ROUNDS, lambda: progress.advance(bar))
        options.append(
            HostOption(
                model.stem, model, found.cpu_seconds, found.ram_bytes, accuracies.get(model), found.classes
            )
        )
    unknown = [option.name for option in options if option.accuracy is None]
    if unknown:
        log(f"accuracy not known ({', '.join(unknown)}): the slower model is taken for the better one")
    return options


def check_alternatives(options: Sequence[HostOption]) -> None:
    """Raises TinyswitchError for two of the same name, or that tell different classes apart."""
    for option in options:
        if sum(other.name == option.name for other in options) > 1:
            raise TinyswitchError(f"two models are called {option.name}; give files of different names")
        if option.classes != options[0].classes:
            raise TinyswitchError(
                f"{option.name} tells {option.classes} classes apart, {options[0].name} {options[0].classes}:"
                " they cannot take each other's place"
            )
