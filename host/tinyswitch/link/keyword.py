"""Commands of the application "keyword": docs/link.md from KEYWORD to FEATURES."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.link.channel import Request
from tinyswitch.link.client import Client
from tinyswitch.link.errors import LinkError
from tinyswitch.link.messages import Cursor, Type, name_of

APP = "keyword"
SOURCES = ("off", "microphones", "link")
MICROPHONES = ("off", "on", "none", "silent")
KEPT_ANSWERS = 128
KEPT_DETECTIONS = 64
KEPT_ROWS = 64
SOUND_SAMPLES = 540  # of a frame, at most
SAMPLE = np.dtype("<i2")


@dataclass(frozen=True)
class KeywordEntry:
    """How an entry of the model table looks at sound, and what its answers mean."""

    index: int
    rate_hz: int
    window_samples: int  # that a row of features looks at
    row_samples: int  # from a row to the next
    rows: int  # of a window
    channels: int  # features of a row
    step: int  # rows from a window to the next
    streams: bool  # computes only what is new of a window
    first_word: int  # classes from this one on are words, those before are never detected
    classes: tuple[str, ...]

    @classmethod
    def unpack(cls, payload: bytes) -> KeywordEntry:
        cursor = Cursor(payload)
        index, rate, window, row, rows, channels, step = cursor.take("<HIHHHHH")
        streams, first_word, classes = cursor.take("<BBB")
        names = tuple(cursor.string() for _ in range(classes))
        return cls(index, rate, window, row, rows, channels, step, bool(streams), first_word, names)


@dataclass(frozen=True)
class Answered:
    """What the board made of a window."""

    row: int  # its first
    entry: int  # that answered
    answer: int  # class, by the mean
    feature_ticks: int  # since the answer before
    inference_ticks: int
    rows_crc: int  # CRC-32 of all rows so far, the window's last one included
    raw: tuple[int, ...]  # probability of each class in 1/256
    mean: tuple[int, ...]  # over the last answers in 1/65536


@dataclass(frozen=True)
class Scores:
    """Answer to SCORES."""

    count: int  # answers so far
    detections: int  # so far
    rows: int  # so far
    samples: int  # so far
    entry: int  # in use
    source: str  # one of SOURCES
    microphones: str  # one of MICROPHONES
    samples_lost: int  # because they were not fetched in time; this and the next since start-up
    codec_retries: int  # tries to reach a codec that did not answer
    longest_fetch: int  # most ticks between two fetches of samples since LISTEN
    stack_peak: int  # deepest use of the stack since start-up, bytes
    rx_lost: int  # bytes that the receiver lost since start-up
    level: int  # permille: the loudest sample of the last 100 ms; 100 less is half as loud
    cpu: int  # permille of the processor in use over the last second
    first: int  # number of the first of `answers`
    answers: tuple[Answered, ...]

    @classmethod
    def unpack(cls, payload: bytes) -> Scores:
        cursor = Cursor(payload)
        counts = cursor.take("<IIII")
        entry, source, microphones = cursor.take("<HBB")
        rest = cursor.take("<IIIIIHHIB")
        *rest, classes = rest
        size = 18 + 3 * classes
        found = tuple(_answered(cursor, classes) for _ in range(len(cursor.rest()) // size))
        names = (name_of(SOURCES, source), name_of(MICROPHONES, microphones))
        return cls(*counts, entry, *names, *rest, found)


def _answered(cursor: Cursor, classes: int) -> Answered:
    fields = cursor.take("<IBBIII")
    pairs = [cursor.take("<BH") for _ in range(classes)]
    return Answered(*fields, tuple(raw for raw, _ in pairs), tuple(mean for _, mean in pairs))


@dataclass(frozen=True)
class Detected:
    """A word that the board has detected."""

    number: int  # of the answer
    last_row: int  # of its window
    entry: int  # that answered
    word: int  # class
    mean: int  # in 1/65536


@dataclass(frozen=True)
class Detections:
    """Answer to DETECTIONS."""

    count: int  # so far
    first: int  # number of the first of `detections`
    detections: tuple[Detected, ...]

    @classmethod
    def unpack(cls, payload: bytes) -> Detections:
        cursor = Cursor(payload)
        count, first = cursor.take("<II")
        found = tuple(Detected(*cursor.take("<IIBBH")) for _ in range(len(cursor.rest()) // 12))
        return cls(count, first, found)


@dataclass(frozen=True)
class Detector:
    """How words are detected; the values are a board's own until others are set."""

    average_ms: int = 500  # of answers that are averaged
    threshold: float = 0.6  # mean probability that a detection needs
    suppression_ms: int = 1500  # before the same word is detected again
    minimum: int = 2  # answers that the mean must be of

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("average", self.average_ms, 1, 2000),
            ("suppression", self.suppression_ms, 0, 0xFFFF),
            ("minimum", self.minimum, 1, 100),
            ("threshold", self.threshold, 0.0, 1.0),
        ):
            if not least <= value <= most:
                raise TinyswitchError(f"detector: {name} {value}; it is from {least} to {most}")

    @property
    def threshold_steps(self) -> int:
        """The threshold in 1/65536."""
        return min(round(self.threshold * 65536), 0xFFFF)

    def pack(self) -> bytes:
        return struct.pack("<HHHB", self.average_ms, self.threshold_steps, self.suppression_ms, self.minimum)


@dataclass(frozen=True)
class Sounded:
    """Answer to SOUND: what there is so far."""

    samples: int
    rows: int
    answers: int


class Keywords:
    """The commands, over ``client``; errors as there."""

    def __init__(self, client: Client):
        self._client = client

    def entry(self, index: int) -> KeywordEntry:
        """How entry ``index`` of the model table looks at sound."""
        return KeywordEntry.unpack(self._client.send((Type.KEYWORD, struct.pack("<H", index))))

    def detector(self, detector: Detector) -> None:
        """Detects like this from now on."""
        self._client.send((Type.DETECTOR, detector.pack()))

    def listen(self, source: str) -> None:
        """Where sound comes from, from now on: one of SOURCES. What was heard before is forgotten."""
        self._client.send((Type.LISTEN, bytes([SOURCES.index(source)])))

    def sound(self, samples: np.ndarray) -> Sounded:
        """Hands over samples, (n,) int16 at 16 kHz, n up to SOUND_SAMPLES."""
        return Sounded(*struct.unpack("<III", self._client.send(sound(samples))))

    def scores(self, first: int = 0) -> Scores:
        """Answers from number ``first`` on, as many as one frame holds."""
        return Scores.unpack(self._client.send((Type.SCORES, struct.pack("<I", first))))

    def detections(self, first: int = 0) -> Detections:
        """Detections from number ``first`` on, as many as one frame holds."""
        return Detections.unpack(self._client.send((Type.DETECTIONS, struct.pack("<I", first))))

    def features(self, channels: int, first: int = 0) -> tuple[int, np.ndarray]:
        """Rows from number ``first`` on, as many as a frame holds: the first's number, (n, channels) int8."""
        payload = self._client.send((Type.FEATURES, struct.pack("<I", first)))
        cursor = Cursor(payload)
        _, number = cursor.take("<II")
        rest = cursor.rest()
        if len(rest) % channels:
            raise LinkError(f"answer of {len(payload)} bytes holds no whole rows; build again")
        return number, np.frombuffer(rest, np.int8).reshape(-1, channels)


def sound(samples: np.ndarray) -> Request:
    """SOUND; see Keywords.sound."""
    if samples.ndim != 1 or samples.dtype != np.int16:
        raise ValueError(f"samples are {samples.dtype} {samples.shape}")
    if not 1 <= len(samples) <= SOUND_SAMPLES:
        raise ValueError(f"{len(samples)} samples; a frame holds 1 to {SOUND_SAMPLES}")
    return Type.SOUND, samples.astype(SAMPLE).tobytes()
