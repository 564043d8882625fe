"""Recordings reach a board: over the link, or through the microphones of a virtual one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import serial

from tinyswitch.boards.board import Board
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.session import AppSession
from tinyswitch.link import Client, LinkError, LinkLost
from tinyswitch.link.keyword import (
    APP,
    KEPT_ANSWERS,
    SOUND_SAMPLES,
    Answered,
    Detected,
    Detector,
    KeywordEntry,
    Keywords,
    Scores,
)

FRAMES = 40  # of sound, between two looks at what was answered: more answers are kept
PAUSE_S = (
    0.1  # between two looks at what the microphones have given: a virtual board plays some seconds meanwhile
)
PATIENCE_S = 60.0  # without a sample: the board hangs
CODEC_PATIENCE_S = 10.0  # a codec that does not answer is tried again each second

Part = Callable[[int], None]  # is told how many samples are done


@dataclass(frozen=True)
class Played:
    """What a board made of a recording."""

    answers: tuple[Answered, ...]
    detections: tuple[Detected, ...]
    last: Scores  # the last answer, for what it says of the board


class KeywordSession(AppSession):
    """A session with a board whose firmware is the keyword application."""

    keywords: Keywords
    entry: KeywordEntry

    def __init__(
        self,
        board: Board,
        model_id: int,
        name: str,
        detector: Detector,
        note: Callable[[str], None],
        client: Callable[[serial.Serial], Client] = Client,
    ):
        super().__init__(board, APP, model_id, name, note, client)
        self._detector = detector

    def push(self, samples: np.ndarray, part: Part) -> Played:
        """Sends a recording's samples; raises as ``infer``."""
        return self._repeat(lambda: self._push(samples, part))

    def listen(self, samples: int, part: Part) -> Played:
        """Takes what the microphones give until so many samples are heard; raises as ``infer``."""
        return self._repeat(lambda: self._listen(samples, part))

    def _set_up(self) -> None:
        super()._set_up()
        self.keywords = Keywords(self._client)
        self.entry = self.keywords.entry(self.model.index)
        self.keywords.detector(self._detector)

    def _push(self, samples: np.ndarray, part: Part) -> Played:
        self.keywords.listen("link")
        found = _Found(self._board.name, self.keywords)
        for at in range(0, len(samples), FRAMES * SOUND_SAMPLES):
            for begin in range(at, min(at + FRAMES * SOUND_SAMPLES, len(samples)), SOUND_SAMPLES):
                self.keywords.sound(samples[begin : begin + SOUND_SAMPLES])
            last = found.collect()
            part(last.samples)
        if last.samples != len(samples):
            raise LinkError(f"{self._board.name}: {last.samples} samples, {len(samples)} were sent")
        return found.played(last)

    def _listen(self, wanted: int, part: Part) -> Played:
        self.keywords.listen("microphones")
        found = _Found(self._board.name, self.keywords)
        samples = 0
        moved = answered = time.monotonic()
        while True:
            time.sleep(PAUSE_S)
            last = found.collect()
            part(min(last.samples, wanted))
            if last.samples >= wanted:
                self.keywords.listen("off")
                return found.played(last)
            now = time.monotonic()
            answered = answered if last.microphones == "silent" else now
            if now - answered > CODEC_PATIENCE_S:
                raise TinyswitchError(
                    f"{self._board.name}: the codec of its microphones does not answer; connect it, or give "
                    "--source link"
                )
            if last.samples > samples:
                samples, moved = last.samples, now
            elif now - moved > PATIENCE_S:
                raise LinkLost(
                    f"{self._board.name}: no sample for {PATIENCE_S:g} s, the microphones: {last.microphones}"
                )


class _Found:
    """What a board has answered and detected since it listens."""

    def __init__(self, board: str, keywords: Keywords):
        self._board, self._keywords = board, keywords
        self._answers: list[Answered] = []
        self._detections: list[Detected] = []

    def collect(self) -> Scores:
        """Takes what there is by now."""
        while True:
            last = self._keywords.scores(len(self._answers))
            self._extend(self._answers, last.answers, last.first, "answers")
            if not last.answers or len(self._answers) >= last.count:
                break
        while len(self._detections) < last.detections:
            more = self._keywords.detections(len(self._detections))
            self._extend(self._detections, more.detections, more.first, "detections")
            if not more.detections:
                break
        return last

    def _extend(self, known: list, found: tuple, first: int, what: str) -> None:
        if found and first != len(known):
            raise LinkError(
                f"{self._board}: {what} {len(known)} to {first - 1} are gone: "
                f"it keeps {KEPT_ANSWERS} answers and was not asked in time"
            )
        known += found

    def played(self, last: Scores) -> Played:
        return Played(tuple(self._answers), tuple(self._detections), last)
