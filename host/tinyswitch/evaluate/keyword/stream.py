"""Sound to a board, answers from it: an evaluation that can be interrupted at any time."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import serial
from rich.console import Console

from tinyswitch.boards.board import Board
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.journal import write_json
from tinyswitch.evaluate.keyword.playing import KeywordSession, Part, Played
from tinyswitch.evaluate.keyword.reference import LATEST, Expected, Reference, features, heard_before
from tinyswitch.evaluate.keyword.summary import keyword_summary
from tinyswitch.evaluate.recordings import Item, Line, Run
from tinyswitch.evaluate.reference import digest
from tinyswitch.features.frontend import RATE, ROWS
from tinyswitch.keywords import wav
from tinyswitch.keywords.recording import Recording
from tinyswitch.link import Client
from tinyswitch.link.keyword import Detector

if TYPE_CHECKING:
    from tinyswitch.compiler import Plan
    from tinyswitch.firmware import Build


@dataclass(frozen=True)
class Job:
    """What is to be played, to whom."""

    board: Board  # takes samples over the link, unless `playing` is given
    playing: Callable[[Path], Board] | None  # a board that hears a WAV file; None: the link
    build: Build
    model: Plan  # of the firmware's table
    folder: Path  # of the recordings
    recordings: Sequence[Recording]
    out: Path
    cache: Path  # of LiteRT's answers
    detector: Detector = field(default_factory=Detector)
    prepare: Callable[[], None] = lambda: None  # called before the board is opened, if it is needed at all
    client: Callable[[serial.Serial], Client] = Client


def keyword_eval(job: Job, console: Console) -> dict[str, Any]:
    """Plays what ``out`` has no answers for yet, and says what came back; see docs/keyword.md.

    ``out`` gets ``results.jsonl`` (a line as each recording is answered), ``run.json`` (whose results they
    are) and, at the end, ``summary.json``, which is also returned. Raises TinyswitchError if the board is
    gone or hears nothing, a file cannot be written, or ``out`` is another run's; Interrupted on Ctrl-C.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = _Run(job, Path(folder), console)
        run.run()
    expected = _expected(job, run.facts, run.lines, console)
    recordings = {recording.name: recording for recording in job.recordings}
    summary = keyword_summary(run.facts, run.lines, expected, recordings, job.build.memory)
    write_json(job.out / "summary.json", summary)
    return summary


class _Run(Run[KeywordSession]):
    """State of one evaluation; ``folder`` is for the WAV files that a board hears."""

    def __init__(self, job: Job, folder: Path, console: Console):
        self._job, self._folder = job, folder
        self._recordings = {recording.name: recording for recording in job.recordings}
        identity = {
            "board": job.board.name,
            "kind": job.board.kind,
            "model": job.model.name,
            "model_id": f"{job.model.id:08x}",
            "firmware": f"{zlib.crc32(job.build.elf.read_bytes()):08x}",
            "recordings": str(job.folder.resolve()),
            "source": "microphones" if job.playing else "link",
            "detector": vars(job.detector),
        }
        items = [Item(r.name, digest(r.samples), round(r.seconds)) for r in job.recordings]
        super().__init__(job.board, items, identity, job.out, job.prepare, console)

    def session(self, board: Board) -> KeywordSession:
        job = self._job
        return KeywordSession(board, job.model.id, job.model.name, job.detector, self.note, job.client)

    def playing(self, name: str) -> Board | None:
        if self._job.playing is None:
            return None
        sound = self._folder / "sound.wav"
        # Longer than what is waited for: until it ends, a virtual board need not keep to the wall's clock.
        wav.write(sound, np.pad(self._recordings[name].samples, (0, RATE)))
        return self._job.playing(sound)

    def one(self, session: KeywordSession, name: str, part: Callable[[int], None]) -> Line:
        samples = self._recordings[name].samples

        def heard(count: int) -> None:
            part(count // RATE)

        played = self._answers(session, samples, heard)
        before = 0
        if self._job.playing:
            ends = [(answer.row + ROWS - 1, answer.rows_crc) for answer in played.answers]
            found = heard_before(samples, ends)
            if found is None:
                self.note(f"{name}: the features are not the recording's")
            before = found or 0
        return _line(played, before)

    def _answers(self, session: KeywordSession, samples: np.ndarray, part: Part) -> Played:
        if self._job.playing:
            return session.listen(len(samples) + LATEST, part)
        return session.push(samples, part)

    def more(self, session: KeywordSession) -> Mapping[str, Any]:
        entry = session.entry
        return {
            "classes": list(entry.classes),
            "first_word": entry.first_word,
            "step": entry.step,
            "streams": entry.streams,
        }


def _expected(
    job: Job, facts: Mapping[str, Any], lines: Mapping[str, Line], console: Console
) -> dict[str, Expected]:
    """By the recording's name: what the host makes of what the board has heard."""
    found = {}
    source = job.model.source
    if zlib.crc32(source.read_bytes()) != job.model.id:
        raise TinyswitchError(f"{source}: it has changed since the firmware was built; run this again")
    with (
        Reference(source, job.cache, facts["step"], facts["first_word"], job.detector) as reference,
        bars(console) as progress,
    ):
        for recording in job.recordings:
            before = lines[recording.name]["before"] if recording.name in lines else 0
            rows = features(recording.samples, before)
            windows = len(range(0, len(rows) - ROWS + 1, facts["step"]))
            bar = progress.add_task(f"LiteRT, {recording.name}", total=windows)
            found[recording.name] = reference.expected(rows, lambda bar=bar: progress.advance(bar))
    return found


def _line(played: Played, before: int) -> Line:
    last = played.last
    return {
        "before": before,
        "answers": [
            {
                "row": a.row,
                "answer": a.answer,
                "rows_crc": a.rows_crc,
                "raw": list(a.raw),
                "mean": list(a.mean),
                "feature_cycles": a.feature_ticks,
                "inference_cycles": a.inference_ticks,
            }
            for a in played.answers
        ],
        "detections": [
            {"number": d.number, "last_row": d.last_row, "word": d.word, "mean": d.mean}
            for d in played.detections
        ],
        "stack_peak": last.stack_peak,
        "rx_lost": last.rx_lost,
        "microphones": {
            "lost": last.samples_lost,
            "retries": last.codec_retries,
            "longest_fetch": last.longest_fetch,
        },
        "cpu": last.cpu,
    }
