"""Cuts a model into segments and finds where everything lies: the least peak RAM it can.

Dynamic programming over cuts: a run of stages between two cuts is a segment, its cost is the RAM alive while
it runs, the peak of a plan is its dearest segment. docs/engine.md explains it with drawings.
"""

from __future__ import annotations

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


def plan_memory(stages: list[Stage], model_input: FeatureMap, outputs: list[FeatureMap]) -> Planned:
    """The better of the dynamic program's segments and one segment for all."""
    candidates = [_cheapest_cuts(stages, model_input, outputs), [range(len(stages))]]
    best: Planned | None = None
    for segments in candidates:
        schedule = make_schedule(stages, segments, model_input, outputs)
        layout = allocate(stages, schedule)
        if best is None or layout.arena_bytes < best.layout.arena_bytes:
            best = Planned(segments, schedule, layout)
    return best


def _cheapest_cuts(stages: list[Stage], model_input: FeatureMap, outputs: list[FeatureMap]) -> list[range]:
    cuts = _cut_points(stages, model_input, outputs)
    # best[i]: (peak so far, bytes summed over segments, previous cut) of the cheapest way to cut i
    best: list[tuple[int, int, int]] = [(0, 0, -1)]
    for j in range(1, len(cuts)):
        options = []
        for i in range(j):
            segment = range(cuts[i], cuts[j])
            cost = peak_alive(stages, segment, model_input, outputs)
            options.append((max(best[i][0], cost), best[i][1] + cost, i))
        best.append(min(options))
    segments, j = [], len(cuts) - 1
    while j > 0:
        i = best[j][2]
        segments.append(range(cuts[i], cuts[j]))
        j = i
    return segments[::-1]


def _cut_points(stages: list[Stage], model_input: FeatureMap, outputs: list[FeatureMap]) -> list[int]:
    """Places between stages, those where least crosses first if there are too many."""
    crossing = {i: _crossing_bytes(stages, i, model_input, outputs) for i in range(1, len(stages))}
    chosen = sorted(crossing, key=lambda i: crossing[i])[:MAX_CUTS]
    return [0, *sorted(chosen), len(stages)] if stages else [0]


def _crossing_bytes(stages: list[Stage], cut: int, model_input: FeatureMap, outputs: list[FeatureMap]) -> int:
    made = {s.output for s in stages[:cut]} | {model_input}
    read = {m for s in stages[cut:] for m in s.inputs} | set(outputs)
    return sum(m.height * m.row_bytes for m in made & read)
