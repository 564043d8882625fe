"""Recordings to a board, answers from it: an evaluation that can be interrupted at any time."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import serial
from rich.console import Console

from tinyswitch.boards.board import Board
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.gesture.playing import GestureSession, Played
from tinyswitch.evaluate.gesture.reference import Reference
from tinyswitch.evaluate.gesture.summary import gesture_summary
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.journal import Journal, facts_of, write_json
from tinyswitch.evaluate.session import FrameLost, Losses, facts
from tinyswitch.gestures.recording import Recording
from tinyswitch.gestures.table import Entry
from tinyswitch.link import Client

if TYPE_CHECKING:
    from tinyswitch.firmware import Build

Line = dict[str, Any]  # of results.jsonl


@dataclass(frozen=True)
class Job:
    """What is to be played, to whom."""

    board: Board  # takes samples over the link, unless `playing` is given
    playing: Callable[[Path], Board] | None  # a board into whose sensor a recording is played; None: the link
    build: Build
    entry: Entry  # of the firmware's table
    folder: Path  # of the recordings
    recordings: Sequence[Recording]
    out: Path
    prepare: Callable[[], None] = lambda: None  # called before the board is opened, if it is needed at all
    client: Callable[[serial.Serial], Client] = Client


def gesture_eval(job: Job, console: Console) -> dict[str, Any]:
    """Plays what ``out`` has no answers for yet, and says what came back; see docs/gesture.md.

    ``out`` gets ``results.jsonl`` (a line as each recording is answered), ``run.json`` (whose results they
    are) and, at the end, ``summary.json``, which is also returned. Raises TinyswitchError if the board is
    gone, a recording is too short, a file cannot be written, or ``out`` is another run's; Interrupted on
    Ctrl-C.
    """
    run = _Run(job, console)
    with Journal(job.out / "results.jsonl") as journal:
        try:
            run.resume(journal)
            run.play(journal)
        except KeyboardInterrupt:
            raise Interrupted(len(run.lines), len(job.recordings), str(job.out)) from None
    summary = gesture_summary(run.facts, run.lines, run.expected, job.entry.record.classes, job.build.memory)
    write_json(job.out / "summary.json", summary)
    return summary


class _Run:
    """State of one evaluation."""

    def __init__(self, job: Job, console: Console):
        self._job, self._console = job, console
        plan = next(plan for plan in job.build.models if plan.name == job.entry.name)
        self._model_id = plan.id
        self._identity = {
            "board": job.board.name,
            "kind": job.board.kind,
            "model": job.entry.name,
            "model_id": f"{plan.id:08x}",
            "firmware": f"{zlib.crc32(job.build.elf.read_bytes()):08x}",
            "recordings": str(job.folder.resolve()),
            "source": "sensor" if job.playing else "link",
        }
        self.facts: dict[str, Any] = {}  # run.json
        self.lines: dict[str, Line] = {}  # by the recording's name
        reference = Reference(job.entry)
        self._samples = {r.path.name: reference.samples(r) for r in job.recordings}
        self.expected = {
            r.path.name: (r.label, reference.answers(self._samples[r.path.name])) for r in job.recordings
        }

    def resume(self, journal: Journal) -> None:
        """Takes over what an earlier run of the same kind left."""
        earlier = journal.read()
        if earlier:
            self.facts = facts_of(self._job.out, self._identity, "missing or damaged")
        for line in earlier:
            name = str(line.get("recording"))
            if name in self._samples and line.get("samples") == digest(self._samples[name]):
                self.lines[name] = line

    def play(self, journal: Journal) -> None:
        job = self._job
        missing = [r for r in job.recordings if r.path.name not in self.lines]
        if self.lines:
            self._note(f"{len(self.lines)} of {len(job.recordings)} recordings are answered already")
        if not missing:
            return
        job.prepare()
        with bars(self._console) as progress, ExitStack() as stack:
            bar = progress.add_task(job.board.label, total=len(job.recordings), completed=len(self.lines))
            session = None if job.playing else stack.enter_context(self._session(job.board))
            losses = Losses(job.board, "recordings", self._kept, self._note)
            for recording in missing:
                begin = time.monotonic()
                try:
                    played = self._play(recording, session)
                except FrameLost as error:
                    losses.add(recording.path.name, error)
                    continue
                losses.end()
                line = _line(recording, self._samples[recording.path.name], played, time.monotonic() - begin)
                journal.append(line)
                self.lines[recording.path.name] = line
                progress.advance(bar)

    def _play(self, recording: Recording, session: GestureSession | None) -> Played:
        name = recording.path.name
        if session is not None:
            return session.push(self._samples[name])
        assert self._job.playing is not None
        with self._session(self._job.playing(recording.path)) as listening:
            return listening.listen(len(self.expected[name][1]))

    def _session(self, board: Board) -> GestureSession:
        return _NotingSession(self, board)

    def note_facts(self, session: GestureSession) -> None:
        """Writes run.json, once the board has said what it is."""
        if self.facts:
            return
        self.facts = {
            **self._identity,
            **facts(self._job.board, session.info),
            "rate_hz": self._job.entry.rate.window.rate_hz,
            "step": self._job.entry.rate.step,
        }
        write_json(self._job.out / "run.json", self.facts)

    def _kept(self) -> str:
        return f"{len(self.lines)} are kept in {self._job.out}"

    def _note(self, text: str) -> None:
        self._console.print(text, style="yellow", highlight=False, soft_wrap=True)


class _NotingSession(GestureSession):
    """A session whose board is noted in run.json as soon as it is known."""

    def __init__(self, run: _Run, board: Board):
        job = run._job
        super().__init__(board, run._model_id, job.entry, run._note, job.client)
        self._run = run

    def __enter__(self) -> _NotingSession:
        super().__enter__()
        self._run.note_facts(self)
        return self


def digest(samples: np.ndarray) -> str:
    """Identifies what is played."""
    return hashlib.sha256(samples.tobytes()).hexdigest()[:32]


def _line(recording: Recording, samples: np.ndarray, played: Played, seconds: float) -> Line:
    last = played.last
    return {
        "recording": recording.path.name,
        "samples": digest(samples),
        "label": recording.label,
        "windows": [
            {
                "first": w.first,
                "answer": w.answer,
                "raw": list(w.raw),
                "smoothed": list(w.smoothed),
                "feature_cycles": w.feature_ticks,
                "inference_cycles": w.inference_ticks,
            }
            for w in played.windows
        ],
        "stack_peak": last.stack_peak,
        "rx_lost": last.rx_lost,
        "sensor": {
            "lost": last.sensor_lost,
            "errors": last.sensor_errors,
            "restarts": last.sensor_restarts,
        },
        "seconds": round(seconds, 3),
    }
