"""Cuts a model into segments and finds where everything lies: the least peak RAM it can.

Dynamic programming over cuts: a run of stages between two cuts is a segment, its cost is the RAM alive while
it runs, the peak of a plan is its dearest segment. docs/engine.md explains it with drawings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinyswitch.compiler.allocate import Layout, allocate
from tinyswitch.compiler.plan import FeatureMap, Stage
from tinyswitch.compiler.schedule import Schedule, make_schedule, peak_alive

MAX_CUTS = 40  # more make planning slow and gain nothing: segments are short


@dataclass(frozen=True)
class Planned:
    segments: list[range]
    schedule: Schedule
    layout: Layout


# Makes stages of a segment need less RAM; returns what undoes it, None if there is nothing to change.
Relief = Callable[[list[Stage]], Callable[[], None] | None]


def plan_memory(
    stages: list[Stage], model_input: FeatureMap, outputs: list[FeatureMap], relief: Relief
) -> Planned:
    """The cheapest segments, after trying ``relief`` on the dearest as long as that helps."""
    costs: dict[tuple, int] = {}

    def cost(segment: range) -> int:
        # what a relief may change
        sizes = tuple(
            (s.inputs[0].row_bytes, s.output.row_bytes, s.scratch_bytes)
            for s in stages[segment.start : segment.stop]
        )
        key = (segment, sizes)
        if key not in costs:
            costs[key] = peak_alive(stages, segment, model_input, outputs)
        return costs[key]

    segments, peak = _cheapest_cuts(stages, model_input, outputs, cost)
    while stages:
        dearest = max(segments, key=cost)
        undo = relief([stages[i] for i in dearest])
        if undo is None:
            break
        relieved, lower = _cheapest_cuts(stages, model_input, outputs, cost)
        if lower >= peak:
            undo()
            break
        segments, peak = relieved, lower
    schedule = make_schedule(stages, segments, model_input, outputs)
    return Planned(segments, schedule, allocate(stages, schedule))


def _cheapest_cuts(
    stages: list[Stage],
    model_input: FeatureMap,
    outputs: list[FeatureMap],
    cost_of: Callable[[range], int],
) -> tuple[list[range], int]:
    """Segments and the bytes of the dearest."""
    cuts = _cut_points(stages, model_input, outputs)
    rings = _ring_bytes(stages)
    # best[i]: (peak so far, bytes summed over segments, previous cut) of the cheapest way to cut i
    best: list[tuple[int, int, int]] = [(0, 0, -1)]
    for j in range(1, len(cuts)):
        option: tuple[int, int, int] | None = None
        for i in range(j - 1, -1, -1):
            segment = range(cuts[i], cuts[j])
            least = max(best[i][0], sum(b for made, b in rings[cuts[i] : cuts[j]] if made >= cuts[i]))
            if option is not None and least > option[0]:
                if least > best[i][0]:
                    break  # longer segments hold these rings too
                continue
            cost = cost_of(segment)
            found = (max(best[i][0], cost), best[i][1] + cost, i)
            option = found if option is None else min(option, found)
        best.append(option)
    segments, j = [], len(cuts) - 1
    while j > 0:
        i = best[j][2]
        segments.append(range(cuts[i], cuts[j]))
        j = i
    return segments[::-1], best[-1][0]


def _ring_bytes(stages: list[Stage]) -> list[tuple[int, int]]:
    """For each stage the one that makes its first input, and the bytes of it that a step reads."""
    producers = {s.output: i for i, s in enumerate(stages)}
    found = []
    for stage in stages:
        rows = max(len(stage.reads[0](step)) for step in range(stage.steps))
        found.append((producers.get(stage.inputs[0], -1), rows * stage.inputs[0].row_bytes))
    return found


def _cut_points(stages: list[Stage], model_input: FeatureMap, outputs: list[FeatureMap]) -> list[int]:
    """Places between stages, those where least crosses first if there are too many."""
    crossing = {i: _crossing_bytes(stages, i, model_input, outputs) for i in range(1, len(stages))}
    chosen = sorted(crossing, key=lambda i: crossing[i])[:MAX_CUTS]
    return [0, *sorted(chosen), len(stages)] if stages else [0]


def _crossing_bytes(stages: list[Stage], cut: int, model_input: FeatureMap, outputs: list[FeatureMap]) -> int:
    made = {s.output for s in stages[:cut]} | {model_input}
    read = {m for s in stages[cut:] for m in s.inputs} | set(outputs)
    return sum(m.height * m.row_bytes for m in made & read)
