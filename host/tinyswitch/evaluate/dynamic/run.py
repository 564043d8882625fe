"""A trace played to several policies, and to every fixed choice: what may be interrupted at any time."""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import serial
from rich.console import Console
from rich.progress import Progress

from tinyswitch.boards.board import Board
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.dynamic import timeline, worth
from tinyswitch.evaluate.dynamic.answers import Answers
from tinyswitch.evaluate.dynamic.play import Record, Script, Stopped, play
from tinyswitch.evaluate.dynamic.session import PolicySession
from tinyswitch.evaluate.dynamic.summary import details, figures
from tinyswitch.evaluate.dynamic.trace import Trace, Unit
from tinyswitch.evaluate.images import Dataset
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.journal import Journal, facts_of, write_json
from tinyswitch.link import Client
from tinyswitch.switcher import Policy

if TYPE_CHECKING:
    from tinyswitch.firmware import Build

FIXED, CASCADE = "fixed", "cascade"
RAM_STEP = 8  # bytes: what tasks are granted is a multiple


@dataclass(frozen=True)
class Job:
    """What is to be done. The entries are the models of ``build``."""

    board: Board
    build: Build
    family: str | None  # whose sub-networks the entries are
    policies: Sequence[str]  # kinds; every fixed choice comes besides
    thresholds: Sequence[float]  # of cascade, which is played once with each
    trace: Trace
    dataset: Dataset
    frames: int  # that every policy gets
    fps: float
    out: Path
    cache: Path  # of LiteRT's answers


def check_alternatives(build: Build) -> None:
    """Raises TinyswitchError for entries that cannot take each other's place: of other inputs or classes."""
    first = build.models[0]

    def interface(plan) -> tuple:
        return plan.input.shape[2], [output.shape for output in plan.outputs]

    for plan in build.models[1:]:
        if interface(plan) != interface(first):
            raise TinyswitchError(
                f"{plan.source}: channels and outputs are {interface(plan)}, those of {first.source} "
                f"{interface(first)}: they cannot take each other's place"
            )


class Evaluation:
    """State of one run; the methods are its steps, in order."""

    def __init__(self, job: Job, console: Console, client: Callable[[serial.Serial], Client] = Client):
        self._job, self._console, self._client = job, console, client
        plans = job.build.models
        self._names = [plan.name for plan in plans]
        self._policies = _policies(job.policies, job.thresholds, self._names)
        self._images = job.dataset.entries[: job.frames]
        self._mismatch = job.dataset.mismatch(plans[0].outputs[0].shape[-1])
        self._identity = {
            "board": job.board.name,
            "kind": job.board.kind,
            "firmware": f"{zlib.crc32(job.build.elf.read_bytes()):08x}",
            "models": {plan.name: f"{plan.id:08x}" for plan in plans},
            "images": str(job.dataset.folder.resolve()),
            "trace": job.trace.path.stem,
            "trace_content": job.trace.digest,
            "fps": job.fps,
            "thresholds": list(job.thresholds),
        }
        self._facts: dict[str, Any] = {}  # run.json
        self._records: dict[str, list[Record]] = {}  # policy -> its lines, once it is through
        self._stop = threading.Event()

    def run(self, prepare: Callable[[], None]) -> dict[str, Any]:
        """Plays what is missing; returns the content of summary.json."""
        self._resume()
        missing = [name for name in self._policies if name not in self._records]
        try:
            if missing:
                with bars(self._console) as progress:
                    answers = Answers(self._images)
                    answers.compute(self._job.build.models, self._job.cache, progress)
                    prepare()
                    if not self._facts:
                        self._measure(answers)
                    self._play(missing, self._script(answers), progress)
        except KeyboardInterrupt:
            done = len(self._records)
            raise Interrupted(done, len(self._policies), str(self._job.out), "policies played") from None
        summary = self._summary()
        write_json(self._job.out / "summary.json", summary)
        timeline.draw(summary, self._records, self._job.trace, self._unit(), self._job.out)
        worth.draw(summary, self._job.out)
        return summary

    def _resume(self) -> None:
        """Takes over the policies that an earlier run of the same kind has finished."""
        if not (self._job.out / "run.json").exists():
            return
        self._facts = facts_of(self._job.out, self._identity, "damaged")
        for name in self._policies:
            with self._journal(name) as journal:
                records = journal.read()[: self._job.frames]
            if [r.get("image") for r in records] == self._expected_images():
                self._records[name] = records
        if self._records:
            self._note(f"{len(self._records)} of {len(self._policies)} policies are played already")

    def _expected_images(self) -> list[str]:
        return [self._images[number % len(self._images)].name for number in range(self._job.frames)]

    def _journal(self, name: str) -> Journal:
        return Journal(self._job.out / f"{name.replace(':', '-')}.jsonl")

    def _note(self, text: str) -> None:
        self._console.print(text, style="yellow", highlight=False, soft_wrap=True)

    def _session(self, board: Board, policy: Policy, answers: Answers) -> PolicySession:
        models = [plan.id for plan in self._job.build.models]
        return PolicySession(
            board, models, policy, lambda model: answers.frame(model, 0), self._note, self._client
        )

    def _measure(self, answers: Answers) -> None:
        """What the entries take without load, for the relative columns; one measurement for all policies."""
        board = self._job.board
        with self._session(board, Policy(FIXED), answers) as session:
            info = session.info
            self._facts = {
                **self._identity,
                "clock_hz": info.clock_hz,
                "engine": f"tinyswitch {info.firmware}",
                "cycle_model": board.cycle_model,
                "cycles": dict(zip(self._names, session.cycles, strict=True)),
                "free_ram": session.free_ram,
            }
        write_json(self._job.out / "run.json", self._facts)

    def _unit(self) -> Unit:
        least = min(plan.arena_bytes for plan in self._job.build.models)
        spare = max(0, self._facts["free_ram"] - least) // RAM_STEP * RAM_STEP
        return Unit(max(self._facts["cycles"].values()) / self._facts["clock_hz"], spare)

    def _script(self, answers: Answers) -> Script:
        job = self._job
        return Script(
            job.trace, self._unit(), job.fps, job.frames, job.build.models, answers, not self._mismatch
        )

    def _play(self, missing: Sequence[str], script: Script, progress: Progress) -> None:
        """The policies share what boards there are. Where time is real, they would disturb each other."""
        board = self._job.board
        boards = [board, *board.beside()] if board.counts_instructions else [board]
        queue = deque(missing)
        with ThreadPoolExecutor(len(boards)) as pool:
            try:
                work = [pool.submit(self._work, one, queue, script, progress) for one in boards]
                for done in as_completed(work):
                    done.result()
            finally:
                queue.clear()
                self._stop.set()

    def _work(self, board: Board, queue: deque[str], script: Script, progress: Progress) -> None:
        while queue:
            try:
                name = queue.popleft()
            except IndexError:  # another board was faster
                return
            bar = progress.add_task(name, total=script.frames)
            try:
                self._records[name] = self._play_one(name, board, script, partial(progress.advance, bar))
            except Stopped:
                return

    def _play_one(self, name: str, board: Board, script: Script, advance: Callable[[], None]) -> list[Record]:
        session = self._session(board, self._policies[name], script.answers)
        with self._journal(name) as journal, session:
            journal.clear()  # a policy remembers: half of its frames are of no use
            play(name, session, script, journal, self._stop, advance)
            return journal.read()

    def _summary(self) -> dict[str, Any]:
        facts = self._facts
        return {
            "board": facts["board"],
            "kind": facts["kind"],
            "family": self._job.family,
            "entries": facts["cycles"],
            "clock_hz": facts["clock_hz"],
            "engine": facts["engine"],
            "cycle_model": facts["cycle_model"],
            "trace": facts["trace"],
            "fps": facts["fps"],
            "free_ram": facts["free_ram"],
            "no_accuracy": self._mismatch,
            "policies": {name: figures(self._records[name], self._names) for name in self._policies},
            "details": {name: details(self._records[name], facts["clock_hz"]) for name in self._policies},
        }


def _policies(kinds: Sequence[str], thresholds: Sequence[float], entries: Sequence[str]) -> dict[str, Policy]:
    """By the name in the summary: those asked for, then every fixed choice."""
    found = {kind: Policy(kind) for kind in kinds if kind not in (FIXED, CASCADE)}
    if CASCADE in kinds:
        found |= {
            CASCADE if len(thresholds) == 1 else f"{CASCADE}-{value:g}": Policy(CASCADE, threshold=value)
            for value in thresholds
        }
    return found | {f"{FIXED}:{name}": Policy(FIXED, option=place) for place, name in enumerate(entries)}
