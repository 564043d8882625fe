"""From answers to figures: accuracy, agreement with LiteRT, cycles, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from tinyswitch.evaluate.images import Dataset
from tinyswitch.evaluate.reference import ENGINE, decode
from tinyswitch.tensor import TensorInfo

Ranking = Sequence[int]  # classes, best first


def ranking(scores: np.ndarray) -> Ranking:
    """The five best classes; of equal scores the lower class comes first, as on the board."""
    return [int(index) for index in np.argsort(-scores.ravel().astype(np.int32), kind="stable")[:5]]


def accuracy(
    dataset: Dataset, rankings: Mapping[str, Ranking], classes: int
) -> tuple[float | None, float | None]:
    """Top-1 and top-5 over the images (by name) that have a ranking and a label, as fractions.

    None where the figure would mean nothing: labels of other classes, or no more than five classes (top-5).
    """
    pairs = [
        (entry.label, rankings[entry.name])
        for entry in dataset.entries
        if entry.label is not None and entry.name in rankings
    ]
    if not pairs or dataset.mismatch(classes):
        return None, None
    top1 = sum(label == ranked[0] for label, ranked in pairs) / len(pairs)
    top5 = sum(label in ranked for label, ranked in pairs) / len(pairs)
    return top1, top5 if classes > 5 else None


def board_summary(
    facts: Mapping[str, Any],
    answers: Mapping[str, Mapping[str, Any]],
    host: Mapping[str, list[str]],
    scores: TensorInfo,
    dataset: Dataset,
    memory: Mapping[str, Any],
) -> dict[str, Any]:
    """What ``summary.json`` says about a board.

    ``facts`` is ``run.json``; ``answers`` has the lines of ``results.jsonl`` by the image's name; ``host``
    LiteRT's outputs by the frame's digest; ``scores`` describes output 0; ``memory`` is the build's.
    Sizes in bytes, ``latency_ms`` is the median of the cycles at the board's clock.
    """
    classes = int(np.prod(scores.shape))
    top1, top5 = accuracy(
        dataset, {name: [index for index, _ in a["top5"]] for name, a in answers.items()}, classes
    )
    host_top1, _ = accuracy(
        dataset, {name: ranking(decode(host[a["frame"]][0], scores)) for name, a in answers.items()}, classes
    )
    cycles = spread([answer["cycles"] for answer in answers.values()])
    return {
        **measured(facts, cycles, memory, answers),
        "images": len(dataset),
        "answered": len(answers),
        "lost": len(dataset) - len(answers),
        "top1": top1,
        "top5": top5,
        "no_accuracy": dataset.mismatch(classes),  # why there are none
        "host_top1": host_top1,
        "identical_outputs": sum(answer["outputs"] == host[answer["frame"]] for answer in answers.values()),
    }


def measured(
    facts: Mapping[str, Any],
    cycles: Mapping[str, int | None],
    memory: Mapping[str, Any],
    answers: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What ``summary.json`` says of every board: which it is, what it ran, what that took.

    ``cycles``: the spread of an inference's; ``answers``: lines of ``results.jsonl`` by any name. The rest as
    for :func:`board_summary`.
    """
    return {
        **{key: facts[key] for key in ("board", "kind", "clock_hz", "engine", "model", "cycle_model")},
        "instructions_per_inference": cycles["median"] if facts["counts_instructions"] else None,
        "cycles_per_inference": cycles,
        "latency_ms": cycles["median"] and cycles["median"] / facts["clock_hz"] * 1000,
        "ram": _ram(memory["ram"], answers),
        "flash": {key: memory["flash"][key] for key in ("weights", "tables", "code", "total")},
    }


def host_summary(
    model: str, host: Mapping[str, list[str]], scores: TensorInfo, dataset: Dataset
) -> dict[str, Any]:
    """What ``summary.json`` says about LiteRT; ``host`` has ``encode``d outputs by the image's name."""
    rankings = {name: ranking(decode(outputs[0], scores)) for name, outputs in host.items()}
    classes = int(np.prod(scores.shape))
    top1, top5 = accuracy(dataset, rankings, classes)
    return {
        "engine": ENGINE,
        "model": model,
        "images": len(dataset),
        "answered": len(host),
        "top1": top1,
        "top5": top5,
        "no_accuracy": dataset.mismatch(classes),
    }


def spread(values: Sequence[int]) -> dict[str, int | None]:
    """Least, middle and largest; None without values."""
    if not values:
        return {"min": None, "median": None, "max": None}
    return {"min": min(values), "median": round(median(values)), "max": max(values)}


def _ram(built: Mapping[str, int], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, int | None]:
    """RAM in bytes: of the build, and the deepest ``stack_peak`` of the answers."""
    ram: dict[str, int | None] = {key: built[key] for key in ("activations", "scratch", "static")}
    ram["stack_peak"] = max((answer["stack_peak"] for answer in answers.values()), default=None)
    ram["total"] = None if ram["stack_peak"] is None else sum(ram.values())
    return ram
