"""The spotter in C against the host: features, windows, models, what is forgotten when; and the detector."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyword_support import NETS, STEPS, Detection, Spotter, probabilities, rows_of, sound
from link_support import FIRMWARE
from models import examples, seeds
from tinyswitch.keywords import record
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.link import keyword

ROWS = 49
name_of_net = st.sampled_from(list(NETS))


def check(found, rows: np.ndarray, firsts: list[int], names: list[str]) -> None:
    """That there are answers of these windows, right to the last bit."""
    assert [a.first for a in found] == firsts
    for answer, name in zip(found, names, strict=True):
        window = rows[answer.first : answer.first + ROWS]
        assert answer.raw == probabilities(name, window), (answer.first, name)
        assert answer.crc == zlib.crc32(rows[: answer.first + ROWS].tobytes())
        assert answer.entry == list(NETS).index(name)


def pieces(samples: np.ndarray, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.split(samples, np.sort(rng.integers(0, len(samples), rng.integers(0, 30))))


@given(seeds, name_of_net)
@examples(12)
def test_answers_are_the_hosts_however_the_samples_come(seed, name):
    samples = sound(40_000, seed)
    board = Spotter()
    board.use(name)
    assert sum(board.push(part) for part in pieces(samples, seed)) == 0
    rows = rows_of(samples)
    firsts = list(range(0, len(rows) - ROWS + 1, STEPS[name]))
    assert board.counts[:3] == (40_000, len(rows), len(firsts))
    found = board.answers()
    check(found, rows, firsts, [name] * len(firsts))
    assert all(a.feature_ticks > 0 and a.inference_ticks > 0 for a in found)


@given(seeds, st.data())
@examples(15)
def test_another_entry_answers_from_its_next_window_on_and_so_does_one_whose_memory_was_spoilt(seed, data):
    """After each part something happens; the next window is due a step of the entry after the last."""
    samples = sound(60_000, seed)
    rows = rows_of(samples)
    board, name = Spotter(), "streams"
    firsts, names = [], []
    since, done = 0, 0
    for part in pieces(samples, seed):
        happening = data.draw(st.sampled_from([*NETS, "spoil"]))
        if happening == "spoil":
            board.spoil()
        else:
            name = happening
            board.use(name)
        board.push(part)
        for row in range(done, board.counts[1]):
            since += 1
            if row + 1 >= ROWS and since >= STEPS[name]:
                firsts.append(row + 1 - ROWS)
                names.append(name)
                since = 0
        done = board.counts[1]
    check(board.answers(max(0, len(firsts) - keyword.KEPT_ANSWERS)), rows, firsts[-128:], names[-128:])


def test_a_stream_that_has_lost_room_is_answered_whole_or_passed_over():
    samples = sound(60_000, 1)
    rows = rows_of(samples)
    board = Spotter()
    board.push(samples[:20_000])
    before = board.counts[2]
    assert board.push(samples[20_000:30_000], arena_bytes=64) > 0
    assert board.counts[2] == before
    board.push(samples[30_000:])
    found = board.answers(before)
    assert len(found) > 20
    check(found, rows, [a.first for a in found], ["streams"] * len(found))


def test_clear_forgets_sound_and_answers_but_no_settings():
    board = Spotter()
    board.set(2000, 0, 0, 1)
    board.push(sound(40_000, 2))
    board.clear()
    assert board.counts == (0, 0, 0, 0)
    samples = sound(30_000, 3)
    board.push(samples)
    check(board.answers(), rows_of(samples), list(range(0, 45, 4)), ["streams"] * 12)
    assert all(a.mean[a.best] == max(a.mean) for a in board.answers())


# -- the detector --


def expected(rows, raws, average, threshold, suppression, minimum) -> tuple[list, list[Detection]]:
    """Means and detections of answers, as docs/link.md says them."""
    means, detections = [], []
    for i, row in enumerate(rows):
        span = -(-average // 20)
        count = sum(row - earlier < span for earlier in rows[max(0, i - 63) : i + 1])
        part = np.array(raws[i + 1 - count : i + 1])
        mean = [(int(s) * 256 + count // 2) // count for s in part.sum(0)]
        best = int(np.argmax(mean))
        means.append((tuple(mean), best))
        last = detections[-1] if detections else None
        again = last and last.word == best and row - last.row < -(-suppression // 20)
        if best >= record.FIRST_WORD and mean[best] >= threshold and count >= minimum and not again:
            detections.append(Detection(i, row, 0, best, mean[best]))
    return means, detections


@given(
    st.lists(st.tuples(st.integers(1, 20), st.tuples(*[st.integers(0, 255)] * 4)), min_size=1, max_size=100),
    st.integers(1, 2000),
    st.integers(0, 65535),
    st.integers(0, 3000),
    st.integers(1, 12),
)
@examples(300)
def test_means_and_detections(answers, average, threshold, suppression, minimum):
    board = Spotter()
    board.set(average, threshold, suppression, minimum)
    rows = [48 + int(r) for r in np.cumsum([step for step, _ in answers])]
    raws = [raw for _, raw in answers]
    for row, raw in zip(rows, raws, strict=True):
        board.answer(row, raw)
    means, detections = expected(rows, raws, average, threshold, suppression, minimum)
    assert [(a.mean, a.best) for a in board.answers()] == means
    assert board.detections()[-64:] == detections[-64:]


def test_a_word_is_told_once_until_its_suppression_is_over_and_another_at_once():
    board = Spotter()
    board.set(20, 32768, 1000, 1)
    yes, no, nothing = (0, 0, 200, 20), (0, 0, 20, 200), (200, 0, 0, 0)
    for row, raw in (
        (50, yes),
        (54, yes),
        (58, nothing),
        (62, yes),
        (66, no),
        (99, yes),
        (148, yes),
        (149, yes),
    ):
        board.answer(row, raw)
    assert [(d.row, CLASSES[d.word]) for d in board.detections()] == [
        (50, "yes"),
        (66, "no"),
        (99, "yes"),
        (149, "yes"),
    ]


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("detector.h", "TS_DETECTOR_ANSWERS", keyword.KEPT_ANSWERS),
        ("detector.h", "TS_DETECTOR_DETECTIONS", keyword.KEPT_DETECTIONS),
        ("spotter.h", "TS_SPOTTER_ROWS", keyword.KEPT_ROWS),
    ],
)
def test_numbers_of_the_firmware(header, name, value):
    assert f"{name} = {value}" in (FIRMWARE / "keyword" / header).read_text()
