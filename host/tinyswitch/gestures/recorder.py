"""Recordings from a board's motion sensor, as files in Edge Impulse's format."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.features.spectral import G_PER_STEP
from tinyswitch.gestures.recording import AXES, GRAVITY
from tinyswitch.link.gesture import Gestures, Results

PAUSE_S = 0.1  # between two looks
PATIENCE_S = 5.0  # without a sample
SETTLE_S = 1.0  # in which the sensor's rate is known
UNIT = "m/s2"
DIGITS = 4  # behind the point; a step of the sensor is 0.0012 m/s2
STATES = {
    "silent": "does not answer",
    "stuck": "does not answer: its bus is held low",
    "none": "is not there",
    "off": "is off",
}


def capture(
    gestures: Gestures, seconds: float, progress: Callable[[float], None] = lambda done: None
) -> tuple[float, np.ndarray]:
    """Rate in Hz and samples, (n, 3) int16, of ``seconds`` from now on; ``progress`` gets the seconds done.

    Raises TinyswitchError if the sensor does not answer, or samples got lost.
    """
    gestures.source("sensor")
    try:
        rate = _rate(gestures)
        wanted = round(seconds * rate)
        lost = gestures.results().sensor_lost
        parts: list[np.ndarray] = []
        count, until = 0, time.monotonic() + PATIENCE_S
        while count < wanted:
            first, part = gestures.motion(count)
            if len(part) and first != count:
                raise TinyswitchError(
                    f"samples {count} to {first - 1} were not fetched in time; record again"
                )
            if len(part):
                parts.append(part)
                count += len(part)
                until = time.monotonic() + PATIENCE_S
                progress(min(count, wanted) / rate)
            elif time.monotonic() > until:
                raise _silent(gestures.results())
            else:
                time.sleep(PAUSE_S)
        if (dropped := gestures.results().sensor_lost - lost) > 0:
            raise TinyswitchError(f"the sensor dropped {dropped} samples; record again")
        return rate, np.concatenate(parts)[:wanted]
    finally:
        gestures.source("off")


def _rate(gestures: Gestures) -> float:
    """That of the sensor, once it runs."""
    until = time.monotonic() + SETTLE_S
    while True:
        found = gestures.results()
        if found.sensor == "on" and found.sensor_rate_mhz:
            return found.sensor_rate_mhz / 1000
        if time.monotonic() > until:
            raise _silent(found)
        time.sleep(PAUSE_S)


def _silent(found: Results) -> TinyswitchError:
    what = STATES.get(found.sensor, "gives no samples")
    return TinyswitchError(
        f"the motion sensor {what} ({found.sensor_errors} failed transfers); restart the board"
    )


def document(samples: np.ndarray, rate_hz: float, device: str) -> dict[str, Any]:
    """A recording in Edge Impulse's data acquisition format, not signed; samples (n, 3) int16."""
    values = samples.astype(float) * (G_PER_STEP * GRAVITY)
    return {
        "protected": {"ver": "v1", "alg": "none", "iat": int(time.time())},
        "signature": "0" * 64,
        "payload": {
            "device_name": device,
            "device_type": device.upper(),
            "interval_ms": 1000 / rate_hz,
            "sensors": [{"name": f"acc{axis.upper()}", "units": UNIT} for axis in AXES],
            "values": [[round(value, DIGITS) for value in row] for row in values.tolist()],
        },
    }


def check_label(label: str) -> None:
    """Raises TinyswitchError for a label that a file's name cannot carry."""
    if not label or not label.isprintable() or set(label) & set('./\\:*?"<>|') or label != label.strip():
        raise TinyswitchError(
            f"--label {label!r}: it becomes the file's name up to the first dot, so it must be plain text "
            "without dots and slashes"
        )


def save(content: dict[str, Any], folder: Path, label: str) -> Path:
    """Writes LABEL.NUMBER.json with the first number that is free; a file that exists is never touched.

    Raises TinyswitchError if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".recording", suffix=".partial") as file:
            json.dump(content, file)
            file.flush()
            os.chmod(file.name, 0o644)
            return _link(Path(file.name), folder, label)
    except OSError as error:
        raise TinyswitchError(f"{error.filename or folder}: {error.strerror or error}") from None


def _link(whole: Path, folder: Path, label: str) -> Path:
    number = 1
    while True:
        path = folder / f"{label}.{number:03}.json"
        try:
            os.link(whole, path)  # fails if it exists, whoever else is writing
            return path
        except FileExistsError:
            number += 1
