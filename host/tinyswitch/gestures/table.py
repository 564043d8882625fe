"""A gesture firmware's table: each model at each rate that its record names is an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch.compiler import Known, Plan
from tinyswitch.compiler.table import energy_class
from tinyswitch.errors import TinyswitchError
from tinyswitch.features.spectral import SCALE, ZERO_POINT
from tinyswitch.gestures import record
from tinyswitch.gestures.record import Rate, Record

TEMPLATE = "gesture.c"
MOST_ENTRIES = 255  # an entry is a byte in a result
# Instructions of the features of a window, by its transform's length, and of a multiply-accumulate of a
# model with all that belongs to it, on a Cortex-M4: counted by the virtual board.
FEATURE_CYCLES = {8: 90_000, 7: 52_000, 6: 32_000, 5: 18_000}
CYCLES_A_MAC = 6.4
NS_A_CYCLE = 0.1  # that a computer takes for it, about
ENERGY_SECONDS = 60  # the energy class of an entry is that of so much time


@dataclass(frozen=True)
class Entry:
    """A line of the table: a model that is given samples at one rate."""

    name: str  # of the model on the board
    record: Record
    rate: Rate


def entries(models: Sequence[Path]) -> list[Entry]:
    """Of all models, in order; raises TinyswitchError for records that are missing or do not fit together."""
    records = [record.read(model) for model in models]
    record.same_classes(records)
    found = []
    for one in records:
        for i, rate in enumerate(one.rates):
            name = one.model.stem if i == 0 else f"{one.model.stem}-{rate.window.rate_hz:g}hz"
            found.append(Entry(name, one, rate))
    if len(found) > MOST_ENTRIES:
        raise TinyswitchError(f"{len(found)} models with their rates; build at most {MOST_ENTRIES}")
    return found


def plans(chosen: Sequence[Entry], compiled: Sequence[Plan]) -> list[Plan]:
    """The plan of each entry, under its name; raises TinyswitchError if a model isn't as its record says."""
    by_source = {plan.source: plan for plan in compiled}
    for plan in compiled:
        _check(plan, next(e.record for e in chosen if e.record.model == plan.source))
    return [replace(by_source[e.record.model], name=e.name) for e in chosen]


def _check(plan: Plan, found: Record) -> None:
    classes, features = len(found.classes), len(found.features)
    inputs, answers = plan.input, plan.outputs
    if inputs.shape != (1, 1, features) or inputs.dtype != np.int8:
        raise TinyswitchError(
            f"{plan.source}: input {inputs.dtype} {inputs.shape}; its record names {features} features, int8"
        )
    if not np.isclose(inputs.scale, SCALE, rtol=1e-6) or inputs.zero_point != ZERO_POINT:
        raise TinyswitchError(
            f"{plan.source}: its input has scale and zero point {(inputs.scale, inputs.zero_point)}, "
            f"not {(SCALE, ZERO_POINT)}"
        )
    if len(answers) != 1 or answers[0].shape != (1, 1, classes) or answers[0].dtype != np.int8:
        shapes = ", ".join(f"{a.dtype} {a.shape}" for a in answers)
        raise TinyswitchError(f"{plan.source}: output {shapes}; its record names {classes} classes, int8")
    if (answers[0].scale, answers[0].zero_point) != (1 / 256, -128):
        raise TinyswitchError(f"{plan.source}: its output is not a softmax's: scale 1/256, zero point -128")


def known(entry: Entry, plan: Plan, embedded: bool) -> Known:
    """For the model table: cycles of features and model together; a class for the energy of a minute.

    ``embedded``: the board is a microcontroller; else its cycles are nanoseconds of this machine.
    """
    cycles = FEATURE_CYCLES[entry.rate.window.log2_length] + CYCLES_A_MAC * plan.macs
    cycles = round(cycles if embedded else cycles * NS_A_CYCLE)
    windows = ENERGY_SECONDS * entry.rate.window.rate_hz / entry.rate.step
    return Known(entry.rate.accuracy, cycles, energy_class(round(cycles * windows)), group=0)


def template_values(chosen: Sequence[Entry]) -> dict[str, Any]:
    """What templates/gesture.c.j2 is rendered with."""
    tables = list(dict.fromkeys(e.record.features for e in chosen))
    return {
        "tables": [", ".join(map(str, table)) for table in tables],
        "classes": [name.replace("\\", "\\\\").replace('"', '\\"') for name in chosen[0].record.classes],
        "entries": [
            {
                "table": tables.index(e.record.features),
                "rate_mhz": rate_mhz(e.rate),
                "samples": e.rate.window.samples,
                "step": e.rate.step,
                "log2_length": e.rate.window.log2_length,
                "n_features": len(e.record.features),
            }
            for e in chosen
        ],
    }


def rate_mhz(rate: Rate) -> int:
    """Samples in 1000 s."""
    return round(1000 * rate.window.rate_hz)
