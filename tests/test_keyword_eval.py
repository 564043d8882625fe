"""stream-eval --app keyword, listen and screenshot on native and virtual boards."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import keyword_clips
import keyword_support
from task_support import failure, load_tasks
from tinyswitch import firmware
from tinyswitch.boards.native import NativeBoard
from tinyswitch.commands import keywords as command
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.keyword import material, reference, stream
from tinyswitch.evaluate.keyword.display import keyword_tables
from tinyswitch.evaluate.keyword.playing import KeywordSession
from tinyswitch.evaluate.keyword.reference import Reference, averages, crcs, features, heard_before
from tinyswitch.evaluate.keyword.stream import Job, keyword_eval
from tinyswitch.features.frontend import ROWS
from tinyswitch.keywords import clips, recording, wav
from tinyswitch.keywords.listen import Listener
from tinyswitch.keywords.record import Record
from tinyswitch.link import Client, LinkError
from tinyswitch.link.keyword import Detector

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc to build the native board with")
needs_arm = pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no ARM compiler")
EAGER = Detector(average_ms=200, threshold=0.2, suppression_ms=300, minimum=1)  # what noise nets detect, too


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> firmware.Build:
    """In a place where no other test replaces it."""
    models = keyword_support.models()
    build = firmware.build("native", "keyword", [models["streams"], models["whole"]])
    elf = tmp_path_factory.mktemp("native") / "firmware.elf"
    shutil.copy2(build.elf, elf)
    return replace(build, elf=elf)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Eight clips of two speakers."""
    return keyword_clips.write_folder(tmp_path_factory.mktemp("clips"), 2)


@pytest.fixture
def job(built, folder, tmp_path) -> Callable[..., Job]:
    def make(**changes: object) -> Job:
        record = Record(Path("none"), clips.CLASSES, None, ())
        where, found = material.of_clips(record, folder, None, lambda _: None)
        board, model, out = NativeBoard(built.elf), built.models[0], tmp_path / "out"
        cache = tmp_path / "cache"
        return replace(Job(board, None, built, model, where, found, out, cache, EAGER), **changes)

    return make


def run(job: Job) -> tuple[dict, str]:
    """The summary, and what was said."""
    text = io.StringIO()
    return keyword_eval(job, Console(file=text, width=200)), text.getvalue()


@needs_gcc
def test_every_window_and_detection_is_the_hosts(job):
    one = job()
    summary, _ = run(one)
    rows = (len(one.recordings[0].samples) - 480) // 320 + 1
    assert summary["images"] == summary["answered"] == len(range(0, rows - ROWS + 1, 4))
    assert summary["identical_outputs"] == summary["identical_features"] == summary["images"]
    assert summary["clips"] == summary["clips_answered"] == 8 and summary["lost"] == 0
    assert summary["accuracy"] == summary["host_top1"] == np.trace(summary["confusion"]) / 8
    assert [sum(row) for row in summary["confusion"]] == [2, 2, 2, 2]
    assert summary["detections"]["identical"] == summary["detections"]["detections"] > 0
    assert summary["detections"]["different"] == 0 and summary["detections"]["spoken"] == 4
    assert summary["streams"] and summary["windows_a_second"] == 12.5 and summary["microphones"] is None
    assert json.loads((one.out / "summary.json").read_text()) == summary
    text = io.StringIO()
    for table in keyword_tables(summary):
        Console(file=text, width=140).print(table)
    assert "equal to the host, bit for bit" in text.getvalue() and "truth" in text.getvalue()
    again, said = run(replace(one, board=NativeBoard(Path("/nowhere"))))  # nothing is left to ask
    assert again == summary and "1 of 1 recordings are answered already" in said
    with pytest.raises(TinyswitchError, match="holds results of detector"):
        run(replace(one, detector=Detector()))


@needs_gcc
@pytest.mark.parametrize("average, threshold, suppression, minimum", [(1, 0.0, 0, 1), (1000, 0.3, 1500, 4)])
def test_other_settings_and_a_net_that_is_computed_whole(
    job, built, average, threshold, suppression, minimum
):
    detector = Detector(average, threshold, suppression, minimum)
    summary, _ = run(job(model=built.models[1], detector=detector))
    assert summary["identical_outputs"] == summary["images"] > 0 and not summary["streams"]
    assert summary["detections"]["different"] == 0
    if not suppression:
        assert summary["detections"]["identical"] > 0


@needs_gcc
def test_long_recordings_without_clips_have_no_accuracy(job, tmp_path):
    folder = tmp_path / "long"
    for name in ("a", "b"):
        wav.write(folder / f"{name}.wav", keyword_support.sound(3 * 16000, len(name)))
    (folder / "a.csv").write_text("word,begin\nyes,1\n")
    _, found = material.long(folder, None, lambda _: None)
    summary, _ = run(job(recordings=found, folder=folder))
    assert summary["accuracy"] is summary["confusion"] is summary["detections"]["hits"] is None
    assert summary["recordings"] == 2 and summary["seconds"] == 6.0
    assert summary["identical_outputs"] == summary["images"] > 0
    per_hour = summary["detections"]["detections"] / (6 / 3600)
    assert summary["detections"]["detections_per_hour"] == pytest.approx(per_hour)
    (folder / "b.csv").write_text("word,begin\n")
    _, found = material.long(folder, None, lambda _: None)
    known, said = run(job(recordings=found, folder=folder))
    assert "2 of 2 recordings are answered already" in said  # what is spoken can be added later
    counts = known["detections"]
    assert counts["hits"] + counts["false_accepts"] == counts["detections"] and counts["spoken"] == 1
    assert len(list(keyword_tables(known))) == 1


class Lying(Reference):
    """Another answer than the board's, and another row, each in one window."""

    def expected(self, rows, progress=lambda: None):
        found = super().expected(rows, progress)
        answers = list(found.answers)
        answers[3] = replace(answers[3], mean=tuple(reversed(answers[3].mean)))
        answers[5] = replace(answers[5], rows_crc=answers[5].rows_crc ^ 1)
        return replace(found, answers=tuple(answers), detections=found.detections[1:])


@needs_gcc
def test_a_single_bit_is_noticed(job, monkeypatch):
    monkeypatch.setattr(stream, "Reference", Lying)
    summary, _ = run(job())
    assert summary["identical_outputs"] == summary["answered"] - 2
    assert summary["identical_features"] == summary["answered"] - 1
    assert summary["detections"]["different"] == 1


@needs_gcc
def test_a_model_that_is_replaced_meanwhile_is_noticed(job, built, tmp_path):
    other = tmp_path / "streams.tflite"
    other.write_bytes(keyword_support.models()["whole"].read_bytes())
    with pytest.raises(
        TinyswitchError, match=r"streams\.tflite: it has changed since the firmware was built"
    ):
        run(job(model=replace(built.models[0], source=other)))


class Forgetful(Client):
    """The board refuses sound now and then: ``faults`` are the numbers of the frames."""

    faults: frozenset[int] = frozenset()
    frames = 0

    def send(self, request):
        if request[0] == 0x1D:
            Forgetful.frames += 1
            if Forgetful.frames in self.faults:
                raise LinkError("out of order")
        return super().send(request)


@needs_gcc
def test_sound_that_is_lost_is_sent_again(job):
    Forgetful.faults, Forgetful.frames = frozenset({50}), 0
    summary, said = run(job(client=Forgetful))
    assert said.count("out of order; the recording is sent again") == 1
    assert summary["identical_outputs"] == summary["images"]


# What the host computes


@pytest.mark.parametrize("before", [0, 1, 79, 80, 81, 400, 1279])
@pytest.mark.parametrize("lead", [0, 15360])
def test_where_a_recording_begins_is_found_by_its_features(before, lead):
    samples = np.concatenate([np.zeros(lead, np.int16), keyword_support.sound(2 * 16000, 3)])
    found = crcs(features(samples, before))
    answers = [(row, found[row]) for row in range(ROWS - 1, len(found), 4)]
    assert heard_before(samples, answers) == before
    other = crcs(features(keyword_support.sound(2 * 16000 + lead, 4), before))
    assert heard_before(samples, [(row, other[row]) for row in range(ROWS - 1, len(other), 4)]) is None
    assert heard_before(np.zeros(32000, np.int16), answers) == 0


@given(st.integers(1, 120), st.integers(1, 40), st.sampled_from((1, 2, 4, 16)), st.integers(0, 99))
def test_the_mean_is_of_the_answers_of_the_last_rows(windows, rows, step, seed):
    raw = np.random.default_rng(seed).integers(0, 256, (windows, 4))
    found = averages(range(0, windows * step, step), raw, rows)
    for i, (mean, count) in enumerate(found):
        last = [raw[j] for j in range(i + 1) if (i - j) * step < rows][-reference.MOST_AVERAGED :]
        assert count == len(last)
        assert mean.tolist() == [(256 * int(s) + count // 2) // count for s in np.sum(last, 0)]


def test_clips_are_of_the_speakers_held_out_and_classes_take_turns(folder, monkeypatch, tmp_path):
    said: list[str] = []
    shutil.copytree(folder, tmp_path / clips.FOLDER)
    monkeypatch.setenv("TINYSWITCH_DATA", str(tmp_path))
    record = Record(Path("m.tflite"), clips.CLASSES, None, ("00000001", "_silence_/1"))
    _, (unseen,) = material.of_clips(record, None, None, said.append)
    assert [one.label for one in sorted(unseen.spoken, key=lambda s: s.label)] == [0, 1, 2, 3] and not said
    _, (all_of_them,) = material.of_clips(record, folder, None, said.append)
    assert len(all_of_them.spoken) == 8
    assert said == [f"{folder}: 4 of 8 clips are not of the speakers held out"]
    _, (some,) = material.of_clips(record, folder, 4, lambda _: None)
    assert sorted(one.label for one in some.spoken) == [0, 1, 2, 3]
    assert len(recording.joined([])) == 0


# Commands


@needs_gcc
def test_the_task_as_a_user_calls_it(folder, tmp_path, capfd):
    stream_eval = load_tasks().stream_eval
    out, model = tmp_path / "results", str(keyword_support.models()["streams"])
    options = {"board": "native", "app": "keyword", "models": model}
    wanted = "average_ms=100, threshold=0.25"
    stream_eval.body(None, **options, clips=str(folder), limit="2", detector=wanted, out=str(out))
    assert "bit for bit" in capfd.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["clips"] == 2
    assert summary["detector"] == vars(Detector(average_ms=100, threshold=0.25))
    for more, text in [
        ({"limit": "none"}, "--limit none: a whole number from 1 is needed"),
        ({"source": "air"}, "--source air: it is microphones or link"),
        ({"source": "microphones"}, "only a virtual stm32f746 can be played to"),
        ({"codec_fault": "absent"}, "--codec-fault: only a virtual stm32f746"),
        ({"detector": "treshold=1"}, "'treshold=1'; it takes NAME=NUMBER of average_ms, threshold, "),
        ({"detector": "minimum=2,threshold=high"}, "'threshold=high'; it takes NAME=NUMBER"),
        ({"detector": "minimum=0"}, "minimum 0; it is from 1 to 100"),
        ({"clips": "a", "recordings": "b"}, "give either --clips DIR or --recordings WAV"),
        ({"net": "mcunet-5fps"}, "its models take features"),
        ({"clips": str(tmp_path / "nowhere")}, "no WORD/*.wav"),
        ({"recordings": str(tmp_path / "nowhere")}, "no such file or folder"),
    ]:
        code, said = failure(capfd, stream_eval, **{**options, **more})
        assert (code, text in said) == (1, True), said
    listen = load_tasks().listen
    code, said = failure(capfd, listen, board="native", models=model)
    assert (code, "it has no microphones; give --audio FILE.wav" in said) == (1, True)
    code, said = failure(capfd, load_tasks().screenshot, board="native", models=model)
    assert (code, "--board native: it has no display; stm32f746 has one" in said) == (1, True)


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


@needs_gcc
@pytest.mark.parametrize("terminal", [False, True])
def test_what_a_board_hears_is_printed_as_it_comes(built, terminal):
    text, clock = io.StringIO(), Clock()
    console = Console(file=text, width=100, force_terminal=terminal)
    samples = np.concatenate([keyword_support.sound(16000, seed) for seed in range(4)])
    first = built.models[0]
    with KeywordSession(NativeBoard(built.elf), first.id, first.name, EAGER, print) as session:
        names = session.entry.classes
        listener = Listener(session.keywords, names, ["one", "two"], console, samples, clock, clock.sleep)
        listener.run()
        found = session.keywords.detections()
        assert session.keywords.scores().samples == len(samples)
        assert listener.detected == found.count > 0
        lines = [line for line in text.getvalue().splitlines() if " s  " in line and "%  (one)" in line]
        assert len(lines) == found.count
        at = (found.detections[0].last_row * 320 + 480) / 16000
        assert f"{at:.2f} s  {names[found.detections[0].word]}" in lines[0]
        assert ("processor" in text.getvalue()) == terminal
        assert clock.now == pytest.approx(4.0, abs=0.2)  # as fast as it is spoken
        Listener(session.keywords, names, [], console, samples, clock, clock.sleep).run(1.0)
        assert clock.now == pytest.approx(5.0, abs=0.3)

        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        Listener(session.keywords, names, [], console, samples, clock, interrupt).run()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> firmware.Build:
    build = firmware.build("stm32f746", "keyword", [keyword_support.models()["streams"]])
    elf = tmp_path_factory.mktemp("stm32f746") / "firmware.elf"
    shutil.copy2(build.elf, elf)
    return replace(build, elf=elf)


@needs_arm
def test_sound_played_into_the_microphones_of_a_virtual_board(embedded, folder, tmp_path):
    from tinyswitch.boards.virtual import VirtualBoard

    record = Record(Path("none"), clips.CLASSES, None, ())
    where, found = material.of_clips(record, folder, 2, lambda _: None)
    board = VirtualBoard(embedded.elf, "stm32f746")
    playing = command._playing(board, embedded, None, None)
    out, cache = tmp_path / "out", tmp_path / "cache"
    job = Job(board, playing, embedded, embedded.models[0], where, found, out, cache, EAGER)
    summary, _ = run(job)
    assert summary["source"] == "microphones" and summary["microphones"]["lost"] == 0
    assert summary["identical_outputs"] == summary["identical_features"] == summary["images"] > 0
    assert summary["clips_answered"] == 2 and summary["detections"]["different"] == 0
    line = json.loads((out / "results.jsonl").read_text())
    assert 60 < line["before"] < 100
    assert summary["instructions_per_inference"] > 4 * 50_000  # of four rows
    assert command._playing(board, embedded, "link", None) is None


@needs_arm
def test_an_unplugged_codec_is_one_line(embedded, folder, tmp_path, monkeypatch):
    from tinyswitch.boards.virtual import VirtualBoard
    from tinyswitch.evaluate.keyword import playing

    monkeypatch.setattr(playing, "CODEC_PATIENCE_S", 0.5)
    record = Record(Path("none"), clips.CLASSES, None, ())
    where, found = material.of_clips(record, folder, 1, lambda _: None)
    board = VirtualBoard(embedded.elf, "stm32f746")
    heard = command._playing(board, embedded, None, "absent")
    out, cache = tmp_path / "out", tmp_path / "cache"
    with pytest.raises(TinyswitchError, match="the codec of its microphones does not answer; connect it"):
        run(Job(board, heard, embedded, embedded.models[0], where, found, out, cache, EAGER))


@needs_arm
def test_a_picture_of_the_display(tmp_path, capfd):
    from PIL import Image

    sound, out = tmp_path / "sound.wav", tmp_path / "pictures" / "screen.png"
    wav.write(sound, keyword_support.sound(16000, 1))
    model = str(keyword_support.models()["streams"])
    load_tasks().screenshot.body(None, models=model, audio=str(sound), out=str(out))
    assert capfd.readouterr().out.strip() == str(out)
    with Image.open(out) as picture:
        assert picture.size == (480, 272) and len(picture.convert("RGB").getcolors(1 << 16)) > 3


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"average_ms": 0}, "average 0; it is from 1 to 2000"),
        ({"average_ms": 2001}, "average 2001"),
        ({"suppression_ms": 70000}, "suppression 70000; it is from 0 to 65535"),
        ({"minimum": 0}, "minimum 0; it is from 1 to 100"),
        ({"threshold": 1.5}, r"threshold 1\.5; it is from 0\.0 to 1\.0"),
    ],
)
def test_settings_that_a_detector_cannot_have_are_one_line(values, text):
    with pytest.raises(TinyswitchError, match=f"detector: {text}"):
        Detector(**values)


def test_settings_of_a_detector_as_the_board_takes_them():
    assert Detector().pack() == bytes.fromhex("f401 9a99 dc05 02")  # 500 ms, 39322, 1500 ms, 2
    assert Detector(threshold=1.0).threshold_steps == 0xFFFF
