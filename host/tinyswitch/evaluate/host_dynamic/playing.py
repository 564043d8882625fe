"""Images answered batch by batch, each batch by the model that a policy chooses for what there is then."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Protocol

from tinyswitch.evaluate.host_dynamic.answering import Answer, Answering
from tinyswitch.evaluate.host_dynamic.monitor import Monitor, Reading
from tinyswitch.evaluate.host_dynamic.options import HostOption
from tinyswitch.evaluate.images import Dataset, Entry
from tinyswitch.evaluate.journal import Journal

SMALLEST_SHARE = 1e-3  # of a core: with less, an inference takes a thousand times as long, not for ever
SHOWN = 10  # images whose answers are kept to be shown
RECENT = 8  # inferences of which the share of the processor is known
MARKED = 0.05  # what changes by less is not named as the cause of a switch


@dataclass(frozen=True)
class Chosen:
    """What a policy decided."""

    option: int
    reason: str
    fits: bool = True


class Chooser(Protocol):
    """A policy at work."""

    keep: tuple[int, ...]  # options that have to stay in memory beside the one in use

    def choose(self, reading: Reading) -> Chosen:
        """The option for the next batch."""

    def again(self, option: int, answer: Answer, elapsed: float) -> int | None:
        """Who is to look again at an image that ``option`` answered; None: the answer stands.

        ``elapsed``: seconds that the image has taken so far.
        """


@dataclass
class Played:
    """What came of one policy."""

    name: str
    frames: int = 0
    right: int = 0
    labelled: int = 0
    misses: int = 0
    unfit: int = 0  # frames in which not even the smallest model fitted
    switches: int = 0
    load_seconds: list[float] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    answers: list[tuple[Entry, str, Answer]] = field(default_factory=list)  # image, model

    def note(
        self, entry: Entry, model: str, answer: Answer, right: bool | None, missed: bool, fits: bool
    ) -> None:
        """Counts one image."""
        self.frames += 1
        self.used[model] += 1
        self.right += bool(right)
        self.labelled += right is not None
        self.misses += missed
        self.unfit += not fits
        if len(self.answers) < SHOWN:
            self.answers.append((entry, model, answer))

    def summary(self, names: Sequence[str]) -> dict[str, Any]:
        """Its entry in ``summary.json``, ``names`` being those of the models."""
        return {
            "accuracy": self.right / self.labelled if self.labelled else None,
            "deadline_misses": self.misses,
            "switches": self.switches,
            "frames": self.frames,
            "share": {name: self.used[name] / self.frames for name in names},
            "unfit": self.unfit,
            "load_ms": median(self.load_seconds) * 1e3 if self.load_seconds else None,
        }


class Player:
    """Plays images to one policy."""

    def __init__(
        self,
        name: str,
        chooser: Chooser,
        options: Sequence[HostOption],
        monitor: Monitor,
        answering: Answering,
        journal: Journal,
        say: Callable[[str], None],
    ):
        """``journal`` gets a line for each answer and each switch, ``say`` a line for each switch."""
        self.played = Played(name)
        self._chooser, self._options, self._monitor = chooser, options, monitor
        self._answering, self._journal, self._say = answering, journal, say
        self._keep = [options[place].path for place in chooser.keep]
        self._recent: deque[Answer] = deque(maxlen=RECENT)
        self._present: int | None = None  # option
        self._then: Reading | None = None  # when it was chosen

    def play(self, dataset: Dataset, batch: int, advance: Callable[[int], None]) -> Played:
        """Answers all images, ``batch`` of them between two decisions."""
        graded = not dataset.mismatch(self._options[0].classes)
        for start in range(0, len(dataset), batch):
            entries = dataset.entries[start : start + batch]
            reading = self._monitor.read(start, self._held(), self._got())
            chosen = self._chooser.choose(reading)
            self._switch(start, chosen, reading)
            answers = self._answer(chosen.option, entries)
            for number, (entry, answer) in enumerate(zip(entries, answers, strict=True), start):
                self._finish(number, entry, graded, chosen, answer, reading)
            advance(len(entries))
        return self.played

    def _held(self) -> int:
        """Bytes that the workers' models take."""
        if self._present is None:
            return 0
        return self._answering.count * self._options[self._present].ram_bytes

    def _got(self) -> float:
        """Share of a core that the last inferences got."""
        seconds = sum(answer.seconds for answer in self._recent)
        return sum(answer.cpu_seconds for answer in self._recent) / seconds if seconds else 0.0

    def _answer(self, option: int, entries: Sequence[Entry]) -> list[Answer]:
        images = [entry.path for entry in entries]
        answers = self._answering.answer(self._options[option].path, images, self._keep)
        self._recent.extend(answers)
        return answers

    def _switch(self, frame: int, chosen: Chosen, reading: Reading) -> None:
        if chosen.option == self._present:
            return
        if self._present is not None and self._then is not None:
            change = {
                "frame": frame,
                "from": self._options[self._present].name,
                "to": self._options[chosen.option].name,
                "reason": chosen.reason,
                "changed": changes(self._then, reading),
            }
            self.played.switches += 1
            self._journal.append({"event": "switch", "policy": self.played.name, **change})
            self._say(
                f"{self.played.name}: image {frame}: {change['from']} -> {change['to']} ({chosen.reason};"
                f" {change['changed']})"
            )
        self._present, self._then = chosen.option, reading

    def _finish(
        self, number: int, entry: Entry, graded: bool, chosen: Chosen, answer: Answer, reading: Reading
    ) -> None:
        """Asks again where the policy wants to, and notes what came of it."""
        option, elapsed = chosen.option, 0.0
        while True:
            elapsed += self._elapsed(answer, reading)
            if answer.load_seconds is not None:
                self.played.load_seconds.append(answer.load_seconds)
            more = self._chooser.again(option, answer, elapsed)
            if more is None:
                break
            option = more
            [answer] = self._answer(option, [entry])
        name = self._options[option].name
        missed = reading.deadline_s is not None and elapsed > reading.deadline_s
        right = answer.top5[0][0] == entry.label if graded and entry.label is not None else None
        self.played.note(entry, name, answer, right, missed, chosen.fits)
        self._journal.append(
            {
                "event": "answer",
                "policy": self.played.name,
                "image": entry.name,
                "label": entry.label,
                "model": name,
                "top5": answer.top5,
                "ms": elapsed * 1e3,
                "missed": missed,
                "fits": chosen.fits,
                "budget": asdict(reading),
                "number": number,
            }
        )

    def _elapsed(self, answer: Answer, reading: Reading) -> float:
        """Seconds from begin to end; where the load is only played, as if it were there."""
        if self._monitor.real:
            return answer.seconds
        return answer.cpu_seconds / max(reading.cpu, SMALLEST_SHARE)


def changes(before: Reading, after: Reading) -> str:
    """What is not as it was, for people."""
    found = []
    if abs(after.cpu - before.cpu) >= MARKED:
        found.append(f"CPU {before.cpu:.0%} -> {after.cpu:.0%}")
    if abs(after.ram_bytes - before.ram_bytes) >= MARKED * before.ram_bytes:
        found.append(f"free RAM {before.ram_bytes / 1e6:,.1f} -> {after.ram_bytes / 1e6:,.1f} MB")
    for name, unit, old, new in (
        ("deadline", " ms", before.deadline_s, after.deadline_s),
        ("battery", " %", before.battery, after.battery),
    ):
        scale = 1000 if name == "deadline" else 100
        if old != new:
            texts = ["none" if value is None else f"{value * scale:.3g}{unit}" for value in (old, new)]
            found.append(f"{name} {texts[0]} -> {texts[1]}")
    return ", ".join(found) or "nothing changed since the last switch"
