"""Recordings to a board, answers from it: an evaluation that can be interrupted at any time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import serial
from rich.console import Console

from tinyswitch.boards.board import Board
from tinyswitch.evaluate.gesture.playing import GestureSession, Played
from tinyswitch.evaluate.gesture.reference import Reference
from tinyswitch.evaluate.gesture.summary import gesture_summary
from tinyswitch.evaluate.journal import write_json
from tinyswitch.evaluate.recordings import Item, Line, Run
from tinyswitch.evaluate.reference import digest
from tinyswitch.gestures.recording import Recording
from tinyswitch.gestures.table import Entry
from tinyswitch.link import Client

if TYPE_CHECKING:
    from tinyswitch.firmware import Build


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
    run.run()
    summary = gesture_summary(run.facts, run.lines, run.expected, job.entry.record.classes, job.build.memory)
    write_json(job.out / "summary.json", summary)
    return summary


class _Run(Run[GestureSession]):
    """State of one evaluation."""

    def __init__(self, job: Job, console: Console):
        self._job = job
        plan = next(plan for plan in job.build.models if plan.name == job.entry.name)
        self._model_id = plan.id
        identity = {
            "board": job.board.name,
            "kind": job.board.kind,
            "model": job.entry.name,
            "model_id": f"{plan.id:08x}",
            "firmware": f"{zlib.crc32(job.build.elf.read_bytes()):08x}",
            "recordings": str(job.folder.resolve()),
            "source": "sensor" if job.playing else "link",
        }
        reference = Reference(job.entry)
        self._recordings = {r.path.name: r for r in job.recordings}
        self._samples = {r.path.name: reference.samples(r) for r in job.recordings}
        self.expected = {
            r.path.name: (r.label, reference.answers(self._samples[r.path.name])) for r in job.recordings
        }
        items = [Item(name, digest(samples)) for name, samples in self._samples.items()]
        super().__init__(job.board, items, identity, job.out, job.prepare, console)

    def session(self, board: Board) -> GestureSession:
        return GestureSession(board, self._model_id, self._job.entry, self.note, self._job.client)

    def playing(self, name: str) -> Board | None:
        return self._job.playing(self._recordings[name].path) if self._job.playing else None

    def one(self, session: GestureSession, name: str, part: Callable[[int], None]) -> Line:
        if self._job.playing:
            played = session.listen(len(self.expected[name][1]))
        else:
            played = session.push(self._samples[name])
        return _line(self._recordings[name], played)

    def more(self, session: GestureSession) -> Mapping[str, Any]:
        rate = self._job.entry.rate
        return {"rate_hz": rate.window.rate_hz, "step": rate.step}


def _line(recording: Recording, played: Played) -> Line:
    last = played.last
    return {
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
    }
