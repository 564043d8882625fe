"""A trace played to one policy while it answers frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinyswitch.compiler import Plan
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.dynamic.answers import Answers
from tinyswitch.evaluate.dynamic.session import Outcome, PolicySession
from tinyswitch.evaluate.dynamic.trace import Load, Trace, Unit
from tinyswitch.evaluate.journal import Journal
from tinyswitch.evaluate.reference import encode
from tinyswitch.evaluate.session import FrameLost

Record = dict[str, Any]  # one line of POLICY.jsonl


class Stopped(Exception):
    """Somebody asked for it."""


@dataclass(frozen=True)
class Script:
    """What every policy gets to see."""

    trace: Trace
    unit: Unit
    fps: float
    frames: int
    plans: Sequence[Plan]  # the entries
    answers: Answers
    graded: bool  # the labels are of the models' classes

    def time_s(self, frame: int) -> float:
        """When a frame begins."""
        return frame / self.fps

    def before(self, frame: int) -> Load:
        """What is in force when a frame begins."""
        return self.trace.at(self.time_s(frame)).load(self.unit)

    def during(self, frame: int) -> list[tuple[float, Load]]:
        """What changes within a frame's period: at which fraction of it, and to what."""
        begin, end = self.time_s(frame), self.time_s(frame + 1)
        return [
            ((row.time_s - begin) * self.fps, row.load(self.unit)) for row in self.trace.within(begin, end)
        ]


def play(
    name: str,
    session: PolicySession,
    script: Script,
    journal: Journal,
    stop: threading.Event,
    advance: Callable[[], None],
) -> None:
    """Plays all frames to the policy ``name`` at work in ``session``; a line a frame goes to ``journal``.

    Raises TinyswitchError if a frame gets no answer or the board's memory is damaged, Stopped once ``stop``
    is set.
    """
    for number in range(script.frames):
        if stop.is_set():
            raise Stopped
        load, during = script.before(number), script.during(number)
        start = time.monotonic()
        try:
            session.load(load)
            outcome = session.frame(lambda model, n=number: script.answers.frame(model, n), during)
        except FrameLost as error:
            raise TinyswitchError(f"policy {name}: frame {number}: {error}") from None
        record = _record(number, script, load, during, outcome, session.info.clock_hz)
        journal.append({"policy": name, **record, "seconds": round(time.monotonic() - start, 4)})
        advance()
    session.check()


def _record(
    number: int,
    script: Script,
    load: Load,
    during: Sequence[tuple[float, Load]],
    outcome: Outcome,
    clock_hz: int,
) -> Record:
    image, first = script.answers.image(number), outcome.decisions[0]
    answered = len(outcome.results) == len(outcome.models)
    elapsed_us = outcome.cycles / clock_hz * 1e6
    late = bool(load.deadline_us and elapsed_us > load.deadline_us)
    top5 = outcome.results[-1].top5 if answered else []
    graded = script.graded and image.label is not None
    names = [script.plans[model].name for model in outcome.models]
    return {
        "frame": number,
        "time_s": script.time_s(number),
        "image": image.name,
        "label": image.label,
        "load": asdict(load),
        "during": [{"at": round(at, 6), **asdict(later)} for at, later in during],
        "budget": asdict(first.budget),
        "decision": {"reason": first.reason, "fits": first.fits},
        "entry": names[-1],
        "entries": names,
        "switch_cycles": sum(decision.switch_ticks for decision in outcome.decisions),
        "cycles": outcome.cycles,
        "stolen": outcome.stolen,
        "elapsed_ms": round(elapsed_us / 1e3, 6),
        "answered": answered,
        "missed": late or not answered,
        "top5": [[int(index), int(score)] for index, score in top5],
        "right": (answered and int(top5[0][0]) == image.label) if graded else None,
        "identical": [
            encode(result.outputs) == script.answers.expected(model, number)
            for model, result in zip(outcome.models, outcome.results, strict=False)
        ],
    }
