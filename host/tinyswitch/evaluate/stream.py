"""Images to a board, answers from it: the evaluation that can be interrupted at any time."""

from __future__ import annotations

import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import serial
from rich.console import Console
from rich.progress import Progress

from tinyswitch.boards.board import Board
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.host import check_images
from tinyswitch.evaluate.images import Dataset, Entry, load_frame, to_model_input
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.journal import Journal, facts_of, write_json
from tinyswitch.evaluate.reference import Reference, encode
from tinyswitch.evaluate.session import FrameLost, Losses, Session, facts
from tinyswitch.evaluate.summary import board_summary
from tinyswitch.link import Client, Result

if TYPE_CHECKING:
    from tinyswitch.firmware import Build

Record = dict[str, Any]  # one line of results.jsonl


def stream_eval(
    board: Board,
    build: Build,
    dataset: Dataset,
    out: Path,
    cache: Path,
    console: Console,
    prepare: Callable[[], None] = lambda: None,
    client: Callable[[serial.Serial], Client] = Client,
) -> dict[str, Any]:
    """Sends the images to ``board``, which runs the only model of ``build``, and says what came back.

    ``prepare`` is called before the board is opened, if it is needed at all.
    LiteRT answers the same images meanwhile, on all cores (cache: ``cache``). ``out`` gets
    ``results.jsonl`` (a line as each answer arrives), ``run.json`` (whose results they are) and, at the end,
    ``summary.json``, which is also returned. What ``out`` holds already is not sent again.
    Raises TinyswitchError if the board is gone, an image is damaged, a file cannot be written, or ``out``
    belongs to another board, firmware, model or folder of images; Interrupted on Ctrl-C.
    """
    plan = build.models[0]
    evaluation = _Evaluation(board, build, dataset, out, console, client)
    with Reference(plan.source, cache) as reference, Journal(out / "results.jsonl") as journal:
        try:
            evaluation.resume(journal)
            with bars(console) as progress:
                evaluation.check(reference, progress)
                evaluation.stream(reference, journal, progress, prepare)
                answers = evaluation.answers
                host = {answer["frame"]: reference.answer(answer["frame"]) for answer in answers.values()}
        except KeyboardInterrupt:
            raise Interrupted(len(evaluation.answers), len(dataset), str(out)) from None
    summary = board_summary(
        evaluation.facts, evaluation.answers, host, plan.outputs[0], dataset, build.memory
    )
    write_json(out / "summary.json", summary)
    return summary


class _Evaluation:
    """State of one run; the methods are its steps, in order."""

    def __init__(
        self,
        board: Board,
        build: Build,
        dataset: Dataset,
        out: Path,
        console: Console,
        client: Callable[[serial.Serial], Client],
    ):
        self._board, self._client, self._console = board, client, console
        self._plan = build.models[0]
        self._dataset, self._out = dataset, out
        self._identity = {
            "board": board.name,
            "kind": board.kind,
            "model": self._plan.name,
            "model_id": f"{self._plan.id:08x}",
            "firmware": f"{zlib.crc32(build.elf.read_bytes()):08x}",
            "images": str(dataset.folder.resolve()),
        }
        self._earlier: dict[str, Record] = {}
        self.digests: list[str] = []
        self._lock = threading.Lock()  # of the journal and the answers
        self.facts: dict[str, Any] = {}  # run.json
        self.answers: dict[str, Record] = {}  # image name -> its line

    def resume(self, journal: Journal) -> None:
        """Takes over what an earlier run of the same kind left."""
        records = journal.read()
        if not records:
            return
        self.facts = facts_of(self._out, self._identity, "missing or damaged")
        self._earlier = {str(record.get("image")): record for record in records}

    def check(self, reference: Reference, progress: Progress) -> None:
        """Finds damaged images before the first is sent, and the answers that are there already."""
        sources = [entry.path for entry in self._dataset.entries]
        self.digests = check_images(reference, sources, progress)
        for entry, digest in zip(self._dataset.entries, self.digests, strict=True):
            record = self._earlier.get(entry.name)
            if record is not None and record.get("frame") == digest:
                self.answers[entry.name] = record

    def stream(
        self, reference: Reference, journal: Journal, progress: Progress, prepare: Callable[[], None]
    ) -> None:
        """Sends what is missing, while LiteRT answers everything."""
        total = len(self._dataset)
        board_bar = progress.add_task(self._board.label, total=total, completed=len(self.answers))
        host_bar = progress.add_task("LiteRT", total=total)
        missing = [
            (entry, digest)
            for entry, digest in zip(self._dataset.entries, self.digests, strict=True)
            if entry.name not in self.answers
        ]
        if self.answers:
            self._note(f"{len(self.answers)} of {total} images are answered already")
        reference.start(
            [entry.path for entry in self._dataset.entries], self.digests, lambda: progress.advance(host_bar)
        )
        if missing:
            prepare()
            queue = deque(missing)
            with ExitStack() as stack:
                sessions = [
                    stack.enter_context(Session(board, self._plan.id, self._note, self._client))
                    for board in [self._board, *self._board.beside()][: len(missing)]
                ]
                self._write_facts(sessions[0])
                self._share(sessions, queue, journal, reference, lambda: progress.advance(board_bar))

    def _share(
        self,
        sessions: Sequence[Session],
        queue: deque[tuple[Entry, str]],
        journal: Journal,
        reference: Reference,
        advance: Callable[[], None],
    ) -> None:
        """Every session takes images from the queue until it is empty, or one of them fails."""
        with ThreadPoolExecutor(len(sessions)) as pool:
            try:
                work = [pool.submit(self._send, s, queue, journal, reference, advance) for s in sessions]
                for done in as_completed(work):
                    done.result()
            finally:
                queue.clear()

    def _kept(self) -> str:
        return f"{len(self.answers)} answers are kept in {self._out}"

    def _note(self, text: str) -> None:
        self._console.print(text, style="yellow", highlight=False, soft_wrap=True)

    def _write_facts(self, session: Session) -> None:
        self.facts = {
            **self._identity,
            **facts(self._board, session.info),
        }
        write_json(self._out / "run.json", self.facts)

    def _send(
        self,
        session: Session,
        queue: deque[tuple[Entry, str]],
        journal: Journal,
        reference: Reference,
        advance: Callable[[], None],
    ) -> None:
        info = reference.input
        losses = Losses(self._board, "images", self._kept, self._note)
        while queue:
            try:
                entry, digest = queue.popleft()
            except IndexError:  # another session was faster
                break
            frame = to_model_input(load_frame(entry.path, info.shape), info)
            start = time.monotonic()
            try:
                result = session.infer(frame)
            except FrameLost as error:
                losses.add(entry.name, error)
                continue
            losses.end()
            record = _record(entry, digest, result, time.monotonic() - start)
            with self._lock:
                journal.append(record)
                self.answers[entry.name] = record
                advance()


def _record(entry: Entry, digest: str, result: Result, seconds: float) -> Record:
    return {
        "image": entry.name,
        "frame": digest,
        "label": entry.label,
        "top5": [[int(index), int(score)] for index, score in result.top5],
        "cycles": int(result.cycles),
        "stack_peak": int(result.stack_peak),
        "rx_lost": int(result.rx_lost),
        "seconds": round(seconds, 4),  # from the first byte sent to the last received
        "outputs": encode(result.outputs),
    }
