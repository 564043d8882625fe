"""Lines of the firmware's model table: struct ts_entry of firmware/engine/model_table.h."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinyswitch.compiler.plan import Plan
from tinyswitch.errors import TinyswitchError

MAX_GROUPS = 256  # a group is a uint8
HIGHEST_CLASS = 15
CLASS_0_CYCLES = 1 << 20  # inferences that take fewer are all in class 0


@dataclass(frozen=True)
class Known:
    """What is known of a model beforehand; None: nothing."""

    accuracy: float | None = None  # top-1, 0..1
    cycles: int | None = None  # of one inference on the board, without other load
    energy: int | None = None  # class; None: that of the cycles
    group: int | None = None  # None: found by inputs and outputs


def energy_class(cycles: int | None) -> int:
    """0 below 2^20 cycles or if unknown, else min(15, 1 + floor(2 log2(cycles / 2^20)))."""
    relative = (cycles or 0) ** 2 // CLASS_0_CYCLES**2
    return min(HIGHEST_CLASS, relative.bit_length())


def groups(plans: Sequence[Plan]) -> list[int]:
    """The group of each model, numbered from 0: those that agree in input channels and outputs are one."""
    numbers: dict[tuple, int] = {}
    found = [
        numbers.setdefault((p.input.shape[2], tuple(o.shape for o in p.outputs)), len(numbers)) for p in plans
    ]
    if len(numbers) > MAX_GROUPS:
        raise TinyswitchError(
            f"{len(plans)} models with {len(numbers)} kinds of input and output; build at most {MAX_GROUPS}"
        )
    return found


def table_entry(known: Known, group: int) -> dict[str, int]:
    """Fields of ts_entry but the model."""
    return {
        "cycles": min(known.cycles or 0, 0xFFFFFFFF),
        "accuracy": round((known.accuracy or 0) * 10_000),
        "energy": energy_class(known.cycles) if known.energy is None else known.energy,
        "group": group if known.group is None else known.group,
    }
