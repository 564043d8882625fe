"""Commands about switching, ready to be sent: alone, or while an image is on its way (``Client.infer``)."""

from __future__ import annotations

import math
import struct

from tinyswitch.errors import TinyswitchError
from tinyswitch.link.channel import Request
from tinyswitch.link.messages import TASK_SLOTS, Type
from tinyswitch.switcher.policy import BATTERY_UNKNOWN, Policy

INFERENCE_PRIORITY = 128  # until it is set


def policy(chosen: Policy, priority: int = INFERENCE_PRIORITY) -> Request:
    """POLICY; ``chosen.option`` is an entry of the model table, ``priority`` (0..255) that of inference."""
    _check("priority", priority, 255)
    payload = struct.pack(
        "<BHHBBHH",
        chosen.number,
        chosen.option,
        round(chosen.threshold * 256),
        priority,
        chosen.up_frames,
        round(chosen.safety * 1000),
        round(chosen.margin * 1000),
    )
    return Type.POLICY, payload


def task(slot: int, priority: int, cpu: float, ram: int = 0) -> Request:
    """TASK: other work in ``slot``, with a share ``cpu`` (0..1) of the processor and ``ram`` bytes; none of
    either: there is no task. A priority above that of inference interrupts it."""
    _check("slot of a task", slot, TASK_SLOTS - 1)
    _check("priority", priority, 255)
    _check("CPU share", cpu, 1)
    _check("RAM", ram, 0xFFFFFFFF)
    return Type.TASK, struct.pack("<BBHI", slot, priority, round(cpu * 1000), ram)


def limits(deadline_us: int = 0, battery: float | None = None) -> Request:
    """LIMITS: time for a frame (0: any), charge (0..1; None: by the supply voltage)."""
    _check("deadline", deadline_us, 0xFFFFFFFF)
    if battery is not None:
        _check("battery", battery, 1)
    charge = BATTERY_UNKNOWN if battery is None else round(battery * 1000)
    return Type.LIMITS, struct.pack("<IH", deadline_us, charge)


def _check(name: str, value: float, most: float) -> None:
    if math.isnan(value) or not 0 <= value <= most:
        raise TinyswitchError(f"{name} {value} is out of range; give 0 to {most:g}")
