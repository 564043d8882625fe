"""What a board hears, live in the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tinyswitch.features.frontend import RATE, STEP, WINDOW
from tinyswitch.link.keyword import SOUND_SAMPLES, Answered, Detected, Keywords, Scores

PAUSE_S = 0.1  # between two looks at the board: the display moves that often
BAR = 30  # characters
FULL = 65536  # of a mean


@dataclass
class Listener:
    """A board that listens, and a console that says what it hears.

    ``classes`` are the model's, ``nets`` the names of the entries of the board's table. ``sound``, (n,)
    int16, goes over the link as fast as it is spoken, and listening ends with it; None: the microphones.
    """

    keywords: Keywords
    classes: Sequence[str]
    nets: Sequence[str]
    console: Console
    sound: np.ndarray | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    detected: int = 0  # so far
    _answers: int = 0
    _samples: int = 0
    _state: str = "on"
    _latest: Answered | None = field(default=None, init=False)

    def run(self, seconds: float | None = None, samples: int | None = None) -> None:
        """Prints each detection as it comes: until ``seconds`` have passed, ``samples`` are heard, or Ctrl-C.

        On a terminal the scores, the level, the net and the processor's load are shown, too.
        """
        self.keywords.listen("microphones" if self.sound is None else "link")
        samples = samples if self.sound is None else len(self.sound)
        begin = self.clock()
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            try:
                while True:
                    passed = self.clock() - begin
                    self._speak(passed)
                    now = self._look()
                    if self.console.is_terminal:
                        live.update(self._picture(now), refresh=True)
                    if samples is not None and now.samples >= samples:
                        return
                    if seconds is not None and passed >= seconds:
                        return
                    self.sleep(PAUSE_S)
            except KeyboardInterrupt:
                return  # that is how one ends it

    def _speak(self, passed: float) -> None:
        """Sends what would have been spoken by now."""
        if self.sound is None:
            return
        until = min(len(self.sound), round(passed * RATE))
        while self._samples < until:
            end = min(self._samples + SOUND_SAMPLES, until)
            self.keywords.sound(self.sound[self._samples : end])
            self._samples = end

    def _look(self) -> Scores:
        """What is new; detections are printed."""
        now = self.keywords.scores(self._answers)
        while now.answers:
            self._latest, self._answers = now.answers[-1], now.first + len(now.answers)
            if self._answers >= now.count:
                break
            now = self.keywords.scores(self._answers)
        if self.sound is None and now.microphones != self._state:
            self._state = now.microphones
            self._say(f"microphones: {_STATES.get(now.microphones, now.microphones)}")
        while self.detected < now.detections:
            new = self.keywords.detections(self.detected)
            for found in new.detections:
                self._say(self._text(found))
            self.detected = new.first + len(new.detections)
        return now

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def _text(self, found: Detected) -> str:
        seconds = (found.last_row * STEP + WINDOW) / RATE
        word, net = self.classes[found.word], self._net(found.entry)
        return f"{seconds:8.2f} s  {word} {found.mean / FULL:.0%}  ({net})"

    def _net(self, entry: int) -> str:
        return self.nets[entry] if entry < len(self.nets) else f"entry {entry}"

    def _picture(self, now: Scores) -> Table:
        table = Table(title=f"{now.samples / RATE:.1f} s heard, {self.detected} detected", show_header=False)
        for name, mean in zip(self.classes, self._latest.mean if self._latest else (), strict=False):
            table.add_row(name, _bar(mean / FULL), f"{mean / FULL:.0%}")
        table.add_section()
        table.add_row("level", _bar(now.level / 1000), "")
        table.add_row("net", self._net(now.entry), "")
        table.add_row("processor", _bar(now.cpu / 1000), f"{now.cpu / 10:.1f} %")
        return table


_STATES = {"on": "codec answers again", "silent": "codec does not answer", "none": "there are none"}


def _bar(share: float) -> str:
    return "█" * round(BAR * min(1.0, share))
