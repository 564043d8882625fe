"""Recordings reach a board: over the link, or through the sensor of a virtual one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import serial

from tinyswitch.boards.board import Board
from tinyswitch.evaluate.gesture.reference import SMOOTHING, THRESHOLD
from tinyswitch.evaluate.session import AppSession
from tinyswitch.gestures.table import Entry, rate_mhz
from tinyswitch.link import Client, LinkError, LinkLost
from tinyswitch.link.gesture import APP, PUSH_SAMPLES, Gestures, Recognised, Results

FIRST_PAUSE_S = 0.1  # between two looks at what a sensor has given ...
LAST_PAUSE_S = 2.0  # ... doubling up to this: answering takes time that an emulator could play in
PATIENCE_S = 60.0  # without a sample: the sensor doesn't answer


@dataclass(frozen=True)
class Played:
    """What a board made of a recording."""

    windows: tuple[Recognised, ...]
    last: Results  # the last answer, for what it says of the board


class GestureSession(AppSession):
    """A session with a board whose firmware is the gesture application."""

    def __init__(
        self,
        board: Board,
        model_id: int,
        entry: Entry,
        note: Callable[[str], None],
        client: Callable[[serial.Serial], Client] = Client,
    ):
        super().__init__(board, APP, model_id, entry.name, note, client)
        self._entry = entry

    def push(self, samples: np.ndarray) -> Played:
        """Sends a recording's samples; raises as ``infer``."""
        return self._repeat(lambda: self._push(samples))

    def listen(self, windows: int) -> Played:
        """Takes what the sensor gives until so many windows are answered; raises as ``infer``."""
        return self._repeat(lambda: self._listen(windows))

    def _set_up(self) -> None:
        super()._set_up()
        self._gestures = Gestures(self._client)
        self._gestures.smoothing(SMOOTHING, THRESHOLD)

    def _push(self, samples: np.ndarray) -> Played:
        self._gestures.source("link")
        windows: list[Recognised] = []
        for at in range(0, len(samples), PUSH_SAMPLES):
            part = samples[at : at + PUSH_SAMPLES]
            pushed = self._gestures.push(part, rate_mhz(self._entry.rate))
            if pushed.samples != at + len(part):
                raise LinkError(f"{self._board.name}: {pushed.samples} samples, {at + len(part)} were sent")
            last = self._collect(windows)
        return Played(tuple(windows), last)

    def _listen(self, wanted: int) -> Played:
        self._gestures.source("sensor")
        windows: list[Recognised] = []
        samples, until, pause = 0, time.monotonic() + PATIENCE_S, FIRST_PAUSE_S
        while True:
            time.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_S)
            last = self._collect(windows)
            if len(windows) >= wanted:
                self._gestures.source("off")
                return Played(tuple(windows[:wanted]), last)
            if last.samples > samples:
                samples, until = last.samples, time.monotonic() + PATIENCE_S
            elif time.monotonic() > until:
                raise LinkLost(
                    f"{self._board.name}: no sample for {PATIENCE_S:g} s, the sensor: {last.sensor}"
                )

    def _collect(self, windows: list[Recognised]) -> Results:
        """Appends the results that there are by now."""
        while True:
            found = self._gestures.results(len(windows))
            if found.first != len(windows) and found.results:
                raise LinkError(f"{self._board.name}: results {len(windows)} to {found.first - 1} are gone")
            windows += found.results
            if len(windows) >= found.count or not found.results:
                return found


def agree(found: Sequence[Recognised], expected: Sequence[object]) -> list[bool]:
    """Of each expected window, whether the board's answer is the same to the last bit."""
    return [
        i < len(found)
        and (found[i].first, found[i].answer, found[i].raw, found[i].smoothed)
        == (e.first, e.answer, e.raw, e.smoothed)
        for i, e in enumerate(expected)
    ]
