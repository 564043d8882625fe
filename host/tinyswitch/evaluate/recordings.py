"""Recordings to a board, a line of results.jsonl for each: what all applications that are played to share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.console import Console

from tinyswitch.boards.board import Board
from tinyswitch.evaluate.display import bars
from tinyswitch.evaluate.interrupt import Interrupted
from tinyswitch.evaluate.journal import Journal, facts_of, write_json
from tinyswitch.evaluate.session import FrameLost, Losses, Session, facts

Line = dict[str, Any]  # of results.jsonl
S = TypeVar("S", bound=Session)


@dataclass(frozen=True)
class Item:
    """A recording: ``digest`` identifies its content, ``size`` says how long it takes, in any unit."""

    name: str
    digest: str
    size: int = 1


class Run(ABC, Generic[S]):
    """An evaluation that plays ``items`` to ``board`` and can be interrupted at any time.

    ``identity``: what must be the same for earlier results in ``out`` to go on. ``prepare`` is called before
    the board is opened, if it is needed at all.
    """

    def __init__(
        self,
        board: Board,
        items: Sequence[Item],
        identity: Mapping[str, Any],
        out: Path,
        prepare: Callable[[], None],
        console: Console,
    ):
        self._board, self._items, self._identity = board, items, identity
        self._out, self._prepare, self.console = out, prepare, console
        self.facts: dict[str, Any] = {}  # run.json
        self.lines: dict[str, Line] = {}  # by the recording's name

    @abstractmethod
    def session(self, board: Board) -> S:
        """A session with ``board``, not yet entered."""

    @abstractmethod
    def playing(self, name: str) -> Board | None:
        """A board of its own for a recording, which hears or feels it; None: it goes over the link."""

    @abstractmethod
    def one(self, session: S, name: str, part: Callable[[int], None]) -> Line:
        """Plays one and returns its line, without what identifies it; ``part`` gets how much is done."""

    @abstractmethod
    def more(self, session: S) -> Mapping[str, Any]:
        """What else run.json says."""

    def run(self) -> None:
        """Plays what ``out`` has no answers for yet. Raises TinyswitchError; Interrupted on Ctrl-C."""
        with Journal(self._out / "results.jsonl") as journal:
            try:
                self._resume(journal)
                self._play(journal)
            except KeyboardInterrupt:
                raise Interrupted(len(self.lines), len(self._items), str(self._out)) from None

    def note(self, text: str) -> None:
        """A line for the user on what went wrong and was mended."""
        self.console.print(text, style="yellow", highlight=False, soft_wrap=True)

    def _resume(self, journal: Journal) -> None:
        """Takes over what an earlier run of the same kind left."""
        earlier = journal.read()
        if earlier:
            self.facts = facts_of(self._out, self._identity, "missing or damaged")
        wanted = {(item.name, item.digest) for item in self._items}
        for line in earlier:
            if (line.get("recording"), line.get("samples")) in wanted:
                self.lines[line["recording"]] = line

    def _play(self, journal: Journal) -> None:
        missing = [item for item in self._items if item.name not in self.lines]
        if self.lines:
            self.note(f"{len(self.lines)} of {len(self._items)} recordings are answered already")
        if not missing:
            return
        self._prepare()
        total = sum(item.size for item in self._items)
        done = total - sum(item.size for item in missing)
        with bars(self.console) as progress, ExitStack() as stack:
            bar = progress.add_task(self._board.label, total=total, completed=done)
            shared: S | None = None
            losses = Losses(self._board, "recordings", self._kept, self.note)
            for item in missing:
                own = self.playing(item.name)
                if own is None and shared is None:
                    shared = stack.enter_context(self._begun(self._board))

                def part(size: int, before: int = done) -> None:
                    progress.update(bar, completed=before + size)

                try:
                    line = self._played(item, own, shared, part)
                except FrameLost as error:
                    losses.add(item.name, error)
                    continue
                losses.end()
                journal.append(line)
                self.lines[item.name] = line
                done += item.size
                progress.update(bar, completed=done)

    def _played(self, item: Item, own: Board | None, shared: S | None, part: Callable[[int], None]) -> Line:
        begin = time.monotonic()
        with self._begun(own) if own else nullcontext(shared) as session:
            found = self.one(session, item.name, part)
        seconds = round(time.monotonic() - begin, 3)
        return {"recording": item.name, "samples": item.digest, **found, "seconds": seconds}

    @contextmanager
    def _begun(self, board: Board) -> Iterator[S]:
        """A session; run.json is written once the board has said what it is."""
        with self.session(board) as session:
            if not self.facts:
                said = facts(self._board, session.info)
                self.facts = {**self._identity, **said, **self.more(session)}
                write_json(self._out / "run.json", self.facts)
            yield session

    def _kept(self) -> str:
        return f"{len(self.lines)} are kept in {self._out}"
