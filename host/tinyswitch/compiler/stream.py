"""Models that look at a window of an endless stream: cut so that only new rows are computed.

The body, everything up to the last map that is made row by row without padding in time, runs for ever; the
tail gives an answer of the body's last rows. docs/engine.md explains it, firmware/engine/stream.h says what
is generated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm
from pathlib import Path

from tinyswitch.compiler import tflite
from tinyswitch.compiler.compile import plan_of
from tinyswitch.compiler.endless import Window, plan_endless
from tinyswitch.compiler.graph import Graph
from tinyswitch.compiler.lowering import lower
from tinyswitch.compiler.plan import FeatureMap, Plan, Stage
from tinyswitch.compiler.planner import plan_memory
from tinyswitch.compiler.variants import choose, unpair


@dataclass(eq=False)
class Stream:
    """Everything the generated ts_stream_model says; sizes in bytes."""

    body: Plan
    tail: Plan
    rows: int  # of a window
    hop: int  # rows from one window to the next
    rounds: list[int]  # of each stage of the body: steps after which its rings come round
    loop: int  # entry of the body's schedule that follows its last
    tail_offset: int  # of the tail's arena in the body's
    last_stage: int  # of the body: makes the map that the tail reads

    @property
    def arena_bytes(self) -> int:
        return self.body.arena_bytes

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a hop and its answer."""
        return self.body.macs + self.tail.macs


def compile_stream(path: Path, kernels: str = "portable") -> Stream | None:
    """The streaming form of a model; None if it has none, or one that saves nothing.

    It has one if a map divides it: all in front of the map is made row by row without padding in time, and
    what lies behind reads nothing else. ``kernels``: as of ``compile_model``, which raises the same errors.
    """
    path = Path(path)
    graph = tflite.read(path)
    stages, model_input, outputs = lower(graph)
    windows = _row_local(stages)
    cut = _cut(stages, windows, model_input, outputs)
    if cut is None or len(outputs) != 1:
        return None
    whole_macs = sum(s.macs for s in stages)
    rows, (body, tail) = model_input.height, _divided(stages, cut)
    hop = _count_a_hop(body, _paces(body, windows, model_input))
    if sum(s.macs for s in (*body, *tail)) >= whole_macs:
        return None
    tail_plan = _tail(tail, cut, outputs, kernels, graph, path)
    choose(kernels, body, model_input, [cut])
    endless = plan_endless(body, windows, model_input, cut, hop, tail_plan.arena_bytes)
    if endless is None:
        return None
    body_plan = plan_of(endless.planned, body, model_input, [cut], graph, path)
    last_stage = next(i for i, s in enumerate(body) if s.output is cut)
    return Stream(
        body_plan, tail_plan, rows, hop, endless.rounds, endless.loop, endless.tail_offset, last_stage
    )


def _count_a_hop(body: list[Stage], paces: dict[FeatureMap, int]) -> int:
    """The least hop in rows of the input that shares rows of all maps; macs are those of one from now on."""
    hop = lcm(*paces.values())
    for stage in body:
        stage.macs = stage.macs // stage.output.height * (hop // paces[stage.output])
    return hop


def _tail(
    stages: list[Stage], cut: FeatureMap, outputs: list[FeatureMap], kernels: str, graph: Graph, path: Path
) -> Plan:
    """A model of its own, whose input is the window's part of the map ``cut``."""
    last_rows = replace(cut)
    outputs = [last_rows if m is cut else m for m in outputs]
    for stage in stages:
        stage.inputs = [last_rows if m is cut else m for m in stage.inputs]
    choose(kernels, stages, last_rows, outputs)
    planned = plan_memory(stages, last_rows, outputs, unpair)
    return plan_of(planned, stages, last_rows, outputs, graph, path)


# -- where a model is cut --


def _row_local(stages: list[Stage]) -> dict[Stage, Window]:
    """Stages whose rows depend on a window of their inputs' rows alone, the same at every step."""
    found = ((stage, _window(stage)) for stage in stages)
    return {stage: window for stage, window in found if window is not None}


def _window(stage: Stage) -> Window | None:
    """None: it needs its input whole, or a row's place in the map matters."""
    params, kernel = stage.params, stage.kernel
    constant = [m.constant is not None for m in stage.inputs]
    if kernel in ("ts_add", "ts_mul"):
        # a constant that repeats is the same for each row; anything else that repeats isn't a map of rows
        repeats = [bool(o["repeat_y"]) for o in params["operand"]]
        return Window(1, 1) if repeats == constant and not all(constant) else None
    if any(constant):
        return None
    if kernel in ("ts_conv", "ts_depthwise", "ts_average_pool", "ts_max_pool"):
        return _without_padding(stage)
    if kernel == "ts_pad":
        same = params["top"] == 0 and stage.inputs[0].height == stage.output.height
    elif kernel == "ts_concat":
        same = params["axis"] != 0
    elif kernel == "ts_mean":
        same = not params["over_rows"]
    elif kernel == "ts_dense":
        same = bool(params["per_pixel"])
    else:
        same = kernel in ("ts_pointwise", "ts_lookup", "ts_softmax")
    return Window(1, 1) if same else None


def _without_padding(stage: Stage) -> Window | None:
    w = stage.params["window"]
    window = Window(w["stride_y"], (w["height"] - 1) * w["dilation_y"] + 1)
    inside = window.rows(stage.output.height - 1).stop <= stage.inputs[0].height
    return window if w["pad_top"] == 0 and inside else None


def _cut(
    stages: list[Stage],
    windows: dict[Stage, Window],
    model_input: FeatureMap,
    outputs: list[FeatureMap],
) -> FeatureMap | None:
    """The last map that divides the model as compile_stream() says."""
    for stage in reversed(stages):
        body, tail = _divided(stages, stage.output)
        known = {stage.output, *(s.output for s in tail)}
        read = [m for s in tail for m in s.inputs if m.constant is None] + outputs
        divides = all(s in windows for s in body) and known.issuperset(read)
        if divides and _paces(body, windows, model_input):
            return stage.output
    return None


def _divided(stages: list[Stage], cut: FeatureMap) -> tuple[list[Stage], list[Stage]]:
    """Stages that a map depends on, and the others."""
    wanted, body = {cut}, []
    for stage in reversed(stages):
        if stage.output in wanted:
            wanted.update(stage.inputs)
            body.append(stage)
    return body[::-1], [s for s in stages if s not in body]


def _paces(
    body: list[Stage], windows: dict[Stage, Window], model_input: FeatureMap
) -> dict[FeatureMap, int] | None:
    """Rows of the model's input for one of each map; None if maps that meet, in an ADD say, differ in it."""
    paces = {model_input: 1}
    for stage in body:
        reads = {paces[m] for m in stage.inputs if m.constant is None}
        if len(reads) != 1:
            return None
        paces[stage.output] = reads.pop() * windows[stage].stride
    return paces
