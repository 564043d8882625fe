"""What a model costs on a board, stage by stage: the firmware runs, and the board counts.

docs/bench.md explains every key of the records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import serial
from rich.console import Console

from tinyswitch.boards.board import Board
from tinyswitch.compiler import Plan
from tinyswitch.compiler.kinds import kind
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.reference import Reference, decode, digest
from tinyswitch.evaluate.session import FrameLost, Session
from tinyswitch.evaluate.verify import largest_difference, random_frames
from tinyswitch.link import Client, Profile, Result
from tinyswitch.link.messages import MAX_PROFILE_STAGES

if TYPE_CHECKING:
    from tinyswitch.firmware import Build

EXTREME_FRAMES = 3  # that random_frames() begins with


def bench(
    board: Board,
    build: Build,
    count: int,
    seed: int,
    baseline: Mapping[str, Any],
    cache: Path,
    console: Console,
    prepare: Callable[[], None] = lambda: None,
    client: Callable[[serial.Serial], Client] = Client,
) -> dict[str, Any]:
    """Runs the only model of ``build`` on ``count`` random frames, each once plainly and once profiled.

    ``baseline``: what other engines need, goes into the record. ``prepare`` is called before the board is
    opened. Raises TinyswitchError if the board is gone or gives no answer.
    """
    plan = build.models[0]

    def note(text: str) -> None:
        console.print(text, style="yellow", highlight=False, soft_wrap=True)

    profiled = len(plan.stages) <= MAX_PROFILE_STAGES
    if not profiled:
        note(f"{plan.name}: no figures of its {len(plan.stages)} stages; boards measure {MAX_PROFILE_STAGES}")
    answers: list[_Answer] = []
    try:
        with Reference(plan.source, cache, workers=1) as reference, bars(console) as progress:
            frames = list(
                islice(random_frames(reference.input, count + EXTREME_FRAMES, seed), EXTREME_FRAMES, None)
            )
            digests = [digest(frame) for frame in frames]
            reference.start(frames, digests, lambda: None)
            bar = progress.add_task(f"{plan.name} on {board.name}", total=count)
            prepare()
            with Session(board, plan.id, note, client) as session:
                for number, frame in enumerate(frames):
                    results = _run(session, board, number, frame, profiled)
                    expected = zip(reference.answer(digests[number]), reference.outputs, strict=True)
                    answers.append(_Answer(results, [decode(text, info) for text, info in expected]))
                    progress.advance(bar)
                clock_hz = session.info.clock_hz
    except KeyboardInterrupt:
        raise Interrupted(len(answers), count) from None
    return _record(board, build, answers, clock_hz, baseline)


class _Answer:
    """The results of one frame, of which the last is the profiled one."""

    def __init__(self, results: list[Result], expected: list[np.ndarray]):
        self.ticks = results[0].cycles
        self.stack_peak = max(r.stack_peak for r in results)
        self.profile = results[-1].profile
        self.identical = not any(largest_difference(r.outputs, expected) for r in results)


def _run(session: Session, board: Board, number: int, frame: np.ndarray, profiled: bool) -> list[Result]:
    try:
        results = []
        for profile in (False, True) if profiled else (False,):
            session.profile(profile)
            results.append(session.infer(frame))
        return results
    except FrameLost as error:
        raise TinyswitchError(f"{board.name}: no answer to input {number}: {error}") from None


def _unit(board: Board) -> str:
    """What the board counts."""
    if board.counts_instructions:
        return "instructions"
    return "ns" if board.kind == "native" else "cycles"


def _record(
    board: Board, build: Build, answers: Sequence[_Answer], clock_hz: int, baseline: Mapping[str, Any]
) -> dict[str, Any]:
    plan, memory = build.models[0], build.memory
    unit = _unit(board)
    ticks = round(median(a.ticks for a in answers))
    profiles = [a.profile for a in answers if a.profile is not None]
    stages = _stages(plan, profiles, unit)
    stack = max(a.stack_peak for a in answers)
    ram = {key: memory["ram"][key] for key in ("activations", "scratch", "static")}
    return {
        "model": plan.name,
        "board": board.name,
        "board_kind": board.kind,
        "unit": unit,
        "clock_hz": clock_hz,
        "cycle_model": board.cycle_model,
        "macs": plan.macs,
        **_counted(ticks, plan.macs, unit),
        "ram_bytes": plan.arena_bytes,
        "ram": {**ram, "stack_peak": stack, "total": sum(ram.values()) + stack},
        "flash_bytes": {key: memory["flash"][key] for key in ("code", "tables", "weights")},
        "count": len(answers),
        "identical_outputs": sum(a.identical for a in answers),
        "engine": _engine(plan, profiles, stages, ticks, unit),
        "kinds": _kinds(stages, unit),
        "stages": stages,
        "baseline": dict(baseline),
    }


def _counted(ticks: int, macs: int, unit: str) -> dict[str, Any]:
    """``ticks`` are in the record's unit; ``instructions`` only where the board counts those."""
    per_mac = ticks / macs if macs else None
    exact = unit == "instructions"
    return {
        "ticks": ticks,
        "ticks_per_mac": per_mac,
        "instructions": ticks if exact else None,
        "instructions_per_mac": per_mac if exact else None,
    }


def _stages(plan: Plan, profiles: Sequence[Profile], unit: str) -> list[dict[str, Any]]:
    if not profiles:
        return []
    if profiles[0].steps != [s.steps for s in plan.stages]:
        raise TinyswitchError(
            f"{plan.name}: the firmware on the board was compiled otherwise; run build-flash"
        )
    segment_of = {i: number for number, stages in enumerate(plan.segments) for i in stages}
    nets = [p.net_ticks for p in profiles]
    records = []
    for index, stage in enumerate(plan.stages):
        place = plan.placements[stage.output]
        ticks = round(median(net[index] for net in nets))
        records.append(
            {
                "index": index,
                "kind": kind(stage),
                "kernel": stage.kernel,
                "name": stage.output.name,
                "segment": segment_of[index],
                "input_shape": list(stage.inputs[0].shape),
                "output_shape": list(stage.output.shape),
                "steps": stage.steps,
                "macs": stage.macs,
                **_counted(ticks, stage.macs, unit),
                "output_rows": place.slots,
                "output_bytes": place.slots * stage.output.row_bytes,
                "scratch_bytes": stage.scratch_bytes,
            }
        )
    return records


def _engine(
    plan: Plan, profiles: Sequence[Profile], stages: Sequence[Mapping[str, Any]], ticks: int, unit: str
) -> dict[str, Any]:
    """What is in no stage: following the schedule, handing over rows, the watchdog."""
    rest = ticks - sum(s["ticks"] for s in stages) if stages else None
    return {
        "entries": len(plan.schedule),
        "clock_ticks": profiles[0].overhead if profiles else None,
        "ticks": rest,
        "instructions": rest if unit == "instructions" else None,
    }


def _kinds(stages: Sequence[Mapping[str, Any]], unit: str) -> list[dict[str, Any]]:
    """Sums over the stages of a kind, the dearest first."""
    records = []
    for name in dict.fromkeys(s["kind"] for s in stages):
        of_kind = [s for s in stages if s["kind"] == name]
        macs, ticks = sum(s["macs"] for s in of_kind), sum(s["ticks"] for s in of_kind)
        records.append({"kind": name, "stages": len(of_kind), "macs": macs, **_counted(ticks, macs, unit)})
    return sorted(records, key=lambda r: -r["ticks"])
