"""A keyword firmware's table: how often each model looks at the features, and what its answers mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyswitch.compiler import Known, Plan, Stream
from tinyswitch.compiler.table import energy_class
from tinyswitch.errors import TinyswitchError
from tinyswitch.features.frontend import CHANNELS, RATE, ROWS, STEP
from tinyswitch.keywords import record
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.keywords.judge import ZERO_POINT

TEMPLATE = "keyword.c"
MOST_ENTRIES = 255  # an entry is a byte in an answer
WHOLE_STEP = 16  # rows from a window to the next of a model that is computed anew for each: 320 ms
# Instructions on a Cortex-M7, counted by the virtual board: of a row of features; of an answer of nets that
# are streamed, and of one of their multiply-accumulates; of one of micro_speech, which is not streamed.
ROW_CYCLES = 60_000
STREAM_CYCLES, STREAM_CYCLES_A_MAC = 65_000, 1.6
WHOLE_CYCLES_A_MAC = 15.0
NS_A_CYCLE = 0.1  # that a computer takes for it, about
ENERGY_SECONDS = 60  # the energy class of an entry is that of so much time


def check(plan: Plan) -> None:
    """Raises TinyswitchError if a model does not take the features and tell CLASSES apart."""
    inputs, answers = plan.input, plan.outputs
    features = ROWS * CHANNELS
    if int(np.prod(inputs.shape)) != features or inputs.dtype != np.int8 or inputs.zero_point != ZERO_POINT:
        raise TinyswitchError(
            f"{plan.source}: input {inputs.dtype} {inputs.shape} with zero point {inputs.zero_point}; "
            f"a keyword model takes {ROWS} x {CHANNELS} int8 features with zero point {ZERO_POINT}"
        )
    if len(answers) != 1 or int(np.prod(answers[0].shape)) != len(CLASSES) or answers[0].dtype != np.int8:
        shapes = ", ".join(f"{a.dtype} {a.shape}" for a in answers)
        raise TinyswitchError(
            f"{plan.source}: output {shapes}; a keyword model answers {', '.join(CLASSES)}, int8"
        )
    if (answers[0].scale, answers[0].zero_point) != (1 / 256, -128):
        raise TinyswitchError(f"{plan.source}: its output is not a softmax's: scale 1/256, zero point -128")


def check_all(plans: Sequence[Plan]) -> None:
    """Of all models of a firmware; raises TinyswitchError."""
    if len(plans) > MOST_ENTRIES:
        raise TinyswitchError(f"{len(plans)} models; build at most {MOST_ENTRIES}")
    for plan in plans:
        check(plan)


def step(stream: Stream | None) -> int:
    """Rows from a window to the next."""
    return stream.hop if stream else WHOLE_STEP


def known(plan: Plan, stream: Stream | None, embedded: bool) -> Known:
    """For the model table: cycles of an answer with its rows' features; a class for the energy of a minute.

    ``embedded``: the board is a microcontroller; else its cycles are nanoseconds of this machine.
    """
    rows = step(stream)
    if stream:
        inference = STREAM_CYCLES + STREAM_CYCLES_A_MAC * stream.macs
    else:
        inference = WHOLE_CYCLES_A_MAC * plan.macs
    cycles = round((ROW_CYCLES * rows + inference) * (1.0 if embedded else NS_A_CYCLE))
    answers = ENERGY_SECONDS * RATE / STEP / rows
    return Known(record.read(plan.source).accuracy, cycles, energy_class(round(cycles * answers)), group=0)


def template_values(streams: Sequence[Stream | None]) -> dict[str, Any]:
    """What templates/keyword.c.j2 is rendered with."""
    return {
        "steps": [step(stream) for stream in streams],
        "classes": list(CLASSES),
        "first_word": record.FIRST_WORD,
    }
