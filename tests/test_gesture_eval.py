"""stream-eval --app gesture on the native board: figures, resuming, a line that fails, bad input."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from task_support import failure, load_tasks
from test_gesture_recordings import document, write_json
from tinyswitch import firmware
from tinyswitch.boards.native import NativeBoard
from tinyswitch.commands import gestures as command
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.gesture import material, stream
from tinyswitch.evaluate.gesture.display import gesture_tables
from tinyswitch.evaluate.gesture.reference import Reference
from tinyswitch.evaluate.gesture.stream import Job, gesture_eval
from tinyswitch.gestures import record, table
from tinyswitch.gestures.record import DEFAULT
from tinyswitch.gestures.recording import read_folder
from tinyswitch.link import Client, LinkError

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc to build the native board with")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> firmware.Build:
    """In a place where no other test replaces it."""
    build = firmware.build("native", "gesture", [DEFAULT])
    elf = tmp_path_factory.mktemp("native") / "firmware.elf"
    shutil.copy2(build.elf, elf)
    return replace(build, elf=elf)


def motion(seed: int, hertz: float, seconds: float = 5.0) -> np.ndarray:
    """(n, 3) in g at 104 Hz: a swing and gravity."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * 104)) / 104
    swing = 0.8 * np.sin(2 * np.pi * hertz * times) if hertz else np.zeros(len(times))
    return swing[:, None] * rng.uniform(0.3, 1, 3) + rng.normal(size=(len(times), 3)) * 0.01 + [0, 0, 1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("motions")
    for seed, (label, hertz) in enumerate(
        [("idle", 0), ("idle", 0), ("circle", 1.5), ("updown", 3), ("idle", 0)]
    ):
        write_json(path / f"{label}.{seed}.json", document(motion(seed, hertz)))
    return path


@pytest.fixture
def job(built, folder, tmp_path) -> Callable[..., Job]:
    def make(**changes: object) -> Job:
        entry = table.entries([DEFAULT])[0]
        where, found = material.recordings(entry.record, folder, None, lambda _: None)
        plain = Job(NativeBoard(built.elf), None, built, entry, where, found, tmp_path / "out")
        return replace(plain, **changes)

    return make


def run(job: Job) -> tuple[dict, str]:
    said = io.StringIO()
    return gesture_eval(job, Console(file=said, width=300)), said.getvalue()


def lines(job: Job) -> list[dict]:
    return [json.loads(line) for line in (job.out / "results.jsonl").read_text().splitlines()]


def test_every_window_is_answered_as_on_the_host(job, built):
    one = job()
    summary, _ = run(one)
    windows = 5 * len(range(0, 594 - 238 + 1, 30))  # 594 samples at 119 Hz
    assert summary["images"] == summary["answered"] == summary["identical_outputs"] == windows
    assert summary["lost"] == 0 and summary["recordings"] == summary["recordings_answered"] == 5
    confusion = np.array(summary["confusion"])
    assert confusion.sum() == windows and summary["accuracy"] == np.trace(confusion) / windows
    assert summary["accuracy"] == summary["top1"] == summary["host_top1"]
    assert list(summary["per_class"]) == ["circle", "flick", "idle", "updown"]
    assert summary["per_class"]["idle"]["recall"] == confusion[2, 2] / confusion[2].sum()
    assert sum(summary["smoothed"].values()) == windows and summary["sensor"] is None
    assert summary["cpu_share"] == pytest.approx(
        summary["cycles_per_inference"]["median"] * (119 / 30) / summary["clock_hz"]
    )
    assert summary["instructions_per_inference"] is None
    parts = [v for k, v in summary["ram"].items() if k != "total"]
    assert summary["ram"]["total"] == sum(parts) > 0
    assert summary == json.loads((one.out / "summary.json").read_text())
    told = [line["label"] for line in lines(one)]
    assert told == ["circle", "idle", "updown", "idle", "idle"]  # classes take turns
    assert [t.row_count for t in gesture_tables(summary, one.entry.record.classes)][1] == 4


def test_a_slower_rate_is_another_entry(job):
    summary, _ = run(job(entry=table.entries([DEFAULT])[1]))
    assert summary["rate_hz"] == 50 and summary["model"] == "gesture-50hz"
    assert summary["identical_outputs"] == summary["images"] == 5 * len(range(0, 250 - 100 + 1, 12))


class Dying(Client):
    """Kills the board at the third recording."""

    board: NativeBoard
    recordings = 0

    def send(self, request):
        Dying.recordings += request[0] == 0x16 and request[1] == b"\x02"
        if Dying.recordings == 3 and self.board.process:
            self.board.process.kill()
        return super().send(request)


def test_a_run_goes_on_where_it_was(job):
    one = job()
    Dying.board, Dying.recordings = one.board, 0
    with pytest.raises(TinyswitchError, match="signal 9"):
        run(replace(one, client=Dying))
    kept = (one.out / "results.jsonl").read_text()
    assert len(kept.splitlines()) == 2 and not (one.out / "summary.json").exists()
    with (one.out / "results.jsonl").open("a") as file:
        file.write('{"recording": "half')  # a crash in the middle of a line
    summary, said = run(one)
    assert "2 of 5 recordings are answered already" in said
    assert (one.out / "results.jsonl").read_text().startswith(kept)
    assert summary["identical_outputs"] == summary["images"]
    before = (one.out / "results.jsonl").read_text()
    again, _ = run(replace(one, board=NativeBoard(Path("/nowhere"))))  # nothing is left to ask
    assert again == summary and (one.out / "results.jsonl").read_text() == before


def test_a_recording_that_has_changed_is_played_again(job, folder, tmp_path):
    copy = tmp_path / "recordings"
    shutil.copytree(folder, copy)
    entry = job().entry
    chosen = material.recordings(entry.record, copy, None, lambda _: None)
    one = job(folder=chosen[0], recordings=chosen[1])
    run(one)
    write_json(copy / "idle.0.json", document(motion(77, 0)))
    _, said = run(replace(one, recordings=material.recordings(entry.record, copy, None, lambda _: None)[1]))
    assert "4 of 5 recordings are answered already" in said
    assert len(lines(one)) == 6


def test_results_of_another_run_are_left_alone(job, built, tmp_path):
    one = job()
    run(one)
    other = tmp_path / "other.elf"
    other.write_bytes(built.elf.read_bytes() + b"\0")
    with pytest.raises(TinyswitchError, match="holds results of firmware"):
        run(replace(one, build=replace(built, elf=other)))
    with pytest.raises(TinyswitchError, match="holds results of model gesture, this is gesture-50hz"):
        run(replace(one, entry=table.entries([DEFAULT])[1]))


class Forgetful(Client):
    """The board refuses a recording now and then: ``faults`` are the numbers of the attempts."""

    faults: set[int]
    attempts = 0

    def send(self, request):
        if request[0] == 0x16 and request[1] == b"\x02":
            Forgetful.attempts += 1
            if Forgetful.attempts in self.faults:
                raise LinkError("out of order")
        return super().send(request)


def test_a_recording_that_fails_is_sent_again_and_one_that_always_fails_is_lost(job):
    one = job(client=Forgetful)
    Forgetful.faults, Forgetful.attempts = {1, 3, 4, 5}, 0
    summary, said = run(one)
    assert said.count("out of order; the recording is sent again") == 3
    assert "lost: out of order (3 attempts)" in said
    assert summary["lost"] == 12 and summary["answered"] == summary["identical_outputs"] == 48
    Forgetful.faults, Forgetful.attempts = set(range(1, 10)), 0
    with pytest.raises(TinyswitchError, match="3 recordings in a row got no answer; 0 are kept"):
        run(replace(one, out=one.out / "lost"))


class Lying(Reference):
    """Another answer than the board's, in one window of each recording."""

    def answers(self, samples):
        found = super().answers(samples)
        found[3] = replace(found[3], smoothed=tuple(reversed(found[3].smoothed)))
        return found


def test_a_single_bit_is_noticed(job, monkeypatch):
    monkeypatch.setattr(stream, "Reference", Lying)
    summary, _ = run(job())
    assert summary["identical_outputs"] == summary["answered"] - 5


def test_another_application_on_the_board_is_named(job):
    image = firmware.build("native", "image", [DEFAULT.with_name("digits.tflite")])
    with pytest.raises(
        TinyswitchError, match="the application on it is 'image'; run build-flash --app gesture"
    ):
        run(job(board=NativeBoard(image.elf)))


def test_the_task_as_a_user_calls_it(folder, tmp_path, capfd):
    stream_eval = load_tasks().stream_eval
    out = tmp_path / "results"
    stream_eval.body(None, board="native", app="gesture", recordings=str(folder), limit="2", out=str(out))
    assert "bit for bit" in capfd.readouterr().out
    assert json.loads((out / "summary.json").read_text())["recordings"] == 2
    for options, text in [
        ({"limit": "none"}, "--limit none: a whole number from 1 is needed"),
        ({"rate": "200"}, "--rate 200: "),
        ({"source": "air"}, "--source air: it is sensor or link"),
        ({"source": "sensor"}, "recordings can be played into the sensor of a virtual nano33ble alone"),
        ({"net": "mcunet-5fps"}, "its models take features"),
        ({"models": str(tmp_path / "no.tflite")}, "no such file"),
        ({"recordings": str(tmp_path / "nowhere")}, "no such folder"),
    ]:
        code, said = failure(capfd, stream_eval, **{"board": "native", "app": "gesture", **options})
        assert (code, text in said) == (1, True), said


def test_recordings_that_cannot_be_played_are_named(folder, tmp_path, capfd):
    stream_eval = load_tasks().stream_eval

    def said(**files: dict) -> str:
        bad = tmp_path / "bad"
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(folder, bad)
        for name, content in files.items():
            write_json(bad / name.replace("_", "."), content)
        options = {"board": "native", "app": "gesture", "recordings": str(bad), "out": str(tmp_path / "o")}
        code, text = failure(capfd, stream_eval, **options)
        assert code == 1
        return text

    unknown = "label 'wave' is unknown; there are circle, flick, idle, updown"
    assert unknown in said(wave_1_json=document(motion(1, 2)))
    assert "idle.9.json: 1.50 s; at least 2.00 s are needed" in said(idle_9_json=document(motion(1, 0, 1.5)))
    damaged = document(motion(1, 0))
    damaged["payload"]["values"][7][1] = "x"
    assert "sample 7: y is 'x', not a number" in said(idle_9_json=damaged)


def write_record(folder: Path, **changes: object) -> Path:
    """A copy of the committed model with another record."""
    model = folder / "other.tflite"
    shutil.copy2(DEFAULT, model)
    content = json.loads(DEFAULT.with_suffix(".json").read_text())
    model.with_suffix(".json").write_text(json.dumps({**content, **changes}))
    return model


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"classes": ["circle", "flick", "idle"]}, "its record names 3 classes"),
        ({"classes": ["a"]}, "1 classes; a board takes 2 to 8"),
        ({"classes": [*"abc", "ü"]}, "class 'ü'; a board takes names of 1 to 31 ASCII characters"),
        ({"feature_indices": list(range(32))}, "its record names 32 features"),
        ({"feature_indices": [33] * 33}, "feature_indices must be numbers from 0 to 32"),
        ({"rates": [{"rate_hz": 119}]}, "not the record of a gesture model"),
        ({"rates": [{"rate_hz": 50, "samples": 300, "log2_length": 8, "accuracy": 1}]}, "is not possible"),
        ({"classes": None}, "not the record of a gesture model"),
    ],
)
def test_a_record_that_cannot_be_is_refused(changes, text, tmp_path):
    model = write_record(tmp_path, **changes)
    with pytest.raises(TinyswitchError) as error:
        firmware.build("native", "gesture", [model])
    assert text in str(error.value) and str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_needs_a_record_and_models_the_same_classes(tmp_path):
    model = write_record(tmp_path)
    assert [entry.name for entry in table.entries([DEFAULT, model])] == [
        "gesture",
        "gesture-50hz",
        "other",
        "other-50hz",
    ]
    swapped = write_record(tmp_path, classes=["circle", "idle", "flick", "updown"])
    with pytest.raises(TinyswitchError, match=r"its classes .* are not those of"):
        table.entries([DEFAULT, swapped])
    swapped.with_suffix(".json").unlink()
    with pytest.raises(TinyswitchError, match=r"other\.json: not there; a gesture model needs the record"):
        record.read(swapped)
    swapped.with_suffix(".json").write_text("{")
    with pytest.raises(TinyswitchError, match=r"other\.json: not JSON"):
        record.read(swapped)
    shutil.copy2(DEFAULT.with_name("digits.tflite"), tmp_path / "digits.tflite")
    shutil.copy2(DEFAULT.with_suffix(".json"), tmp_path / "digits.json")
    with pytest.raises(TinyswitchError, match=r"digits\.tflite: input .* its record names 33 features"):
        firmware.build("native", "gesture", [tmp_path / "digits.tflite"])


def test_held_out_recordings_are_those_of_the_record(monkeypatch, tmp_path, folder):
    found = record.read(DEFAULT)
    monkeypatch.setenv("TINYSWITCH_DATA", str(tmp_path))
    with pytest.raises(TinyswitchError, match="no recordings: give --recordings DIR, or set TINYSWITCH_DATA"):
        material.recordings(found, None, None, lambda _: None)
    shutil.copytree(folder, tmp_path / "gestures" / "some")
    with pytest.raises(TinyswitchError, match="no folder in it has the 20 held-out recordings"):
        material.recordings(found, None, None, lambda _: None)
    known = replace(found, held_out=("idle.0.json", "updown.3.json"))
    where, chosen = material.recordings(known, None, None, lambda _: None)
    assert where == tmp_path / "gestures" / "some"
    assert [r.path.name for r in chosen] == ["idle.0.json", "updown.3.json"]
    assert len(read_folder(where, lambda _: None)) == 5


def test_only_virtual_boards_with_a_sensor_have_recordings_played_into_it(built):
    assert command._playing(NativeBoard(built.elf), built, None) is None
    virtual = NativeBoard(built.elf)
    virtual.name, virtual.kind = "nano33ble", "virtual"
    assert command._playing(virtual, built, "link") is None
    made = command._playing(virtual, built, None)(Path("circle.json"))
    assert made.name == "nano33ble" and "circle.json" in made.argv and "--motion-fast" in made.argv
    virtual.kind = "real"
    assert command._playing(virtual, built, None) is None
