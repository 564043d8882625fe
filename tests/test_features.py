"""Spectral features: against numpy in double precision, and on the board's processor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexm_engine import CPUS
from models import examples, seeds
from spectral_board import board, features_on
from tinyswitch.errors import TinyswitchError
from tinyswitch.features import spectral
from tinyswitch.features.spectral import BANDS, DEFINES, PER_AXIS, Extractor, Window, names
from virtual_programs import needs_gcc

WINDOWS = {**spectral.WINDOWS, 14.875: Window(14.875, 30, 5)}  # the shortest transform, too
RATES = sorted(WINDOWS)
windows = st.sampled_from(RATES).map(WINDOWS.get)
TOLERANCE = 0.15  # steps of a feature beyond its rounding (half a step)
FAR_BELOW = 4.0  # log2 of an amplitude: where the strongest peak's side lobes and rounding are
PEAK_TOLERANCE = 0.5  # of a peak's: what the parabola makes of three flat bins
FAINT = 4.0  # log2 of an amplitude below which whole numbers, as samples are, no longer tell


def motion(window: Window, seed: int) -> np.ndarray:
    """(samples, 3) int16: gravity, a few swings of random strength, noise."""
    rng = np.random.default_rng(seed)
    times = np.arange(window.samples) / window.rate_hz
    values = rng.uniform(-8000, 8000, 3) + rng.normal(size=(window.samples, 3)) * 2 ** rng.uniform(-2, 8)
    for _ in range(rng.integers(0, 5)):
        swing = np.sin(2 * np.pi * (rng.uniform(0.3, 7) * times + rng.uniform()))
        values += swing[:, None] * rng.uniform(-1, 1, 3) * 2 ** rng.uniform(2, 13)
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def expected(axis: np.ndarray, window: Window) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """log2 of RMS and of the bands' RMS; log2 heights and bins of all peaks, strongest first."""
    limit = DEFINES["LIMIT"]
    x = np.clip(axis.astype(float), -limit, limit)
    x -= x.mean()
    n, length = window.samples, 1 << window.log2_length
    hann = np.sin(np.pi * np.arange(n) / n) ** 2
    bins = np.abs(np.fft.rfft(x * hann, length))
    top = min(DEFINES["TOP"], length // 2 - 1)
    logs = np.log2(np.maximum(2 * bins / hann.sum(), 2.0**-12))
    square = 2 * bins[: top + 1] ** 2 / (length * (hann**2).sum())
    bands = np.array([square[first : last + 1].sum() for first, last in BANDS])
    heights, places = [], []
    for k in range(1, top + 1):
        left, middle, right = logs[k - 1 : k + 2]
        if middle >= left and middle > right:
            delta = 0.5 * (left - right) / (left - 2 * middle + right)
            heights.append(middle - 0.25 * (left - right) * delta)
            places.append(k + delta)
    order = np.argsort(-np.array(heights), kind="stable").astype(int)
    rms, bands = 0.5 * np.log2(np.mean(x**2) + 1e-9), 0.5 * np.log2(bands + 1e-9)
    return rms, bands, np.array(heights)[order], np.array(places)[order]


def close(feature: int, log2_value: float, steps: int = 16, tolerance: float = TOLERANCE) -> bool:
    wanted = np.clip(steps * log2_value, 0, 255) + DEFINES["ZERO"]
    return abs(int(feature) - wanted) <= 0.5 + tolerance


@given(windows, seeds)
@examples(150)
def test_features_are_those_of_numpy(window, seed):
    samples = motion(window, seed)
    found = Extractor(window).features(samples).reshape(3, PER_AXIS)
    for axis in range(3):
        rms, bands, heights, places = expected(samples[:, axis], window)
        assert rms < FAINT or close(found[axis, 0], rms)
        for feature, band in zip(found[axis, 7:], bands, strict=True):
            assert band < FAINT or close(feature, band)
        if rms < DEFINES["LOG2_FLOOR"] - 2:
            assert (found[axis, 1:7] == DEFINES["ZERO"]).all()
        clear = max(heights.max(initial=0) - FAR_BELOW, DEFINES["LOG2_FLOOR"] + 0.05)
        for i in range(min(3, (heights > clear).sum())):
            if heights[i] - heights[i + 1 : i + 2].max(initial=0) < 0.05:
                break  # two of a height: either may come first
            if abs(places[i] % 1 - 0.5) < 0.1:
                break  # halfway between two bins: either may be the peak's
            height, frequency = found[axis, 1 + 2 * i : 3 + 2 * i]
            assert close(height, heights[i], tolerance=PEAK_TOLERANCE)
            assert close(frequency, np.log2(places[i]), 32, PEAK_TOLERANCE)


@pytest.mark.parametrize("rate", RATES)
def test_a_swing_is_found_with_its_strength_and_frequency(rate):
    window = WINDOWS[rate]
    times = np.arange(window.samples) / rate
    swing = 5000 * np.sin(2 * np.pi * 3.1 * times)
    found = Extractor(window).features(np.rint(swing)[:, None].astype(np.int16))
    real = (found.astype(float) - DEFINES["ZERO"]) * DEFINES["SCALE"]
    assert 2 ** real[0] == pytest.approx(5000 / 2**0.5, rel=0.05)
    assert 2 ** real[1] == pytest.approx(5000, rel=0.05)
    assert 2 ** (real[2] / 2) * window.bin_hz == pytest.approx(3.1, rel=0.03)
    assert 2 ** real[9] == pytest.approx(5000 / 2**0.5, rel=0.05)  # 2.6 to 5.8 Hz
    assert list(found[3:7]) == [DEFINES["ZERO"]] * 4


@given(windows, seeds, st.integers(0, 40), st.data())
@examples(40)
def test_a_ring_gives_what_the_window_gives_wherever_it_begins(window, seed, spare, data):
    samples = motion(window, seed)
    capacity = window.samples + spare
    oldest = data.draw(st.integers(0, capacity - 1))
    ring = np.full((capacity, 3), 31000, np.int16)
    ring[(oldest + np.arange(window.samples)) % capacity] = samples
    extractor = Extractor(window)
    np.testing.assert_array_equal(extractor.features(ring, oldest), extractor.features(samples))


@pytest.mark.parametrize("value", [-32768, 0, 32767])
def test_what_does_not_move_has_no_features(value):
    still = np.full((WINDOWS[119.0].samples, 3), value, np.int16)
    assert (Extractor(WINDOWS[119.0]).features(still) == DEFINES["ZERO"]).all()


def test_the_widest_swings_do_not_overflow():
    window = WINDOWS[119.0]
    square = np.where(np.arange(window.samples) // 17 % 2, 32767, -32768).astype(np.int16)
    found = Extractor(window).features(square[:, None])
    rms, bands, heights, places = expected(square, window)
    assert close(found[0], rms) and close(found[1], heights[0]) and close(found[2], np.log2(places[0]), 32)
    assert all(close(feature, band) for feature, band in zip(found[7:], bands, strict=True))


@pytest.mark.parametrize(("samples", "log2_length"), [(7, 5), (33, 5), (100, 9), (16, 4), (257, 8)])
def test_impossible_windows_are_refused(samples, log2_length):
    with pytest.raises(TinyswitchError, match=f"{samples} samples.*is not possible"):
        Extractor(Window(100.0, samples, log2_length))


def test_names_are_as_many_as_the_features_and_bands_are_those_of_the_code():
    assert len(set(names("xyz"))) == 3 * PER_AXIS == 33
    for k in range(1, 33):  # a swing in the middle of a bin is in that bin's band more than in any other
        times = np.arange(256)
        swing = np.rint(5000 * np.sin(2 * np.pi * k * times / 256)).astype(np.int16)
        found = Extractor(Window(119.0, 256, 8)).features(swing[:, None])
        band = next(i for i, (first, last) in enumerate(BANDS) if first <= k <= last)
        assert found[7:].argmax() == band


@needs_gcc
@pytest.mark.parametrize("cpu", CPUS)
def test_the_board_computes_the_same_bits(cpu):
    for rate in RATES:
        window, extractor = WINDOWS[rate], Extractor(WINDOWS[rate])
        batch = [motion(window, seed) for seed in range(20)]
        found = features_on(cpu, window, batch)
        np.testing.assert_array_equal(found, [extractor.features(samples) for samples in batch])


@needs_gcc
def test_features_take_a_small_part_of_the_processor():
    window = WINDOWS[119.0]
    cortex = board("cortex-m4")
    cortex.features(window, motion(window, 1), count=True)
    assert 20_000 < cortex.instructions < 0.006 * 0.25 * 64e6  # 0.6 % at 64 MHz, every 250 ms
