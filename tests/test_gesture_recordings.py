"""Recordings of motion: files as they come, files that are wrong, other rates."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import examples
from tinyswitch.errors import TinyswitchError
from tinyswitch.features.spectral import DEFINES, G_PER_STEP, WINDOWS
from tinyswitch.gestures.recording import GRAVITY, Recording, read, read_folder
from tinyswitch.gestures.sampling import at_rate, starts

RATE = 104.0


def swing(seconds: float = 4.0, rate: float = RATE) -> np.ndarray:
    """(n, 3) in g: gravity and a swing of 2 Hz along x."""
    times = np.arange(round(seconds * rate)) / rate
    return np.stack([0.5 * np.sin(4 * np.pi * times), 0 * times, 1 + 0 * times], 1)


def document(values: np.ndarray, units: str = "g", rate: float = RATE) -> dict:
    sensors = [{"name": f"acc{axis}", "units": units} for axis in "XYZ"]
    return {
        "payload": {"interval_ms": 1000 / rate, "sensors": sensors, "values": np.asarray(values).tolist()}
    }


def write_json(path, content) -> None:
    path.write_text(json.dumps(content))


def write_csv(path, values: np.ndarray, heading: str = "timestamp_ms,x,y,z", rate: float = RATE) -> None:
    lines = [f"{i * 1000 / rate:.0f},{x},{y},{z}" for i, (x, y, z) in enumerate(values)]
    path.write_text("\n".join([heading, *lines]) + "\n")


def test_json_and_csv_of_a_motion_are_the_same_recording(tmp_path):
    write_json(tmp_path / "swing.1.json", document(swing()))
    write_csv(tmp_path / "swing.2.csv", swing())
    first, second = read(tmp_path / "swing.1.json"), read(tmp_path / "swing.2.csv")
    assert (first.label, second.label) == ("swing", "swing")
    assert first.rate_hz == pytest.approx(RATE)
    assert second.rate_hz == pytest.approx(RATE, rel=2e-3)  # times are whole milliseconds
    np.testing.assert_array_equal(first.samples, second.samples)
    np.testing.assert_array_equal(first.samples, swing())


@pytest.mark.parametrize(
    ("said", "factor", "remark"),
    [
        ("g", 1, None),
        ("m/s2", GRAVITY, None),
        ("m/s2", 1, "values are in g, not in m/s2"),
        ("g", GRAVITY, "values are in m/s2, not in g"),
    ],
)
def test_gravity_tells_the_unit(tmp_path, said, factor, remark):
    write_json(tmp_path / "swing.json", document(swing() * factor, said))
    lines = []
    (recording,) = read_folder(tmp_path, lines.append)
    np.testing.assert_allclose(recording.samples, swing(), atol=1e-12)
    assert lines == ([] if remark is None else [f"{tmp_path}: 1 of 1 recordings: {remark}: gravity says so"])


def test_samples_at_uneven_times_are_interpolated(tmp_path):
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(4, 16, 400))
    lines = [f"{t},{0.1 * t / 1000},0,1" for t in times]
    (tmp_path / "ramp.csv").write_text("\n".join(["timestamp_ms,ax,ay,az", *lines]))
    recording = read(tmp_path / "ramp.csv")
    even = times[0] + np.arange(400) / recording.rate_hz * 1000
    np.testing.assert_allclose(recording.samples[:, 0], 0.1 * even / 1000, atol=1e-9)


def test_labels_of_an_export_are_those_of_its_list(tmp_path):
    write_json(tmp_path / "a.json", document(swing()))
    write_json(tmp_path / "other.1.json", document(swing()))
    listed = {"files": [{"path": "a.json", "label": {"type": "label", "label": "wave"}}]}
    write_json(tmp_path / "info.labels", listed)
    assert [r.label for r in read_folder(tmp_path, print)] == ["wave", "other"]
    with pytest.raises(TinyswitchError, match=r"other\.1\.json: label 'other' is unknown; there are wave"):
        read_folder(tmp_path, print, {"wave"})


def broken(change) -> dict:
    content = document(swing())
    change(content["payload"])
    return content


BAD_JSON = {
    "axis": (lambda p: p["sensors"].pop(), "no axis z (there are accX, accY)"),
    "twice": (lambda p: p["sensors"][2].update(name="x"), "more than one axis x"),
    "nan": (lambda p: p["values"][7].__setitem__(1, float("nan")), "sample 7: y is nan, not a number"),
    "null": (lambda p: p["values"][7].__setitem__(2, None), "sample 7: z is None, not a number"),
    "row": (lambda p: p["values"][3].pop(), "sample 3 has 2 values instead of 3"),
    "rows": (lambda p: p.update(values=7), "values must be a list"),
    "interval": (lambda p: p.update(interval_ms=0), "interval_ms is 0; it must be a number above 0"),
    "interval text": (lambda p: p.update(interval_ms="fast"), "interval_ms is 'fast'"),
    "no values": (lambda p: p.pop("values"), "not a recording"),
    "empty": (lambda p: p.update(values=[]), "0 samples"),
    "still": (lambda p: p.update(values=[[0, 0, 0]] * 300), "at 0; acceleration with gravity is needed"),
    "steps": (lambda p: p.update(values=[[0, 0, 8000]] * 300), "above 8e+03"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_what_is_wrong_with_a_json_file_is_said_in_a_line(tmp_path, name):
    change, message = BAD_JSON[name]
    path = tmp_path / "swing.json"
    write_json(path, broken(change))
    with pytest.raises(TinyswitchError, match=re.escape(f"{path}: ") + ".*" + re.escape(message)) as error:
        read(path)
    assert "\n" not in str(error.value)


BAD_CSV = {
    "": "empty",
    "x,y,z\n1,2,3\n": "no column timestamp_ms (there are x, y, z)",
    "timestamp_ms,x,y\n0,1,2\n": "no axis z",
    "timestamp_ms,x,y,z\n0,0,0,1\n10,0,,1\n": "sample 1: y is '', not a number",
    "timestamp_ms,x,y,z\n0,0,0,1\n10,0,0,inf\n": "sample 1: z is 'inf', not a number",
    "timestamp_ms,x,y,z\n0,0,0,1\n10,0,0\n": "sample 1 has 3 values instead of 4",
    "timestamp_ms,x,y,z\n0,0,0,1\n0,0,0,1\n": "sample 1: its timestamp is not after the last",
    "timestamp_ms,x,y,z\n" + "".join(f"{t},0,0,1\n" for t in [0, 10, 20, 30, 500]): "sample 4: 470 ms",
}


@pytest.mark.parametrize("text", BAD_CSV)
def test_what_is_wrong_with_a_csv_file_is_said_in_a_line(tmp_path, text):
    path = tmp_path / "swing.csv"
    path.write_text(text)
    with pytest.raises(TinyswitchError, match=re.escape(f"{path}: ") + ".*" + re.escape(BAD_CSV[text])):
        read(path)


@given(st.binary(max_size=200))
@examples(60)
def test_any_bytes_are_a_recording_or_one_line(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp()
    for suffix in (".json", ".csv"):
        path = folder / f"any{suffix}"
        path.write_bytes(content)
        with pytest.raises(TinyswitchError) as error:
            read(path)
        assert len(str(error.value).splitlines()) == 1


def test_folders_without_recordings_are_refused(tmp_path):
    for folder, message in ((tmp_path / "none", "no such folder"), (tmp_path, "no recordings in it")):
        with pytest.raises(TinyswitchError, match=message):
            read_folder(folder, print)


def test_too_short_a_recording_is_refused(tmp_path):
    write_json(tmp_path / "swing.json", document(swing(1.5)))
    recording, window = read(tmp_path / "swing.json"), WINDOWS[119.0]
    with pytest.raises(TinyswitchError, match=r"swing\.json: 1\.50 s; at least 2\.00 s are needed"):
        starts(recording, at_rate(recording, 119.0), window, 0.25)


@pytest.mark.parametrize("source", [50.0, 104.0, 119.0, 400.0])
@pytest.mark.parametrize("rate", sorted(WINDOWS))
def test_other_rates_keep_the_motion(tmp_path, source, rate):
    recording = Recording(tmp_path, "swing", source, swing(6, source))
    samples = at_rate(recording, rate)
    assert samples.dtype == np.int16
    assert len(samples) == int((len(recording.samples) - 1) / source * rate + 1e-6) + 1
    times = np.arange(len(samples)) / rate
    wanted = 0.5 * np.sin(4 * np.pi * times) / G_PER_STEP
    inner = (times > 0.1) & (times < times[-1] - 0.1)
    error = np.abs(samples[:, 0] - wanted)[inner].max() * G_PER_STEP
    flattened = 0.5 * (1 - np.sinc(2.0 / rate)) if rate < source else 0.0  # by the mean over an interval
    assert error < flattened + 0.005
    assert (samples[:, 1] == 0).all()
    assert np.abs(samples[:, 2] - 1 / G_PER_STEP).max() <= 1


def test_a_lower_rate_does_not_fold_what_is_fast_into_what_is_slow(tmp_path):
    times = np.arange(2000) / 400.0
    fast = np.stack([np.sin(2 * np.pi * 117 * times)] * 3, 1)  # would be 2 Hz at 59.5 or 119 Hz
    assert at_rate(Recording(tmp_path, "x", 400.0, fast), 59.5).std() * G_PER_STEP < 0.05 < fast.std()


def test_a_recording_beyond_the_sensor_is_cut_off(tmp_path):
    samples = at_rate(Recording(tmp_path, "x", 119.0, np.full((300, 3), 3.5)), 119.0)
    assert (samples == DEFINES["LIMIT"]).all()
