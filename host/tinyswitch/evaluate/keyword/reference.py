"""What the host makes of a recording: features by the firmware's C, the model under LiteRT, the detector."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyswitch.evaluate import reference
from tinyswitch.evaluate.reference import decode, digest
from tinyswitch.features.frontend import ROWS, STEP, WINDOW, Frontend
from tinyswitch.link.keyword import Answered, Detector
from tinyswitch.link.keyword import Detected as BoardDetected

ROW_MS = 1000 * STEP // 16000
MOST_AVERAGED = 64  # answers
LATEST = 1280  # samples that a board hears before a recording begins, at most
LIKELY = 80  # 5 ms: what a codec takes to begin
SURE_ROWS = 25  # of sound: no two places fit


@dataclass(frozen=True)
class Answer:
    """To one window, as integers: what a board must say, too."""

    row: int  # its first
    answer: int  # class, by the mean
    rows_crc: int  # CRC-32 of all rows so far
    raw: tuple[int, ...]  # probabilities in 1/256
    mean: tuple[int, ...]  # over the last answers in 1/65536

    @classmethod
    def of(cls, found: Answered) -> Answer:
        """The board's."""
        return cls(found.row, found.answer, found.rows_crc, found.raw, found.mean)

    @property
    def last_row(self) -> int:
        return self.row + ROWS - 1


@dataclass(frozen=True)
class Detected:
    """A word that is detected."""

    number: int  # of the answer
    last_row: int  # of its window
    word: int  # class
    mean: int  # in 1/65536

    @classmethod
    def of(cls, found: BoardDetected) -> Detected:
        """The board's."""
        return cls(found.number, found.last_row, found.word, found.mean)


@dataclass(frozen=True)
class Expected:
    """Of one recording: what a board that hears it answers and detects."""

    answers: tuple[Answer, ...]
    detections: tuple[Detected, ...]


def features(samples: np.ndarray, before: int) -> np.ndarray:
    """Rows (n, 40) int8 of a board that has heard ``before`` samples of silence first."""
    return Frontend().rows(np.concatenate([np.zeros(before, np.int16), samples]))


def crcs(rows: np.ndarray, start: int = 0) -> list[int]:
    """CRC-32 of all rows up to each; ``start`` is that of the rows before."""
    found = []
    for row in rows:
        start = zlib.crc32(row.tobytes(), start)
        found.append(start)
    return found


def heard_before(samples: np.ndarray, answers: Iterable[tuple[int, int]]) -> int | None:
    """How many samples of silence a board heard before ``samples``, to the sample; None: it is not so.

    ``answers`` has, of windows in order, the last row and the CRC of all rows so far. The first ones that
    can only be of ``samples`` decide; a recording of nothing but silence is heard at once.
    """
    sounding = np.flatnonzero(samples)
    if not len(sounding):
        return 0
    skipped = max(0, int(sounding[0]) - WINDOW) // STEP  # rows of silence, however late it begins
    silent = Frontend().rows(np.zeros(WINDOW, np.int16))
    wanted = _decisive(answers, silent[0], (int(sounding[0]) + LATEST) // STEP)
    if wanted is None:
        return None
    last_row, crc = wanted
    start = crcs(np.repeat(silent, skipped, 0))[-1] if skipped else 0
    needed = samples[skipped * STEP : (last_row + 1) * STEP + WINDOW]
    for before in sorted(range(LATEST), key=lambda n: abs(n - LIKELY)):
        rows = features(needed, before)[: last_row + 1 - skipped]
        if crcs(rows, start)[-1] == crc:
            return before
    return None


def _decisive(answers: Iterable[tuple[int, int]], silent: np.ndarray, begun: int) -> tuple[int, int] | None:
    """The answer ``SURE_ROWS`` after the first one, from row ``begun`` on, of which not all rows are silent;
    else the last one; None if all are silent."""
    rows, crc = 0, 0
    first: int | None = None
    found: tuple[int, int] | None = None
    for last_row, of_rows in answers:
        for _ in range(rows, last_row + 1):
            crc = zlib.crc32(silent.tobytes(), crc)
        rows = last_row + 1
        if first is None and of_rows != crc and last_row >= begun:
            first = last_row
        if first is not None:
            found = last_row, of_rows
            if last_row >= first + SURE_ROWS:
                break
    return found


class Reference:
    """Answers of one model. A context manager: LiteRT runs in processes of its own, and is remembered.

    Raises TinyswitchError for a model that LiteRT refuses.
    """

    def __init__(self, model: Path, cache: Path, step: int, first_word: int, detector: Detector):
        """``step``: rows from a window to the next; ``first_word``: the first class that is detected."""
        self._step, self._first_word, self._detector = step, first_word, detector
        self._litert = reference.Reference(model, cache)

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        self._litert.__exit__()

    def expected(self, rows: np.ndarray, progress: Callable[[], None] = lambda: None) -> Expected:
        """Of a recording with these features; ``progress`` is called (from a thread) for each window."""
        firsts = range(0, len(rows) - ROWS + 1, self._step)
        shape = self._litert.input.shape
        frames = [rows[first : first + ROWS].reshape(shape) for first in firsts]
        keys = [digest(frame) for frame in frames]
        self._litert.start(frames, keys, progress)
        scores = [decode(self._litert.answer(key)[0], self._litert.outputs[0]).reshape(-1) for key in keys]
        raw = np.array(scores, np.int64).reshape(len(scores), -1) + 128
        return self._detected(firsts, raw, crcs(rows))

    def _detected(self, firsts: Sequence[int], raw: np.ndarray, rows_crcs: Sequence[int]) -> Expected:
        means = averages(firsts, raw, rows_of(self._detector.average_ms))
        answers = tuple(
            Answer(
                first,
                int(np.argmax(mean)),
                rows_crcs[first + ROWS - 1],
                tuple(map(int, one)),
                tuple(map(int, mean)),
            )
            for first, one, (mean, _) in zip(firsts, raw, means, strict=True)
        )
        return Expected(answers, tuple(self._detections(answers, [count for _, count in means])))

    def _detections(self, answers: Sequence[Answer], counts: Sequence[int]) -> Iterable[Detected]:
        last: Detected | None = None
        for number, (answer, count) in enumerate(zip(answers, counts, strict=True)):
            mean = answer.mean[answer.answer]
            if answer.answer < self._first_word or mean < self._detector.threshold_steps:
                continue
            if count < self._detector.minimum:
                continue
            again = last is not None and last.word == answer.answer
            if again and answer.last_row - last.last_row < rows_of(self._detector.suppression_ms):
                continue
            last = Detected(number, answer.last_row, answer.answer, mean)
            yield last


def averages(firsts: Sequence[int], raw: np.ndarray, rows: int) -> list[tuple[np.ndarray, int]]:
    """Of each window: the mean (classes,) in 1/65536 of those that end less than ``rows`` before, how many.

    ``raw`` (windows, classes): probabilities in 1/256.
    """
    found, begin = [], 0
    for i, first in enumerate(firsts):
        while first - firsts[begin] >= rows or i - begin >= MOST_AVERAGED:
            begin += 1
        count = i + 1 - begin
        found.append(((256 * raw[begin : i + 1].sum(0) + count // 2) // count, count))
    return found


def rows_of(ms: int) -> int:
    """Rows that begin in so many milliseconds."""
    return -(-ms // ROW_MS)
