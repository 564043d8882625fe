"""Plans stages that run for ever: whenever a row arrives, all that it makes possible.

Rings are never empty again, so they lie beside each other; rows that are gone before the next one arrives
share what is left, with scratch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, lcm

from tinyswitch.compiler.allocate import Layout, allocate
from tinyswitch.compiler.plan import INPUT, FeatureMap, Stage
from tinyswitch.compiler.planner import Planned
from tinyswitch.compiler.schedule import Life, Schedule

ENDLESS = 0xFFFF  # height of maps: the largest a ts_tensor can have, and above every row number
TAIL_ALIGNMENT = 8  # bytes, as of any arena


@dataclass(frozen=True)
class Window:
    """Rows of its inputs that a stage reads: ``reach`` of them, ``stride`` further at each step."""

    stride: int
    reach: int

    def rows(self, step: int) -> range:
        return range(step * self.stride, step * self.stride + self.reach)


@dataclass(frozen=True)
class Endless:
    """What firmware/engine/stream.h is told beside the plan."""

    planned: Planned
    rounds: list[int]  # of each stage: steps after which it finds its rings as they were
    loop: int  # entry of the schedule that follows its last
    tail_offset: int  # room for the tail while no stage runs


def plan_endless(
    stages: list[Stage],
    windows: dict[Stage, Window],
    model_input: FeatureMap,
    cut: FeatureMap,
    hop: int,
    tail_bytes: int,
) -> Endless | None:
    """The schedule fills the rings with a window's rows, then loops over ``hop`` rows.

    The last rows of ``cut``, as many as it is high, stay for the tail. Heights of all maps become endless.
    None if rings are so long that row numbers would not fit their counters.
    """
    rows, last_rows = model_input.height, cut.height
    _make_endless(stages, windows, model_input)
    schedule = _eager(stages, windows, model_input, rows + 3 * (rows + hop))  # longer than any row lives
    arrivals = [i for i, entry in enumerate(schedule.entries) if entry == INPUT]
    loop, end = arrivals[rows], arrivals[rows + hop]
    slots = {m: life.slots(ENDLESS) for m, life in schedule.lives.items()}
    slots[cut] = max(slots[cut], last_rows)
    rounds = [_round(stage, windows[stage], slots) for stage in stages]
    for stage, steps in zip(stages, rounds, strict=True):
        made = schedule.steps[stage]
        before_loop, in_loop = sum(t < loop for t in made), sum(loop <= t < end for t in made)
        if windows[stage].rows(max(before_loop, steps) + in_loop).stop >= ENDLESS:
            return None
    if rows + hop >= ENDLESS:
        return None
    layout, tail_offset = _place(stages, schedule, range(loop, end), slots, cut, tail_bytes)
    repeated = Schedule(schedule.entries[:end], schedule.lives, schedule.steps)
    return Endless(Planned([range(len(stages))], repeated, layout), rounds, loop, tail_offset)


def _make_endless(stages: list[Stage], windows: dict[Stage, Window], model_input: FeatureMap) -> None:
    model_input.height = ENDLESS
    for stage in stages:
        stage.output.height = ENDLESS
        rows = windows[stage].rows
        stage.reads = [
            rows if m.constant is None else before
            for m, before in zip(stage.inputs, stage.reads, strict=True)
        ]


def _eager(stages: list[Stage], windows: dict[Stage, Window], model_input: FeatureMap, rows: int) -> Schedule:
    """Each row is made as soon as it can be, so that the work is spread over the rows that arrive."""
    entries: list[int] = []
    lives = {m: Life() for m in [model_input, *(s.output for s in stages)]}
    steps: dict[Stage, list[int]] = {s: [] for s in stages}

    def write(m: FeatureMap) -> None:
        lives[m].written.append(len(entries))
        lives[m].last_read.append(len(entries))

    for _ in range(rows):
        write(model_input)
        entries.append(INPUT)
        for index, stage in enumerate(stages):
            sources = [lives[m] for m in stage.inputs if m.constant is None]
            needed = windows[stage].rows(len(steps[stage]))
            if any(len(life.written) < needed.stop for life in sources):
                continue  # a row more of each input is one step more at most
            for life in sources:
                life.last_read[needed.start : needed.stop] = [len(entries)] * len(needed)
            steps[stage].append(len(entries))
            write(stage.output)
            entries.append(index)
    return Schedule(entries, lives, steps)


def _round(stage: Stage, window: Window, slots: dict[FeatureMap, int]) -> int:
    read = (slots[m] // gcd(slots[m], window.stride) for m in stage.inputs if m.constant is None)
    return lcm(slots[stage.output], *read)


def _place(
    stages: list[Stage],
    schedule: Schedule,
    loop: range,
    slots: dict[FeatureMap, int],
    cut: FeatureMap,
    tail_bytes: int,
) -> tuple[Layout, int]:
    """Where everything lies, seen over one loop, and the tail, whose time is after it."""
    after = len(loop)
    lives = {}
    for m, life in schedule.lives.items():
        made = [(w, r) for w, r in zip(life.written, life.last_read, strict=True) if w in loop]
        passes = m is not cut and all(INPUT not in schedule.entries[w + 1 : r + 1] for w, r in made)
        if passes:
            lives[m] = Life([w - loop.start for w, _ in made], [r - loop.start for _, r in made])
        else:
            lives[m] = Life([0] * slots[m], [after] * slots[m])
    steps = {s: [t - loop.start for t in schedule.steps[s] if t in loop] for s in stages}
    tail = Stage("", None, {}, [], cut, [], scratch_bytes=tail_bytes + TAIL_ALIGNMENT)  # stands for all of it
    entries = schedule.entries[loop.start : loop.stop]
    layout = allocate([*stages, tail], Schedule(entries, lives, {**steps, tail: [after]}))
    tail_offset = -(-layout.scratch.pop(tail) // TAIL_ALIGNMENT) * TAIL_ALIGNMENT
    return layout, tail_offset
