"""The boards that there are, by the names that users give as ``--board``."""

from __future__ import annotations

NATIVE = "native"
EMBEDDED = ("stm32f746", "nano33ble", "nano33ble-bare")
WITH_MOTION = ("nano33ble", "nano33ble-bare")  # these have a motion sensor
WITH_MICROPHONES = WITH_DISPLAY = ("stm32f746",)  # these have drivers of theirs
ALL = (*EMBEDDED, NATIVE)


def listed() -> str:
    """All of them as words of a message."""
    return f"{', '.join(ALL[:-1])} and {ALL[-1]}"
