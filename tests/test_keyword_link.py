"""The keyword application over the link: its commands, what it refuses, its microphones, its lines."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import alone_board
import link_support
from keyword_support import NETS, STEPS, Spotter, firmware, probabilities, rows_of, sound
from tinyswitch.boards.native import NativeBoard
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.link import Client, LinkError
from tinyswitch.link.keyword import KEPT_ROWS, Detector, Keywords
from tinyswitch.link.messages import ErrorCode, Type
from tinyswitch.switcher import Policy

ROWS = 49


@pytest.fixture
def client() -> Iterator[Client]:
    with NativeBoard(firmware()) as board:
        client = Client(board.open(), timeout_s=20)
        client.hello()
        yield client


@pytest.fixture
def keywords(client: Client) -> Keywords:
    found = Keywords(client)
    found.listen("link")
    return found


def send(keywords: Keywords, samples: np.ndarray) -> None:
    for at in range(0, len(samples), 540):
        last = keywords.sound(samples[at : at + 540])
    assert last.samples % 2**32 == keywords.scores().samples


def refused(code: ErrorCode, call, *arguments: object) -> str:
    with pytest.raises(LinkError) as error:
        call(*arguments)
    assert error.value.code == code
    return str(error.value)


def check(answers, samples: np.ndarray, firsts: list[int], name: str) -> None:
    rows = rows_of(samples)
    assert [a.row for a in answers] == firsts
    for a in answers:
        assert a.raw == probabilities(name, rows[a.row : a.row + ROWS])
        assert a.rows_crc == zlib.crc32(rows[: a.row + ROWS].tobytes())
        assert a.feature_ticks > 0 and a.inference_ticks > 0


def test_the_board_says_how_its_entries_look_at_sound(client: Client):
    found = [Keywords(client).entry(i) for i in range(len(NETS))]
    assert [model.name for model in client.models()] == list(NETS)
    for entry, name in zip(found, NETS, strict=True):
        assert (entry.rate_hz, entry.window_samples, entry.row_samples) == (16000, 480, 320)
        assert (entry.rows, entry.channels, entry.step) == (ROWS, 40, STEPS[name])
        assert (entry.streams, entry.first_word, entry.classes) == (name != "whole", 2, CLASSES)
    assert {entry.group for entry in client.table()} == {0}
    refused(ErrorCode.MODEL, Keywords(client).entry, len(NETS))


@pytest.mark.parametrize("name", NETS)
def test_windows_are_answered_as_on_the_host(client: Client, keywords: Keywords, name):
    client.select(list(NETS).index(name))
    samples = sound(24_000, 1)
    send(keywords, samples)
    found = keywords.scores()
    assert (found.samples, found.rows, found.source, found.microphones) == (24_000, 74, "link", "none")
    firsts = list(range(0, 74 - ROWS + 1, STEPS[name]))
    assert found.count == len(firsts)
    check(found.answers, samples, firsts, name)
    assert found.level > 500 and found.cpu <= 1000 and found.samples_lost == 0
    assert keywords.scores(2).answers == found.answers[2:]
    assert keywords.scores(found.count).answers == keywords.scores(10**6).answers == ()


def test_rows_are_kept_for_a_while(keywords: Keywords):
    samples = sound(40_000, 2)
    send(keywords, samples)
    rows = rows_of(samples)
    number, part = keywords.features(40)
    assert number == len(rows) - KEPT_ROWS
    np.testing.assert_array_equal(part, rows[number : number + len(part)])
    number, part = keywords.features(40, len(rows) - 5)
    assert number == len(rows) - 5
    np.testing.assert_array_equal(part, rows[number:])
    assert len(keywords.features(40, len(rows))[1]) == 0


def test_detections_follow_the_settings(client: Client, keywords: Keywords):
    samples = sound(40_000, 3)
    keywords.detector(Detector(20, 0.0, 0, 1))
    send(keywords, samples)
    answers = keywords.scores().answers
    words = [a for a in answers if a.answer >= 2]
    found = keywords.detections()
    assert found.count == len(words)
    assert [(d.last_row, d.word) for d in found.detections] == [(a.row + ROWS - 1, a.answer) for a in words][
        :64
    ]
    for bad in (
        struct.pack("<HHHB", 0, 0, 0, 1),
        struct.pack("<HHHB", 2001, 0, 0, 1),
        struct.pack("<HHHB", 500, 0, 0, 0),
        struct.pack("<HHHB", 500, 0, 0, 101),
    ):
        refused(ErrorCode.LIMIT, client.send, (Type.DETECTOR, bad))


def test_what_the_board_refuses(client: Client, keywords: Keywords):
    refused(ErrorCode.LENGTH, client.send, (Type.SOUND, b""))
    refused(ErrorCode.LENGTH, client.send, (Type.SOUND, b"123"))
    refused(ErrorCode.LIMIT, client.send, (Type.LISTEN, b"\x03"))
    for kind, payload in (
        (Type.KEYWORD, b"\x00"),
        (Type.DETECTOR, bytes(6)),
        (Type.LISTEN, b""),
        (Type.SCORES, bytes(3)),
        (Type.DETECTIONS, bytes(5)),
        (Type.FEATURES, bytes(5)),
    ):
        refused(ErrorCode.LENGTH, client.send, (kind, payload))
    assert "no microphone" in refused(ErrorCode.MICROPHONE, keywords.listen, "microphones")
    keywords.sound(sound(10, 4))  # the source is as it was
    keywords.listen("off")
    refused(ErrorCode.STATE, keywords.sound, sound(10, 4))


def test_hello_begins_anew(client: Client, keywords: Keywords):
    client.select(2)
    send(keywords, sound(30_000, 5))
    client.hello()
    found = keywords.scores()
    assert (found.count, found.rows, found.samples, found.entry, found.source) == (0, 0, 0, 0, "off")
    keywords.listen("link")
    send(keywords, samples := sound(20_000, 6))
    check(keywords.scores().answers, samples, list(range(0, 13, 4)), "streams")


def test_images_and_tasks_do_not_disturb_a_stream(client: Client, keywords: Keywords):
    """Images lie where the stream computes, and tasks want memory at its end."""
    samples = sound(40_000, 7)
    rng = np.random.default_rng(7)
    image = rng.integers(-128, 128, (49, 40, 1)).astype(np.int8)
    wanted = probabilities("streams", image[..., 0])
    for at in range(0, len(samples), 4000):
        send(keywords, samples[at : at + 4000])
        slot = int(rng.integers(8))
        client.task(slot, 200, 0.0, int(rng.integers(1, 2000)))  # more important than inference
        client.task(slot, 200, 0.0, 0)
        if at % 8000:
            raw = client.infer(image).outputs[0].reshape(-1).astype(int) + 128
            assert tuple(raw) == wanted
    found = keywords.scores()
    check(found.answers, samples, list(range(0, found.rows - ROWS + 1, 4)), "streams")
    assert client.status().damaged == 0


def test_a_policy_chooses_before_each_window(client: Client, keywords: Keywords):
    """By memory: a task takes all that the entry with the smallest arena can do without."""
    whole = client.hello().arena_bytes
    keywords.listen("link")
    arenas = [model.arena_bytes for model in client.models()]
    client.policy(Policy("ram", up_frames=1))
    samples = sound(45_000, 8)
    send(keywords, samples[:24_000])
    before = keywords.scores().count
    client.task(0, 200, 0.0, (whole - min(arenas)) // 8 * 8)
    send(keywords, samples[24_000:])
    rows, found = rows_of(samples), keywords.scores().answers
    assert {a.entry for a in found[before:]} == {arenas.index(min(arenas))}
    assert arenas.index(min(arenas)) not in {a.entry for a in found[:before]}
    for a in found:
        assert a.raw == probabilities(list(NETS)[a.entry], rows[a.row : a.row + ROWS])
    assert client.status().damaged == 0


@pytest.mark.parametrize("kind", [t for t in Type if Type.KEYWORD <= t <= Type.FEATURES])
def test_other_applications_have_no_such_commands(kind):
    with NativeBoard(link_support.firmware()) as board:
        client = Client(board.open(), timeout_s=10)
        refused(ErrorCode.TYPE, client.send, (kind, b"\x00"))


class Alone(alone_board.Alone):
    """The firmware with microphones."""

    def __init__(self, folder: Path, samples: np.ndarray):
        super().__init__(firmware("audio"), "TINYSWITCH_SOUND", folder / "sound", samples)

    def lines(self, count: int, timeout: float = 20.0) -> list[str]:
        return super().lines(count, timeout)


def test_without_a_host_each_detection_is_a_line_of_text(tmp_path):
    samples = np.concatenate([sound(32_000, seed) for seed in range(6)])
    host = Spotter()
    host.push(samples)
    assert host.counts[3] > 1
    wanted = [f"{CLASSES[d.word]} {(d.mean * 100 + 32768) >> 16} %" for d in host.detections()]
    board = Alone(tmp_path, samples)
    try:
        assert board.lines(len(wanted)) == wanted
    finally:
        assert board.close() == 0


def test_a_codec_that_fails_and_comes_back_is_told(tmp_path):
    Path(f"{tmp_path}/sound.state").write_text("3")
    board = Alone(tmp_path, sound(4000, 9))
    try:
        assert board.lines(1) == ["microphones: codec does not answer"]
        Path(f"{tmp_path}/sound.state").unlink()
        assert board.lines(1) == ["microphones: codec answers again"]
    finally:
        assert board.close() == 0


def test_the_microphones_are_the_source_from_their_first_sample_on(tmp_path, monkeypatch):
    samples = sound(48_000, 10)
    (tmp_path / "sound").write_bytes(samples.astype("<i2").tobytes())
    monkeypatch.setenv("TINYSWITCH_SOUND", str(tmp_path / "sound"))
    with NativeBoard(firmware("audio")) as board:
        client = Client(board.open(), timeout_s=20)
        client.hello()
        keywords = Keywords(client)
        assert (keywords.scores().source, keywords.scores().microphones) == ("off", "off")
        for _ in range(2):  # again: from the beginning
            keywords.listen("microphones")
            until = time.monotonic() + 30
            while (found := keywords.scores()).samples < len(samples):
                assert time.monotonic() < until
                time.sleep(0.02)
            assert (found.source, found.microphones) == ("microphones", "on")
            assert found.longest_fetch > 0
            check(found.answers, samples, list(range(0, found.rows - ROWS + 1, 4))[:34], "streams")
            refused(ErrorCode.STATE, keywords.sound, samples[:1])
        keywords.listen("off")
        assert keywords.scores().microphones == "off"
