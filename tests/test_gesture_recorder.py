"""invoke record: samples of a sensor become files that training reads, and nothing is overwritten."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesture_support import firmware, moving
from models import examples, seeds
from task_support import failure, load_tasks
from tinyswitch.boards.native import NativeBoard
from tinyswitch.errors import TinyswitchError
from tinyswitch.features.spectral import DEFINES
from tinyswitch.gestures import recorder
from tinyswitch.gestures.recording import read
from tinyswitch.gestures.sampling import as_steps
from tinyswitch.link import Client
from tinyswitch.link.gesture import Gestures, Results


@given(seeds, st.sampled_from([119.0, 50.0]))
@examples(20)
def test_what_is_read_back_is_what_the_sensor_gave(tmp_path_factory, seed, rate):
    samples = moving(300, seed)
    folder = tmp_path_factory.mktemp("recorded")
    path = recorder.save(recorder.document(samples, rate, "nano33ble"), folder, "wave")
    found = read(path)
    limit = DEFINES["LIMIT"]
    assert (found.label, found.remarks) == ("wave", ())
    assert found.rate_hz == pytest.approx(rate, rel=1e-9)
    np.testing.assert_array_equal(as_steps(found.samples), np.clip(samples, -limit, limit))


def test_files_have_the_fields_of_edge_impulses_format(tmp_path):
    path = recorder.save(recorder.document(moving(10, 1), 119.0, "nano33ble"), tmp_path, "wave")
    content = json.loads(path.read_text())
    assert content["protected"]["ver"] == "v1" and content["protected"]["alg"] == "none"
    assert len(content["signature"]) == 64
    payload = content["payload"]
    assert payload["sensors"] == [{"name": f"acc{axis}", "units": "m/s2"} for axis in "XYZ"]
    assert payload["interval_ms"] == pytest.approx(8.403, abs=1e-3)
    assert np.shape(payload["values"]) == (10, 3)


def test_nothing_is_overwritten_whoever_else_is_writing(tmp_path):
    (tmp_path / "wave.002.json").write_text("mine")
    content = {"payload": "x" * 10_000}
    threads = [
        threading.Thread(target=recorder.save, args=({**content, "n": i}, tmp_path, "wave")) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "wave.002.json").read_text() == "mine"
    written = sorted(path.name for path in tmp_path.iterdir())  # and nothing else is left
    assert written == [f"wave.{n:03}.json" for n in range(1, 10)]
    numbers = {json.loads((tmp_path / name).read_text())["n"] for name in written if "002" not in name}
    assert numbers == set(range(8))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TinyswitchError, match="file"):
        recorder.save({}, tmp_path / "file" / "folder", "wave")


@pytest.mark.parametrize("label", ["", " ", "a.b", "a/b", "..", "a\n", "x "])
def test_labels_that_a_file_cannot_carry_are_refused(label):
    with pytest.raises(TinyswitchError, match="--label"):
        recorder.check_label(label)


@pytest.fixture
def sensor(tmp_path, monkeypatch):
    """A board with a sensor, the file of its samples, and the link."""
    file = tmp_path / "samples"
    monkeypatch.setenv("TINYSWITCH_MOTION", str(file))
    file.write_bytes(moving(450, 5).tobytes())
    with NativeBoard(firmware("motion")) as board:
        client = Client(board.open(), timeout_s=10)
        client.hello()
        yield Gestures(client), file


def test_a_recording_is_the_sensors_samples_from_now_on(sensor):
    gestures, _ = sensor
    done = []
    rate, samples = recorder.capture(gestures, 3, done.append)
    assert rate == 119.0
    np.testing.assert_array_equal(samples, moving(450, 5)[: 3 * 119])
    assert done == sorted(done) and done[-1] == pytest.approx(3)
    assert gestures.results().source == "off"


@pytest.mark.parametrize(
    ("state", "text"),
    [(3, "the motion sensor does not answer"), (4, "its bus is held low"), (2, "board has no motion sensor")],
)
def test_a_sensor_that_fails_is_said(sensor, state, text):
    gestures, file = sensor
    Path(f"{file}.state").write_text(str(state))
    with pytest.raises(TinyswitchError, match=text):
        recorder.capture(gestures, 3)


def test_a_sensor_that_stops_is_said(sensor, monkeypatch):
    gestures, _ = sensor
    monkeypatch.setattr(recorder, "PATIENCE_S", 0.3)
    with pytest.raises(TinyswitchError, match="gives no samples"):
        recorder.capture(gestures, 10)  # of which the file has 3.8 s


class Late:
    """Gestures of which samples are gone, or dropped by the sensor."""

    def __init__(self, gestures: Gestures, gone: int, dropped: int):
        self._gestures, self._gone, self._dropped = gestures, gone, dropped
        self._asked = 0

    def source(self, name: str) -> None:
        self._gestures.source(name)

    def results(self) -> Results:
        self._asked += 1
        lost = self._dropped if self._asked > 2 else 0
        return replace(self._gestures.results(), sensor_lost=lost)

    def motion(self, first: int) -> tuple[int, np.ndarray]:
        number, samples = self._gestures.motion(first)
        return number + self._gone, samples


def test_gaps_are_no_recording(sensor):
    gestures, _ = sensor
    with pytest.raises(TinyswitchError, match="samples 0 to 4 were not fetched in time"):
        recorder.capture(Late(gestures, 5, 0), 3)
    with pytest.raises(TinyswitchError, match="the sensor dropped 7 samples"):
        recorder.capture(Late(gestures, 0, 7), 3)


def test_the_task_says_what_is_wrong_with_its_options(capfd, tmp_path):
    record = load_tasks().record
    for options, text in [
        ({"app": "image"}, "--app image: recordings are made for gesture"),
        ({"label": "a.b"}, "--label 'a.b'"),
        ({"seconds": "1"}, "--seconds 1: a whole number from 2 is needed"),
        ({"count": "0"}, "--count 0"),
        ({"board": "native"}, "--board native: it has no motion sensor; nano33ble has one"),
        ({"board": "esp32"}, "no board 'esp32'"),
    ]:
        given_options = {"app": "gesture", "label": "wave", "out": str(tmp_path), **options}
        code, said = failure(capfd, record, **given_options)
        assert (code, text in said) == (1, True), said
    assert not list(tmp_path.iterdir())
