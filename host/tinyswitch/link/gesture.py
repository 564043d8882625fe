"""Commands of the application "gesture": docs/link.md from GESTURE to MOTION."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.link.channel import Request
from tinyswitch.link.client import Client
from tinyswitch.link.errors import LinkError
from tinyswitch.link.messages import Cursor, Type, name_of

APP = "gesture"
SOURCES = ("off", "sensor", "link")
SENSOR_STATES = ("off", "on", "none", "silent", "stuck")
UNCERTAIN = 255  # in place of a class
MOST_SMOOTHING = 16  # windows
KEPT_RESULTS = 64
KEPT_SAMPLES = 512
PUSH_SAMPLES = 180  # of a frame, at most
SAMPLE = np.dtype("<i2")


@dataclass(frozen=True)
class GestureEntry:
    """How an entry of the model table wants its samples, and what its answers mean."""

    index: int
    rate_mhz: int  # samples in 1000 s
    samples: int  # of a window
    log2_length: int  # of the features' transform
    step: int  # samples from the beginning of a window to that of the next
    features: tuple[int, ...]  # indices, in the order of the model's input
    classes: tuple[str, ...]

    @classmethod
    def unpack(cls, payload: bytes) -> GestureEntry:
        cursor = Cursor(payload)
        index, rate, samples, log2_length, step, n = cursor.take("<HIHBHB")
        features = cursor.take(f"<{n}B")
        (classes,) = cursor.take("<B")
        names = tuple(cursor.string() for _ in range(classes))
        return cls(index, rate, samples, log2_length, step, features, names)


@dataclass(frozen=True)
class Recognised:
    """What the board made of a window."""

    first: int  # number of its first sample
    entry: int  # that answered
    answer: int  # class, or UNCERTAIN
    feature_ticks: int
    inference_ticks: int
    raw: tuple[int, ...]  # probability of each class in 1/256
    smoothed: tuple[int, ...]  # the mean of the last windows in 1/65536


@dataclass(frozen=True)
class Results:
    """Answer to RESULTS."""

    count: int  # results so far
    samples: int  # so far
    entry: int  # in use
    source: str  # one of SOURCES
    sensor: str  # one of SENSOR_STATES
    sensor_rate_mhz: int  # samples in 1000 s that the sensor takes now
    sensor_lost: int  # samples that it dropped; this and what follows since start-up
    sensor_errors: int  # transfers on its bus that failed
    sensor_restarts: int
    stack_peak: int  # deepest use of the stack, bytes
    rx_lost: int  # bytes that the receiver lost
    first: int  # number of the first of `results`
    results: tuple[Recognised, ...]

    @classmethod
    def unpack(cls, payload: bytes) -> Results:
        cursor = Cursor(payload)
        count, samples, entry, source, sensor = cursor.take("<IIHBB")
        rate, lost, errors, restarts, stack, rx_lost, first, classes = cursor.take("<7IB")
        size = 14 + 3 * classes
        found = tuple(_recognised(cursor, classes) for _ in range(len(cursor.rest()) // size))
        names = (name_of(SOURCES, source), name_of(SENSOR_STATES, sensor))
        return cls(count, samples, entry, *names, rate, lost, errors, restarts, stack, rx_lost, first, found)


def _recognised(cursor: Cursor, classes: int) -> Recognised:
    fields = cursor.take("<IBBII")
    pairs = [cursor.take("<BH") for _ in range(classes)]
    return Recognised(*fields, tuple(raw for raw, _ in pairs), tuple(mean for _, mean in pairs))


@dataclass(frozen=True)
class Pushed:
    """Answer to PUSH."""

    samples: int  # so far
    entry: int  # in use now
    rate_mhz: int  # of that


class Gestures:
    """The commands, over ``client``; errors as there."""

    def __init__(self, client: Client):
        self._client = client

    def entry(self, index: int) -> GestureEntry:
        """How entry ``index`` of the model table wants its samples."""
        return GestureEntry.unpack(self._client.send((Type.GESTURE, struct.pack("<H", index))))

    def smoothing(self, windows: int = 3, threshold: float = 0.6) -> None:
        """An answer is the mean of so many windows, uncertain if no class is as likely as ``threshold``."""
        if not 1 <= windows <= MOST_SMOOTHING or not 0 <= threshold < 1:
            raise TinyswitchError(
                f"smoothing over {windows} windows with a threshold of {threshold}; there are 1 to "
                f"{MOST_SMOOTHING} windows and thresholds from 0 to below 1"
            )
        self._client.send((Type.SMOOTHING, struct.pack("<BH", windows, threshold_steps(threshold))))

    def source(self, name: str) -> None:
        """Where samples come from, from now on: one of SOURCES. Samples and results are forgotten."""
        self._client.send((Type.SOURCE, bytes([SOURCES.index(name)])))

    def push(self, samples: np.ndarray, rate_mhz: int) -> Pushed:
        """Hands over samples, (n, 3) int16, n up to PUSH_SAMPLES."""
        return Pushed(*struct.unpack("<IHI", self._client.send(push(samples, rate_mhz))))

    def results(self, first: int = 0) -> Results:
        """Results from number ``first`` on, as many as one frame holds."""
        return Results.unpack(self._client.send((Type.RESULTS, struct.pack("<I", first))))

    def motion(self, first: int = 0) -> tuple[int, np.ndarray]:
        """Samples from number ``first`` on, as many as a frame holds: number of the first, (n, 3) int16."""
        payload = self._client.send((Type.MOTION, struct.pack("<I", first)))
        cursor = Cursor(payload)
        number, _ = cursor.take("<II")
        rest = cursor.rest()
        if len(rest) % 6:
            raise LinkError(f"answer of {len(payload)} bytes holds no whole samples; build again")
        return number, np.frombuffer(rest, SAMPLE).reshape(-1, 3)


def push(samples: np.ndarray, rate_mhz: int) -> Request:
    """PUSH; see Gestures.push."""
    if samples.ndim != 2 or samples.shape[1] != 3 or samples.dtype != np.int16:
        raise ValueError(f"samples are {samples.dtype} {samples.shape}")
    if not 1 <= len(samples) <= PUSH_SAMPLES:
        raise ValueError(f"{len(samples)} samples; a frame holds 1 to {PUSH_SAMPLES}")
    return Type.PUSH, struct.pack("<I", rate_mhz) + samples.astype(SAMPLE).tobytes()


def threshold_steps(threshold: float) -> int:
    """A probability in 1/65536."""
    return round(threshold * 65536)
