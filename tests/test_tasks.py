"""The command line: exit codes, one-line errors, and what the tasks leave behind."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fake_board import MEMORY, FakeBoard, build_of, write_images, write_model
from task_support import ROOT, failure, load_tasks
from tinyswitch import doctor, firmware
from tinyswitch.commands import building, development
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import stream, target, verify

TASKS = {
    *("doctor", "nets", "convert", "build", "build-flash", "stream-eval", "host-eval", "verify", "train"),
    *(
        "demo",
        "test",
        "plan",
        "bench",
        "family",
        "search",
        "dynamic-eval",
        "host-dynamic",
        "compare-nets",
        "record",
        "listen",
        "screenshot",
    ),
}


@pytest.fixture(scope="module")
def tasks():
    return load_tasks()


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A fake board behind every task; results and caches go to a temporary folder."""
    model = write_model(tmp_path / "small.tflite")
    fake = FakeBoard(model)
    monkeypatch.setattr(target, "ROOT", tmp_path)
    monkeypatch.setattr(target, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(firmware, "build", lambda board, app, models: build_of(Path(models[0].path)))
    monkeypatch.setattr("tinyswitch.boards.connect", lambda board, port, build: fake, raising=False)
    for module, name in ((stream, "stream_eval"), (verify, "verify")):
        function = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *options, function=function: function(*options, client=fake.client)
        )
    fake.model_file, fake.images = model, write_images(tmp_path / "my images", 4)
    return fake


def invoke(*words, folder=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words], cwd=folder, capture_output=True, text=True, check=False
    )


def test_list_explains_every_task(tasks):
    done = invoke("--list")
    assert done.returncode == 0
    found = dict(re.findall(r"^  ([a-z-]+)\s+(\S.*)$", done.stdout, re.MULTILINE))
    assert set(found) == TASKS


def test_an_error_is_one_line_and_exit_status_1(tmp_path):
    done = invoke("host-eval", "--models", "missing.tflite", "--images", str(write_images(tmp_path / "d", 1)))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "missing.tflite: no such file; --models takes .tflite files, separated by commas\n"


def test_stream_eval_ends_with_a_table_and_a_summary(tasks, board, tmp_path, capfd):
    tasks.stream_eval.body(None, "stm32f746", models=str(board.model_file), images=str(board.images))
    summary = json.loads((tmp_path / "runs" / "stm32f746-small" / "summary.json").read_text())
    assert summary["answered"] == summary["identical_outputs"] == 4
    assert "4 of 4" in capfd.readouterr().out


def test_stream_eval_fails_when_images_are_lost_or_answers_differ(tasks, board, tmp_path, capfd):
    options = {"board": "stm32f746", "models": str(board.model_file), "images": str(board.images)}
    from tinyswitch.link import LinkError

    board.faults = {number: LinkError("refused", 4) for number in range(3)}
    assert failure(capfd, tasks.stream_eval, **options) == (
        1,
        "1 of 4 images lost; the same command goes on",
    )
    board.corrupt = lambda outputs: [output ^ 1 for output in outputs]
    code, line = failure(capfd, tasks.stream_eval, **options)
    assert code == 1 and "1 of 4 answers differ from LiteRT's" in line


def test_stream_eval_interrupted(tasks, board, tmp_path, capfd):
    board.faults = {2: KeyboardInterrupt()}
    code, line = failure(
        capfd, tasks.stream_eval, board="stm32f746", models=str(board.model_file), images=str(board.images)
    )
    assert code == 130 and line.startswith("interrupted: 2 of 4 answered, kept in")


def test_verify_writes_its_report_and_fails_on_a_corrupted_answer(tasks, board, tmp_path, capfd):
    options = {"board": "stm32f746", "models": str(board.model_file), "count": "4"}
    out = tmp_path / "sub folder" / "report.json"
    tasks.verify.body(None, **options, out=str(out))
    good = {"model": "small", "count": 4, "identical": 4, "max_abs_difference": 0}
    assert json.loads(out.read_text()) == good
    board.corrupt = lambda outputs: [output ^ 1 for output in outputs]
    code, line = failure(capfd, tasks.verify, **options, out=str(out))
    assert code == 1 and "answers differ from LiteRT's: small 4 of 4" in line
    assert json.loads(out.read_text()) == {**good, "identical": 0, "max_abs_difference": 1}


def test_host_eval(tasks, board, tmp_path, capfd):
    tasks.host_eval.body(None, models=str(board.model_file), images=str(board.images), limit="3")
    assert json.loads((tmp_path / "runs" / "host-small" / "summary.json").read_text())["answered"] == 3
    assert "3 of 3" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give one of --net NAME, --models FILE.tflite"),
        ({"net": "mcunet-5fps", "models": "x.tflite"}, "give one of --net NAME, --models FILE.tflite"),
        ({"net": "mcunet-6fps"}, "mcunet-5fps"),
        ({"models": "MODEL", "limit": "few"}, "--limit few: a whole number from 1"),
        ({"models": "MODEL", "limit": "0"}, "--limit 0: a whole number from 1"),
        ({"models": "MODEL,MODEL"}, "small.tflite: named twice"),
        ({"models": "LABELS"}, "LiteRT does not load it"),
        ({"models": "MODEL", "images": "/missing"}, "/missing: no such folder"),
    ],
)
def test_options_that_make_no_sense(tasks, board, capfd, options, words):
    names = {"MODEL": board.model_file, "LABELS": board.images / "labels.csv"}
    given = {"images": str(board.images)}
    for key, value in options.items():
        given[key] = re.sub(r"MODEL|LABELS", lambda match: str(names[match[0]]), value)
    code, line = failure(capfd, tasks.host_eval, **given)
    assert code == 1 and words in line, line


def test_no_images_anywhere(tasks, board, capfd, monkeypatch):
    monkeypatch.delenv("TINYSWITCH_DATA", raising=False)
    code, line = failure(capfd, tasks.host_eval, models=str(board.model_file))
    assert code == 1 and "--images FOLDER" in line and "TINYSWITCH_DATA" in line


def test_a_full_disk_is_one_line(tasks, board, capfd, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "build/x")

    monkeypatch.setattr(building, "build_firmware", full)
    code, line = failure(capfd, tasks.build, board="native", models="x")
    assert (code, line) == (1, "build/x: No space left on device")


def test_models_may_have_spaces_and_commas_in_their_names(board, tmp_path):
    odd = write_model(tmp_path / "a, b c.tflite")
    assert target.models(target.Choice(models=str(odd)), print) == [odd]
    other = write_model(tmp_path / "other.tflite")
    both = target.Choice(models=f"{board.model_file}, {other}")
    assert target.models(both, print) == [board.model_file, other]


def test_a_net_is_converted_once(tmp_path, monkeypatch):
    calls, lines = [], []

    def convert(net, checkpoint, calibration, out, log):
        calls.append((net.name, checkpoint))
        out.parent.mkdir(exist_ok=True)
        return write_model(out)

    monkeypatch.setattr("tinyswitch.quantize.convert", convert)
    monkeypatch.setattr(target, "MODELS", tmp_path / "models")
    for _ in range(2):
        model = target.converted("mcunet-5fps", lines.append)
        assert model.name == "mcunet-5fps-random.tflite"
    assert calls == [("mcunet-5fps", "random")]
    assert "random ones" in lines[0]
    model.with_suffix(".json").write_text('"older"')
    target.converted("mcunet-5fps", lines.append)
    assert len(calls) == 2
    model.write_bytes(b"converted from other weights, to the same place")
    target.converted("mcunet-5fps", lines.append)
    assert len(calls) == 3


def test_run_tests_names_what_failed(monkeypatch):
    class Done:
        def __init__(self, code):
            self.returncode = code

    monkeypatch.setattr(
        development.subprocess,
        "run",
        lambda command, **_: Done(int("ruff" in command or "pytest" in command)),
    )
    with pytest.raises(TinyswitchError, match="failed: ruff check, ruff format, pytest"):
        development.run_tests(False, lambda _: None)


def test_doctor_says_what_is_missing_and_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", "/missing")
    compiler = doctor.arm_compiler(doctor.NO_REGISTRY)
    assert compiler.state == "missing" and "apt-get install gcc-arm-none-eabi" in compiler.remedy
    text = doctor.report([doctor.Check("Python", "ok", "3.11"), compiler])
    assert "-> sudo apt-get install" in text and text.endswith("missing: ARM compiler")
    reachable = doctor.Check("PlatformIO registry", "ok", "answers")
    assert doctor.arm_compiler(reachable).state == "ok"
    assert doctor.report([doctor.Check("Python", "ok", "3.11")]).endswith("The main job can run.")


def test_doctor_compares_package_versions():
    assert doctor._package("numpy") is None
    assert "not installed" in doctor._package("no-such-package==1.*")[1]
    assert doctor._package("numpy==0.1.*")[1].endswith("0.1.* is needed")


def test_doctor_of_this_machine():
    checks = doctor.examine()
    assert {"Python", "Python packages", "ARM compiler", "disk", "virtual board"} <= {
        c.subject for c in checks
    }
    assert all(check.remedy for check in checks if check.state == "missing")


def test_memory_of_the_fake_matches_the_contract():
    assert set(MEMORY["ram"]) >= {"activations", "scratch", "static"}


def test_a_real_board_is_flashed_or_the_user_told(board, monkeypatch):
    uploads, lines = [], []
    board.kind, board.path = "real", "/dev/ttyACM0"
    monkeypatch.setattr(firmware, "upload", lambda built, port: uploads.append(port))
    building.flash(board, build_of(board.model_file), lines.append)
    assert uploads == ["/dev/ttyACM0"] and board.opened == 1

    def refuse(built, port):
        raise TinyswitchError("no OpenOCD")

    monkeypatch.setattr(firmware, "upload", refuse)
    building.flash(board, build_of(board.model_file), lines.append)
    assert lines == ["stm32f746: flashed", "stm32f746: not flashed, so what is on it is used: no OpenOCD"]
    board.kind = "virtual"
    building.flash(board, build_of(board.model_file), lines.append)
    assert board.opened == 2
