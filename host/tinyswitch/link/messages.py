"""What host and board tell each other: docs/link.md as Python."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyswitch.evaluate.litert import TensorInfo


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


@dataclass(frozen=True)
class Result:
    """Answer to one image."""

    outputs: list[np.ndarray]  # int8 or uint8, (height, width, channels) each
    top5: list[tuple[int, int]]  # (class, score) of output 0, best first; equal scores: lower class first
    cycles: int  # ticks spent computing, waiting for data excluded
    stack_peak: int  # deepest use of the stack since start-up, bytes
    arena_bytes: int  # RAM that the selected model needs
    rx_lost: int  # bytes the board's receiver lost since start-up
