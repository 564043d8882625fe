"""What host and board tell each other: docs/link.md as Python."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tinyswitch.link.errors import LinkError
from tinyswitch.switcher.policy import BATTERY_UNKNOWN, REASONS, Budget
from tinyswitch.tensor import TensorInfo


class Type(IntEnum):
    """Types of frames."""

    HELLO = 0x01
    DESCRIBE = 0x02
    SELECT = 0x03
    BEGIN = 0x04
    DATA = 0x05
    FINISH = 0x06
    READ = 0x07
    ABORT = 0x08
    SET_BAUD = 0x09
    RESET = 0x0A
    POLL = 0x0B
    PROFILE = 0x0C
    STAGES = 0x0D
    TABLE = 0x0E
    POLICY = 0x0F
    TASK = 0x10
    LIMITS = 0x11
    NEXT = 0x12
    STATUS = 0x13
    GESTURE = 0x14
    SMOOTHING = 0x15
    SOURCE = 0x16
    PUSH = 0x17
    RESULTS = 0x18
    MOTION = 0x19
    KEYWORD = 0x1A
    DETECTOR = 0x1B
    LISTEN = 0x1C
    SOUND = 0x1D
    SCORES = 0x1E
    DETECTIONS = 0x1F
    FEATURES = 0x20
    ANSWER = 0x80  # + the command's type
    BOOT = 0xC0
    LOST = 0xC1
    ERROR = 0xFF


class ErrorCode(IntEnum):
    """Codes of an ERROR frame, the ``code`` of a LinkError."""

    SESSION = 1
    VERSION = 2
    TYPE = 3
    LENGTH = 4
    MODEL = 5
    STATE = 6
    OFFSET = 7
    INCOMPLETE = 8
    BAUD = 9
    RANGE = 10
    ENGINE = 11
    STAGES = 12
    POLICY = 13
    LIMIT = 14
    SLOT = 15
    SHARE = 16
    MEMORY = 17
    GROUP = 18
    RAM = 19
    SENSOR = 20
    RATE = 21
    MICROPHONE = 22


def name_of(names: tuple[str, ...], number: int) -> str:
    """What a board calls ``number``; newer firmware may have more names."""
    return names[number] if number < len(names) else f"number {number}"


TASK_SLOTS = 8
MAX_PROFILE_STAGES = 160  # of a model that is profiled
RESET_CAUSES = ("power", "pin", "software", "watchdog", "fault")


@dataclass(frozen=True)
class BoardInfo:
    """Answer to hello."""

    board: str  # "stm32f746", "native"
    firmware: str  # version
    app: str
    clock_hz: int  # ticks a second of the board's cycle counter
    reset_cause: str  # one of RESET_CAUSES
    arena_bytes: int  # RAM that the models share
    n_models: int
    rx_bytes: int  # may arrive unread before any byte is lost
    payload_bytes: int  # longest payload of one frame
    fault: str | None  # what the fault handler reported before the last restart

    @classmethod
    def unpack(cls, payload: bytes) -> BoardInfo:
        cursor = Cursor(payload)
        _, cause, n_models, clock_hz, arena_bytes, rx_bytes, payload_bytes = cursor.take("<BBHIIIH")
        board, firmware, app, fault = (cursor.string() for _ in range(4))
        return cls(
            board=board,
            firmware=firmware,
            app=app,
            clock_hz=clock_hz,
            reset_cause=reset_cause(cause),
            arena_bytes=arena_bytes,
            n_models=n_models,
            rx_bytes=rx_bytes,
            payload_bytes=payload_bytes,
            fault=fault or None,
        )


@dataclass(frozen=True)
class ModelInfo:
    """One entry of the board's model table; sizes in bytes."""

    index: int
    name: str
    id: int  # CRC-32 of the .tflite
    input: TensorInfo
    outputs: list[TensorInfo]
    macs: int
    arena_bytes: int
    activation_bytes: int
    weight_bytes: int

    @classmethod
    def unpack(cls, payload: bytes) -> tuple[ModelInfo, int]:
        """With those outputs that the payload holds; and how many outputs the model has."""
        cursor = Cursor(payload)
        index, crc, macs, arena_bytes, activation_bytes, weight_bytes = cursor.take("<HIIIII")
        tensor = cursor.tensor()
        (n_outputs,) = cursor.take("<H")
        name = cursor.string()
        outputs = [cursor.tensor() for _ in range(len(cursor.rest()) // _TENSOR.size)]
        info = cls(index, name, crc, tensor, outputs, macs, arena_bytes, activation_bytes, weight_bytes)
        return info, n_outputs


@dataclass(frozen=True)
class Result:
    """Answer to one image."""

    outputs: list[np.ndarray]  # int8 or uint8, (height, width, channels) each
    top5: list[tuple[int, int]]  # (class, score) of output 0, best first; equal scores: lower class first
    cycles: int  # ticks spent computing, waiting for data excluded
    stack_peak: int  # deepest use of the stack since start-up, bytes
    arena_bytes: int  # RAM that the selected model needs
    rx_lost: int  # bytes the board's receiver lost since start-up
    profile: Profile | None = None  # if the client was told to take one
    stolen: int = 0  # of the cycles, ticks in which tasks above inference had the processor


@dataclass(frozen=True)
class Profile:
    """What the stages of one image took."""

    ticks: list[int]  # of each stage, as the board counted them (modulo 2^32)
    steps: list[int]  # of each stage; each is charged with one reading of the clock
    overhead: int  # ticks that one reading of the clock takes

    @property
    def net_ticks(self) -> list[int]:
        """Ticks of each stage without those that counting took; at least 0."""
        pairs = zip(self.ticks, self.steps, strict=True)
        return [max(0, ticks - steps * self.overhead) for ticks, steps in pairs]


@dataclass(frozen=True)
class State:
    """Where the board is: in the sequence, and in the image."""

    next: int  # sequence number that it expects
    image: int  # 0 none, 1 being received, 2 complete
    received: int  # bytes of the image

    @classmethod
    def unpack(cls, payload: bytes) -> State:
        return cls(*Cursor(payload).take("<BBI"))


@dataclass(frozen=True)
class Refusal:
    """Payload of an ERROR."""

    type: int  # of the frame that was refused
    code: int
    detail: int
    text: str

    @classmethod
    def unpack(cls, payload: bytes) -> Refusal:
        cursor = Cursor(payload)
        kind, code, detail = cursor.take("<BBI")
        return cls(kind, code, detail, cursor.rest().decode("ascii", "replace"))


@dataclass(frozen=True)
class Summary:
    """Answer to FINISH; the fields are those of Result."""

    cycles: int
    stolen: int
    stack_peak: int
    arena_bytes: int
    rx_lost: int
    output_bytes: int  # of all outputs together
    top5: list[tuple[int, int]]
    outputs: bytes  # their first bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Summary:
        cursor = Cursor(payload)
        *fields, n_top = cursor.take("<QQIIIIB")
        top5 = [cursor.take("<Ih") for _ in range(n_top)]
        return cls(*fields, top5, cursor.rest())


@dataclass(frozen=True)
class Stages:
    """Answer to STAGES."""

    overhead: int
    count: int  # stages of the model
    ticks: list[int]  # of those from the asked one on
    steps: list[int]

    @classmethod
    def unpack(cls, payload: bytes) -> Stages:
        cursor = Cursor(payload)
        overhead, count = cursor.take("<IH")
        pairs = [cursor.take("<II") for _ in range(len(cursor.rest()) // 8)]
        return cls(overhead, count, [ticks for ticks, _ in pairs], [steps for _, steps in pairs])


@dataclass(frozen=True)
class EntryInfo:
    """What an entry of the model table is worth and takes."""

    index: int  # of the entry, and of its ModelInfo
    cycles: int  # of one inference without other load, as learned or from the table; 0: unknown
    accuracy: float | None  # top-1, a fraction
    energy: int  # class 0..15
    group: int  # entries of one group are alternatives to each other
    stages: int

    @classmethod
    def unpack(cls, payload: bytes) -> EntryInfo:
        index, cycles, accuracy, energy, group, stages = Cursor(payload).take("<HIHBBH")
        return cls(index, cycles, accuracy / 10_000 if accuracy else None, energy, group, stages)


@dataclass(frozen=True)
class Decision:
    """Answer to NEXT: which entry takes the next frame."""

    entry: int  # it is selected
    reason: str  # one of switcher.policy.REASONS
    fits: bool  # False: nothing does, and this is the smallest
    escalate: bool  # the frame before is to be given to this entry, too
    predicted_us: int  # time that it will take; 2^32 - 1: longer, or for ever
    budget: Budget  # that the decision was made from
    switch_ticks: int  # that deciding and switching took

    @classmethod
    def unpack(cls, payload: bytes, clock_hz: int) -> Decision:
        cursor = Cursor(payload)
        entry, reason, flags, predicted_us = cursor.take("<HBBI")
        budget = cursor.budget(clock_hz)
        (ticks,) = cursor.take("<I")
        name = REASONS[reason] if reason < len(REASONS) else f"reason {reason}"
        return cls(entry, name, bool(flags & 1), bool(flags & 2), predicted_us, budget, ticks)


@dataclass(frozen=True)
class Status:
    """Answer to STATUS. Times and counts are since the session's HELLO, but ``ticks``."""

    ticks: int  # of the board's clock since start-up
    stolen: int  # ticks that tasks above inference have taken
    yielded: int  # ticks that the other tasks have taken while inference had nothing to do
    entry: int  # in use
    switches: int  # changes of it by NEXT
    budget: Budget  # now
    supply_mv: int  # 0: cannot be measured
    damaged: int  # words of the tasks' RAM that something else has written to
    granted: tuple[int, ...]  # bytes of RAM of the task in each slot

    @classmethod
    def unpack(cls, payload: bytes, clock_hz: int) -> Status:
        cursor = Cursor(payload)
        ticks, stolen, yielded, entry, switches = cursor.take("<QQQHI")
        budget = cursor.budget(clock_hz)
        supply_mv, damaged = cursor.take("<II")
        granted = cursor.take(f"<{TASK_SLOTS}I")
        return cls(ticks, stolen, yielded, entry, switches, budget, supply_mv, damaged, granted)


def unpack_boot(payload: bytes) -> str:
    """Why the board restarted, with the fault handler's report."""
    cursor = Cursor(payload)
    (cause,) = cursor.take("<B")
    fault = cursor.string()
    return describe_reset(reset_cause(cause), fault)


def describe_reset(cause: str, fault: str | None) -> str:
    return f"{cause}: {fault}" if fault else cause


def reset_cause(number: int) -> str:
    return RESET_CAUSES[number] if number < len(RESET_CAUSES) else f"cause {number}"


def split_outputs(data: bytes, infos: list[TensorInfo]) -> list[np.ndarray]:
    """Outputs that were put one behind the other, as (height, width, channels) each."""
    arrays = []
    for info in infos:
        size = math.prod(info.shape)
        arrays.append(np.frombuffer(data[:size], info.dtype).reshape(info.shape))
        data = data[size:]
    return arrays


_TENSOR = struct.Struct("<HHHBxfi")


class Cursor:
    """Reads a payload from the front; a payload that is too short is a LinkError."""

    def __init__(self, payload: bytes):
        self._payload = payload
        self._at = 0

    def take(self, layout: str) -> tuple:
        try:
            fields = struct.unpack_from(layout, self._payload, self._at)
        except struct.error:
            raise LinkError(
                f"answer of {len(self._payload)} bytes is too short; host and firmware differ: build again"
            ) from None
        self._at += struct.calcsize(layout)
        return fields

    def string(self) -> str:
        (length,) = self.take("<B")
        (text,) = self.take(f"{length}s")
        return text.decode("ascii", "replace")

    def tensor(self) -> TensorInfo:
        height, width, channels, is_unsigned, scale, zero_point = self.take(_TENSOR.format)
        dtype = np.dtype(np.uint8 if is_unsigned else np.int8)
        return TensorInfo((height, width, channels), dtype, scale, zero_point)

    def budget(self, clock_hz: int) -> Budget:
        ram, ram_low, deadline_us, cpu, cpu_high, battery = self.take("<IIIHHH")
        return Budget(
            ram_bytes=ram,
            clock_hz=clock_hz,
            deadline_us=deadline_us,
            cpu=cpu / 1000,
            battery=None if battery == BATTERY_UNKNOWN else battery / 1000,
            cpu_high=cpu_high / 1000,
            ram_low_bytes=ram_low,
        )

    def rest(self) -> bytes:
        return self._payload[self._at :]
