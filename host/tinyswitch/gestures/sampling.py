"""Recordings as the board's sensor would give them: its rate, its steps."""

from __future__ import annotations

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.features.spectral import DEFINES, G_PER_STEP, Window
from tinyswitch.gestures.recording import Recording

STEP_S = 0.25  # from a window to the next, as on the board


def at_rate(recording: Recording, rate_hz: float) -> np.ndarray:
    """(n, 3) int16 samples at another rate, in the sensor's steps, the first at the recording's first.

    To a higher rate: interpolated linearly. To a lower one: the mean of that straight line over each new
    interval, which keeps most of what the lower rate cannot show out of it. Steps beyond what features look
    at are cut off.
    """
    last = (len(recording.samples) - 1) / recording.rate_hz
    times = np.arange(int(np.floor(last * rate_hz + 1e-6)) + 1) / rate_hz
    if rate_hz < recording.rate_hz:
        half = 0.5 / rate_hz
        begin, end = np.maximum(times - half, 0), np.minimum(times + half, last)
        values = (_integral(recording, end) - _integral(recording, begin)) / (end - begin)[:, None]
    else:
        own = np.arange(len(recording.samples)) / recording.rate_hz
        values = np.stack([np.interp(times, own, recording.samples[:, axis]) for axis in range(3)], 1)
    return as_steps(values)


def as_steps(values: np.ndarray) -> np.ndarray:
    """Acceleration in g as int16 samples."""
    limit = DEFINES["LIMIT"]
    return np.clip(np.rint(values / G_PER_STEP), -limit, limit).astype(np.int16)


def step(window: Window, step_s: float = STEP_S) -> int:
    """Samples from the beginning of a window to that of the next."""
    return max(1, round(step_s * window.rate_hz))


def starts(recording: Recording, samples: np.ndarray, window: Window, step_s: float = STEP_S) -> np.ndarray:
    """First sample of each window, one every ``step_s`` seconds; raises TinyswitchError if there is none."""
    if len(samples) < window.samples:
        raise TinyswitchError(
            f"{recording.path}: {recording.seconds:.2f} s; at least {window.seconds:.2f} s are needed"
        )
    return np.arange(0, len(samples) - window.samples + 1, step(window, step_s))


def _integral(recording: Recording, times: np.ndarray) -> np.ndarray:
    """Of the straight lines between the samples, from 0 to each of ``times`` (s): (n, 3)."""
    samples, interval = recording.samples, 1 / recording.rate_hz
    whole = np.concatenate([np.zeros((1, 3)), np.cumsum((samples[1:] + samples[:-1]) * (interval / 2), 0)])
    at = np.minimum((times / interval).astype(int), len(samples) - 2)
    part = times - at * interval
    slope = (samples[at + 1] - samples[at]) / interval
    return whole[at] + samples[at] * part[:, None] + slope * (part**2 / 2)[:, None]
