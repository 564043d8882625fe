"""The recogniser in C against the host: windows, features, model, means, what is forgotten when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesture_support import Recogniser, entries, moving
from link_support import FIRMWARE
from models import examples, seeds
from tinyswitch.evaluate.gesture.reference import Reference
from tinyswitch.gestures import record
from tinyswitch.link import gesture

ENTRY = st.integers(0, 1)


def expected(entry: int, samples: np.ndarray, smoothing: int = 3, threshold: float = 0.6):
    return Reference(entries()[entry], smoothing, threshold).answers(samples)


def pieces(samples: np.ndarray, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.split(samples, np.sort(rng.integers(0, len(samples), rng.integers(0, 40))))


@given(seeds, ENTRY, st.integers(1, 16), st.integers(0, 65535))
@examples(40)
def test_answers_are_the_hosts_however_the_samples_come(seed, entry, smoothing, threshold):
    samples = moving(800, seed)
    board = Recogniser()
    board.set(smoothing, threshold)
    board.use(entry)
    for part in pieces(samples, seed):
        board.push(part)
    answers = expected(entry, samples, smoothing, threshold / 65536)
    assert board.counts == (800, len(answers))
    for number in range(max(0, len(answers) - gesture.KEPT_RESULTS), len(answers)):
        answer, by, features, inference = board.result(number)
        assert (answer, by) == (answers[number], entry)
        assert (features, inference) == (7, 7)  # two readings of the clock each


@given(seeds, st.integers(0, 700), ENTRY)
@examples(25)
def test_another_rate_begins_anew_with_the_next_sample(seed, before, entry):
    first, second = moving(before, seed), moving(500, seed + 1)
    board = Recogniser()
    board.use(1 - entry)
    board.push(first)
    earlier = board.counts[1]
    assert board.use(entry)
    assert not board.use(entry)  # the same again changes nothing
    board.push(second)
    answers = expected(entry, second)  # neither the ring nor the means remember
    assert board.counts == (before + 500, earlier + len(answers))
    for i, answer in enumerate(answers):
        found, by, *_ = board.result(earlier + i)
        assert found.first == before + answer.first and by == entry
        assert (found.answer, found.raw, found.smoothed) == (answer.answer, answer.raw, answer.smoothed)


def test_an_entry_with_the_same_samples_goes_on_where_the_last_was():
    samples = moving(600, 3)
    board = Recogniser()
    board.push(samples[:300])
    assert not board.use(0)
    board.push(samples[300:])
    assert [board.result(i)[0] for i in range(board.counts[1])] == expected(0, samples)


def test_clear_forgets_samples_and_results_but_no_settings():
    board = Recogniser()
    board.set(1, 0)
    board.push(moving(500, 4))
    board.clear()
    assert board.counts == (0, 0)
    samples = moving(400, 5)
    board.push(samples)
    assert [board.result(i)[0] for i in range(board.counts[1])] == expected(0, samples, 1, 0)


def test_numbers_may_wrap():
    samples = moving(700, 6)
    board = Recogniser()
    board.age(2**32 - 300)
    board.push(samples)
    for i, answer in enumerate(expected(0, samples)):
        found, *_ = board.result(i)
        assert found.first == (2**32 - 300 + answer.first) % 2**32
        assert (found.raw, found.smoothed) == (answer.raw, answer.smoothed)
    assert board.counts[0] == 400


def test_without_room_for_the_model_windows_are_passed_over():
    samples = moving(600, 7)
    board = Recogniser()
    board.push(samples[:300], arena_bytes=8)
    assert board.counts == (300, 0)
    board.push(samples[300:])
    late = [
        a for a in expected(0, samples, 1) if a.first >= 90
    ]  # windows from 0, 30 and 60 were complete before
    found = [board.result(i)[0] for i in range(board.counts[1])]
    assert [(f.first, f.raw) for f in found] == [(a.first, a.raw) for a in late]


def test_an_answer_is_uncertain_below_the_threshold_alone():
    samples = moving(300, 8)
    best = max(expected(0, samples, 1, 0)[0].smoothed)
    for threshold, certain in ((best, True), (best + 1, False)):
        board = Recogniser()
        board.set(1, threshold)
        board.push(samples)
        assert (board.result(0)[0].answer != gesture.UNCERTAIN) is certain


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("recogniser.h", "TS_RECOGNISER_RING", gesture.KEPT_SAMPLES),
        ("recogniser.h", "TS_RECOGNISER_RESULTS", gesture.KEPT_RESULTS),
        ("recogniser.h", "TS_RECOGNISER_SMOOTHING", gesture.MOST_SMOOTHING),
        ("recogniser.h", "TS_RECOGNISER_UNCERTAIN", hex(gesture.UNCERTAIN).upper().replace("X", "x")),
        ("gesture_table.h", "TS_GESTURE_CLASSES", record.MOST_CLASSES),
    ],
)
def test_numbers_of_the_firmware(header, name, value):
    assert f"{name} = {value}" in (FIRMWARE / "gesture" / header).read_text()
