"""The gesture application over the link: its commands, what it refuses, its sensor, its lines of text."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import alone_board
import link_support
from gesture_support import entries, firmware, moving
from tinyswitch.boards.native import NativeBoard
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.gesture.playing import agree
from tinyswitch.evaluate.gesture.reference import Answer, Reference
from tinyswitch.gestures.table import rate_mhz
from tinyswitch.link import Client, LinkError
from tinyswitch.link.gesture import KEPT_RESULTS, KEPT_SAMPLES, UNCERTAIN, Gestures
from tinyswitch.link.messages import ErrorCode, Type
from tinyswitch.switcher import Policy

FAST, SLOW = (rate_mhz(entry.rate) for entry in entries())


@pytest.fixture
def client() -> Iterator[Client]:
    with NativeBoard(firmware()) as board:
        client = Client(board.open(), timeout_s=10)
        client.hello()
        yield client


@pytest.fixture
def gestures(client: Client) -> Gestures:
    found = Gestures(client)
    found.source("link")
    return found


def host(samples: np.ndarray, entry: int = 0, smoothing: int = 3) -> list[Answer]:
    return Reference(entries()[entry], smoothing).answers(samples)


def send(gestures: Gestures, samples: np.ndarray, rate: int = FAST) -> None:
    for at in range(0, len(samples), 150):
        gestures.push(samples[at : at + 150], rate)


def refused(code: ErrorCode, call, *arguments: object) -> str:
    with pytest.raises(LinkError) as error:
        call(*arguments)
    assert error.value.code == code
    return str(error.value)


def test_the_board_says_what_its_entries_want(client: Client):
    found = [Gestures(client).entry(i) for i in range(2)]
    assert [model.name for model in client.models()] == ["gesture", "gesture-50hz"]
    for entry, wanted in zip(found, entries(), strict=True):
        window = wanted.rate.window
        assert (entry.rate_mhz, entry.samples, entry.log2_length, entry.step) == (
            rate_mhz(wanted.rate),
            window.samples,
            window.log2_length,
            wanted.rate.step,
        )
        assert (entry.features, entry.classes) == (wanted.record.features, wanted.record.classes)
    table = client.table()
    assert [entry.accuracy for entry in table] == [1.0, 0.9971]
    assert table[0].energy > table[1].energy > 0 and table[0].cycles > 1.5 * table[1].cycles
    assert table[0].group == table[1].group
    refused(ErrorCode.MODEL, Gestures(client).entry, 2)


def test_windows_are_answered_as_on_the_host(gestures: Gestures):
    samples = moving(900, 1)
    send(gestures, samples)
    found = gestures.results()
    answers = host(samples)
    assert (found.count, found.samples, found.source, found.sensor) == (len(answers), 900, "link", "none")
    assert all(agree(found.results, answers))
    assert all(window.feature_ticks > 0 and window.inference_ticks > 0 for window in found.results)
    assert gestures.results(20).results == found.results[20:]
    assert gestures.results(found.count).results == gestures.results(10**6).results == ()


def test_settings_and_what_they_may_be(client: Client, gestures: Gestures):
    samples = moving(600, 2)
    gestures.smoothing(1, 0.0)
    send(gestures, samples)
    certain = gestures.results().results
    assert all(agree(certain, [replace(a, answer=int(np.argmax(a.raw))) for a in host(samples, 0, 1)]))
    gestures.source("link")
    gestures.smoothing(5, 0.9999)
    send(gestures, samples)
    unsure = gestures.results().results
    assert {window.answer for window in unsure} == {UNCERTAIN}
    assert [w.smoothed for w in unsure] == [a.smoothed for a in host(samples, 0, 5)]
    for windows in (0, 17):
        refused(ErrorCode.LIMIT, client.send, (Type.SMOOTHING, bytes([windows, 0, 0])))
        with pytest.raises(TinyswitchError, match=f"smoothing over {windows} windows"):
            gestures.smoothing(windows)


def test_results_and_samples_are_kept_for_a_while(gestures: Gestures):
    samples = moving(3000, 3)
    send(gestures, samples)
    count = len(host(samples))
    found = gestures.results(5)
    assert (found.count, found.first) == (count, count - KEPT_RESULTS)
    assert all(agree(found.results, host(samples)[-KEPT_RESULTS:][: len(found.results)]))
    number, part = gestures.motion(7)
    assert number == 3000 - KEPT_SAMPLES
    np.testing.assert_array_equal(part, samples[number : number + len(part)])
    number, part = gestures.motion(2990)
    assert number == 2990
    np.testing.assert_array_equal(part, samples[2990:])
    assert len(gestures.motion(3000)[1]) == len(gestures.motion(10**9)[1]) == 0


def test_what_the_board_refuses(client: Client, gestures: Gestures):
    one = moving(1, 4)
    assert str(FAST) in refused(ErrorCode.RATE, gestures.push, one, SLOW)
    for bad in (b"", struct.pack("<I", FAST), struct.pack("<I", FAST) + b"12345", bytes(1088)):
        refused(ErrorCode.LENGTH, client.send, (Type.PUSH, bad))
    refused(ErrorCode.LIMIT, client.send, (Type.SOURCE, b"\x03"))
    for kind, payload in (
        (Type.GESTURE, b"\x00"),
        (Type.SOURCE, b""),
        (Type.SMOOTHING, b"\x01"),
        (Type.RESULTS, b"\x00\x00"),
        (Type.MOTION, bytes(5)),
    ):
        refused(ErrorCode.LENGTH, client.send, (kind, payload))
    assert "no motion sensor" in refused(ErrorCode.SENSOR, gestures.source, "sensor")
    gestures.push(one, FAST)  # the source is as it was
    gestures.source("off")
    refused(ErrorCode.STATE, gestures.push, one, FAST)


@pytest.mark.parametrize(
    "samples", [np.zeros((181, 3), np.int16), np.zeros((0, 3), np.int16), np.zeros((2, 3))]
)
def test_what_is_not_even_sent(gestures: Gestures, samples):
    with pytest.raises(ValueError, match="samples"):
        gestures.push(samples, FAST)


def test_hello_begins_anew(client: Client, gestures: Gestures):
    gestures.smoothing(9)
    client.select(1)
    send(gestures, moving(300, 5), SLOW)
    client.hello()
    found = gestures.results()
    assert (found.count, found.samples, found.entry, found.source) == (0, 0, 0, "off")
    gestures.source("link")
    send(gestures, samples := moving(400, 6))
    assert all(agree(gestures.results().results, host(samples)))


def test_a_model_that_is_selected_begins_anew_at_its_rate(client: Client, gestures: Gestures):
    send(gestures, moving(300, 7))
    client.select(1)
    refused(ErrorCode.RATE, gestures.push, moving(1, 7), FAST)
    samples = moving(260, 8)
    pushed = gestures.push(samples[:130], SLOW)
    assert (pushed.entry, pushed.rate_mhz, pushed.samples) == (1, SLOW, 430)
    gestures.push(samples[130:], SLOW)
    found = gestures.results(3)
    shifted = [replace(answer, first=answer.first + 300) for answer in host(samples, 1)]
    assert all(agree(found.results, shifted)) and {w.entry for w in found.results} == {1}


def test_a_policy_goes_to_the_slower_rate_and_back_as_the_battery_says(client: Client, gestures: Gestures):
    client.policy(Policy("energy", up_frames=2))
    client.limits(battery=1.0)
    samples = moving(1200, 9)
    send(gestures, samples[:450])
    found = gestures.results()
    assert {w.entry for w in found.results} == {0} and all(agree(found.results, host(samples[:450])))
    client.limits(battery=0.02)
    pushed = gestures.push(samples[450:600], FAST)  # the window from 240 on would be complete with sample 477
    assert (pushed.entry, pushed.rate_mhz, pushed.samples) == (1, SLOW, 478)
    refused(ErrorCode.RATE, gestures.push, samples[:1], FAST)
    gestures.push(samples[:140], SLOW)
    count = found.count
    found = gestures.results(count)
    slow = [replace(answer, first=answer.first + 478) for answer in host(samples[:140], 1)]
    assert all(agree(found.results, slow)) and {w.entry for w in found.results} == {1}
    client.limits(battery=1.0)
    pushed = gestures.push(samples[140:170], SLOW)  # two decisions later it is back
    assert (pushed.entry, pushed.rate_mhz) == (0, FAST)
    assert client.status().switches == 2


def test_features_and_model_are_learned_as_an_entrys_cycles(client: Client, gestures: Gestures):
    before = [entry.cycles for entry in client.table()]
    send(gestures, moving(900, 10))
    after = [entry.cycles for entry in client.table()]
    assert after[0] != before[0] and after[1] == before[1]


def test_the_application_answers_frames_of_features_too(client: Client, gestures: Gestures):
    features = np.random.default_rng(0).integers(-128, 128, (1, 1, 33)).astype(np.int8)
    wanted = Reference(entries()[0])._model.run(features.reshape(1, 1, 33))[0]
    assert (client.infer(features).outputs[0].reshape(-1) == wanted.reshape(-1)).all()
    client.send((Type.BEGIN, b""))
    send(gestures, moving(240, 11))  # a window is answered where the image would be computed
    refused(ErrorCode.STATE, client.send, (Type.DATA, struct.pack("<I", 0) + features.tobytes()))


@pytest.mark.parametrize("kind", [t for t in Type if Type.GESTURE <= t <= Type.MOTION])
def test_other_applications_have_no_such_commands(kind):
    with NativeBoard(link_support.firmware()) as board:
        client = Client(board.open(), timeout_s=10)
        refused(ErrorCode.TYPE, client.send, (kind, b"\x00"))


class Alone(alone_board.Alone):
    """The firmware with a sensor."""

    def __init__(self, folder: Path, samples: np.ndarray):
        super().__init__(firmware("motion"), "TINYSWITCH_MOTION", folder / "samples", samples)

    def lines(self, count: int, timeout: float = 5.0) -> list[str]:
        return super().lines(count, timeout)

    def state(self, number: int | None) -> None:
        path = Path(f"{self.file}.state")
        if number is None:
            path.unlink()
        else:
            path.with_suffix(".new").write_text(str(number))
            path.with_suffix(".new").replace(path)


def told(answers: list[Answer]) -> list[str]:
    """The lines of text for these answers: one for each change."""
    classes, lines, last = entries()[0].record.classes, [], None
    for answer in answers:
        if answer.answer != last:
            percent = (
                (answer.smoothed[answer.answer] * 100 + 32768) >> 16 if answer.answer != UNCERTAIN else 0
            )
            lines.append(
                "uncertain" if answer.answer == UNCERTAIN else f"{classes[answer.answer]} {percent} %"
            )
            last = answer.answer
    return lines


def changing(parts: int = 8) -> np.ndarray:
    """Motions one after the other, so that answers change."""
    still = np.tile(np.array([[100, -200, 8190]], np.int16), (400, 1))
    return np.concatenate([moving(400, 20 + i) if i % 2 else still for i in range(parts)])


def test_without_a_host_each_change_is_a_line_of_text(tmp_path):
    samples = changing()
    wanted = told(host(samples))
    assert len(wanted) >= 4
    board = Alone(tmp_path, samples)
    try:
        lines = board.lines(len(wanted))
        # the newest answer is looked at after each fetch, which may complete two windows
        assert set(lines) <= set(wanted) | {told([a])[0] for a in host(samples)} and len(lines) >= 4
        assert lines[0] == wanted[0]
    finally:
        assert board.close() == 0


def test_a_sensor_that_fails_and_comes_back_is_told(tmp_path):
    samples = changing(2)
    Path(f"{tmp_path}/samples.state").write_text("3")
    board = Alone(tmp_path, samples)
    try:
        assert board.lines(1) == ["motion sensor: does not answer"]
        board.state(4)
        assert board.lines(1) == ["motion sensor: its bus is stuck"]
        board.state(None)
        assert board.lines(2) == ["motion sensor: answers again", told(host(samples))[0]]
    finally:
        assert board.close() == 0


@pytest.fixture
def sensing(tmp_path, monkeypatch) -> Iterator[tuple[NativeBoard, np.ndarray]]:
    samples = changing(4)
    (tmp_path / "samples").write_bytes(samples.astype("<i2").tobytes())
    monkeypatch.setenv("TINYSWITCH_MOTION", str(tmp_path / "samples"))
    with NativeBoard(firmware("motion")) as board:
        yield board, samples


def wait_for(gestures: Gestures, samples: int):
    until = time.monotonic() + 5
    while (found := gestures.results()).samples < samples:
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def test_the_sensor_is_the_source_from_its_first_sample_on(sensing):
    board, samples = sensing
    client = Client(board.open(), timeout_s=10)
    client.hello()
    gestures = Gestures(client)
    assert (gestures.results().source, gestures.results().sensor) == ("off", "off")
    for _ in range(2):  # again: from the beginning
        gestures.source("sensor")
        found = wait_for(gestures, len(samples))
        assert (found.sensor, found.sensor_rate_mhz, found.source) == ("on", FAST, "sensor")
        part = gestures.results(0).results + gestures.results(len(found.results)).results
        assert all(agree(part[: len(host(samples))], host(samples)))
        refused(ErrorCode.STATE, gestures.push, samples[:1], FAST)
    restarts = found.sensor_restarts
    client.select(1)  # another rate: the sensor is started again
    found = wait_for(gestures, 2 * len(samples))
    assert found.sensor_rate_mhz == SLOW and found.sensor_restarts == restarts + 1
    gestures.source("off")
    assert gestures.results().sensor == "off"


def test_a_host_that_goes_silent_leaves_the_board_to_itself(sensing):
    board, samples = sensing
    port = board.open()
    client = Client(port, timeout_s=10)
    client.hello()
    gestures = Gestures(client)
    gestures.source("link")
    gestures.push(samples[:10], FAST)
    port.timeout = 12
    begin = time.monotonic()
    line = port.read_until(b"\r\n")
    assert 9.5 < time.monotonic() - begin < 11.5
    assert line.decode() == told(host(samples))[0] + "\r\n"
    assert gestures.results().source == "sensor"  # the session is still the same one
    refused(ErrorCode.STATE, gestures.push, samples[:1], FAST)
    gestures.source("link")
    gestures.push(samples[:1], FAST)
