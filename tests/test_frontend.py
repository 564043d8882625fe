"""Features of speech: against pymicro-features, in any pieces, and on the board's processor."""

from __future__ import annotations

import functools
import os
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymicro_features import MicroFrontend

from cortexm_engine import CPUS
from cortexm_functions import DATA, ROOM, Functions
from models import examples, seeds
from tinyswitch.features import frontend_tables
from tinyswitch.features.frontend import CHANNELS, HEADER, SAMPLES, STEP, WINDOW, Frontend, as_int8
from virtual_programs import needs_gcc

THEIR_STEP = 160  # pymicro-features makes a row every 10 ms
DATA_ROOT = os.environ.get("TINYSWITCH_DATA")
needs_data = pytest.mark.skipif(not DATA_ROOT, reason="TINYSWITCH_DATA is unset: no recorded speech at hand")


def sound(seed: int, count: int) -> np.ndarray:
    """(count,) int16: silence, noise, tones and pulses of any loudness, also cut off."""
    rng = np.random.default_rng(seed)
    times = np.arange(count) / 16000
    values = rng.normal(size=count) * 2 ** rng.uniform(-3, 16)
    for _ in range(rng.integers(0, 4)):
        tone = np.sin(2 * np.pi * (rng.uniform(20, 8000) * times + rng.uniform()))
        values += tone * 2 ** rng.uniform(0, 17) * (rng.uniform() < np.sin(9 * times + rng.uniform(0, 6)))
    if rng.random() < 0.3:
        values[:: rng.integers(1, 900)] = rng.choice([-32768, 32767])
    if rng.random() < 0.3:
        values[rng.integers(0, count) :] *= 2 ** rng.uniform(-15, 0)
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def theirs(samples: np.ndarray) -> np.ndarray:
    """(rows, 40) levels as pymicro-features computes them."""
    stream, rows = MicroFrontend(), []
    for at in range(0, len(samples) - THEIR_STEP + 1, THEIR_STEP):
        features = stream.process_samples(samples[at : at + THEIR_STEP].tobytes()).features
        if features:
            rows.append(np.rint(np.array(features) / 0.0390625))  # its scale: 10 / 256
    return np.array(rows).reshape(-1, CHANNELS)


@given(seeds, st.integers(3, 100))
@examples(100)
def test_levels_are_those_of_pymicro_features(seed, steps):
    samples = sound(seed, steps * THEIR_STEP)
    np.testing.assert_array_equal(Frontend(THEIR_STEP).levels(samples), theirs(samples))


@pytest.mark.parametrize(
    "samples",
    [
        np.full(3200, -32768, np.int16),
        np.full(3200, 32767, np.int16),
        np.zeros(3200, np.int16),
        np.where(np.arange(3200) % 1000, 0, -32768).astype(np.int16),  # is its own negative
        np.where(np.arange(16000) // 37 % 2, 32767, -32768).astype(np.int16),
        np.where(np.arange(16000) // 2 % 2, 32767, -32768).astype(np.int16),
        np.random.default_rng(0).choice([-32768, 32767], 160000).astype(np.int16),
    ],
)
def test_extremes_are_those_of_pymicro_features(samples):
    np.testing.assert_array_equal(Frontend(THEIR_STEP).levels(samples), theirs(samples))


@needs_data
def test_levels_of_recorded_speech_are_those_of_pymicro_features():
    paths = sorted(Path(DATA_ROOT).glob("micro-speech/*.wav"))
    paths += sorted(Path(DATA_ROOT).glob("speech-commands/*/*.wav"))[::50]
    assert len(paths) > 50
    for path in paths:
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        np.testing.assert_array_equal(Frontend(THEIR_STEP).levels(samples), theirs(samples), str(path))


@given(seeds, st.integers(1, WINDOW), st.lists(st.integers(0, 2000), max_size=12))
@examples(60)
def test_a_stream_in_pieces_gives_the_same_rows(seed, step, pieces):
    samples = sound(seed, 4000)
    whole = Frontend(step).levels(samples)
    stream = Frontend(step)
    rows = [stream.levels(part) for part in np.split(samples, np.minimum(np.cumsum(pieces, dtype=int), 4000))]
    np.testing.assert_array_equal(np.concatenate(rows), whole)
    assert len(whole) == (4000 - WINDOW) // step + 1


def test_after_a_reset_the_stream_begins_anew():
    stream = Frontend()
    first = stream.levels(sound(1, 5000))
    assert (stream.levels(sound(1, 5000))[:10] != first[:10]).any()
    stream.reset()
    np.testing.assert_array_equal(stream.levels(sound(1, 5000)), first)


def test_a_second_gives_as_many_rows_as_a_model_takes():
    assert Frontend().rows(sound(0, SAMPLES)).shape == (49, 40)
    assert Frontend().rows(sound(0, 16000)).shape == (49, 40)
    assert SAMPLES == WINDOW + 48 * STEP


@pytest.mark.parametrize("step", [0, WINDOW + 1])
def test_impossible_steps_are_refused(step):
    with pytest.raises(ValueError, match="1 to 480"):
        Frontend(step)


def test_levels_become_int8_as_micro_speech_has_it():
    levels = np.arange(1200, dtype=np.uint16).reshape(-1, CHANNELS)
    wanted = np.minimum((levels.astype(int) * 256 + 333) // 666 - 128, 127)
    np.testing.assert_array_equal(as_int8(levels), wanted)


def test_the_tables_are_what_their_formulas_give():
    assert frontend_tables.PATH.read_text() == frontend_tables.formatted()


MEMORY, SOUND, RESULT = DATA, DATA + ROOM, DATA + 2 * ROOM


@functools.cache
def board(cpu: str) -> Functions:
    return Functions(cpu, HEADER.with_suffix(".c"))


def levels_on(cpu: str, samples: np.ndarray, step: int) -> tuple[np.ndarray, int]:
    """Rows of levels, and the instructions that the last one took, its samples' arrival included."""
    c, rows, at, instructions = board(cpu), [], 0, 0
    assert c.call("ts_frontend_begin", MEMORY, step) == 0
    c.memory.mem_write(SOUND, samples.tobytes())
    while at < len(samples):
        at += c.call("ts_frontend_add", MEMORY, SOUND + 2 * at, len(samples) - at, count=True)
        instructions = c.instructions
        last = len(samples) - at < step
        if c.call("ts_frontend_row", MEMORY, RESULT, count=last):
            instructions += c.instructions
            rows.append(np.frombuffer(c.memory.mem_read(RESULT, 2 * CHANNELS), np.uint16))
            if last:
                break
    return np.array(rows), instructions


@needs_gcc
@pytest.mark.parametrize("cpu", CPUS)
def test_the_board_computes_the_same_bits(cpu):
    for seed in range(15):
        samples = sound(seed, 6000)
        np.testing.assert_array_equal(levels_on(cpu, samples, STEP)[0], Frontend().levels(samples))


@needs_gcc
def test_features_take_a_small_part_of_the_processor():
    _, instructions = levels_on("cortex-m7", sound(3, 6000), STEP)
    assert 20_000 < instructions < 0.02 * 216e6 / 50  # 2 % at 216 MHz, 50 rows a second
