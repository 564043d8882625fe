"""bench: figures of a board that add up, and what is made of them."""

import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from fake_board import FakeBoard, FakeClient, write_model
from task_support import ROOT, failure, load_tasks
from tinyswitch import firmware
from tinyswitch.boards import connect
from tinyswitch.commands import evaluating
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import baselines, bench_display, bench_plot, target
from tinyswitch.evaluate.bench import bench
from tinyswitch.evaluate.session import Session
from tinyswitch.firmware import project
from tinyswitch.link import LinkLost

DIGITS = ROOT / "models" / "digits.tflite"
KEYS = {
    *("model", "board", "board_kind", "unit", "clock_hz", "cycle_model", "macs", "ticks", "ticks_per_mac"),
    *(
        "instructions",
        "instructions_per_mac",
        "ram_bytes",
        "ram",
        "flash_bytes",
        "count",
        "identical_outputs",
    ),
    *("engine", "kinds", "stages", "baseline"),
}
COMPILERS = {"native": "gcc", "stm32f746": "arm-none-eabi-gcc"}
STEP_INSTRUCTIONS = range(30, 60)  # that the engine takes between two steps; 20 less if nothing is subtracted


@pytest.fixture(scope="module", params=COMPILERS)
def record(request, tmp_path_factory):
    """Of the digits on each board that can be had without hardware."""
    if not shutil.which(COMPILERS[request.param]):
        pytest.skip(f"no {COMPILERS[request.param]}")
    built = firmware.build(request.param, "image", [DIGITS])
    with connect(request.param, "virtual", built) as board:
        console = Console(file=io.StringIO())
        return bench(
            board, built, 2, 5, {"tflm_arena_bytes": 9000}, tmp_path_factory.mktemp("cache"), console
        )


def test_a_profile_goes_on_when_the_board_was_gone(tmp_path):
    model = write_model(tmp_path / "m.tflite")
    board = FakeBoard(model, {1: LinkLost("gone")})
    told = []

    class ProfilingClient(FakeClient):
        def profile(self, on):
            told.append(on)
            if len(told) == 4:
                raise LinkLost("gone")

    with Session(board, board.id, lambda _: None, client=ProfilingClient) as session:
        frame = np.zeros(session.model.input.shape, np.int8)
        session.profile(True)
        for _ in range(2):  # the second needs two attempts
            session.infer(frame)
        session.profile(True)
        assert (told, board.opened) == ([True, True], 2)
        session.profile(False)
        session.profile(True)  # reopens, which starts without a profile
        assert (told, board.opened) == ([True, True, False, True, True], 3)


def test_keys_and_identity(record):
    assert set(record) == KEYS
    assert (record["model"], record["count"], record["identical_outputs"]) == ("digits", 2, 2)
    assert record["baseline"] == {"tflm_arena_bytes": 9000}
    assert set(record["flash_bytes"]) == {"code", "tables", "weights"} and all(record["flash_bytes"].values())
    assert record["ram_bytes"] == record["ram"]["activations"] + record["ram"]["scratch"]
    assert record["ram"]["total"] == sum(v for k, v in record["ram"].items() if k != "total")
    json.dumps(record)


def test_stages_add_up_to_the_model(record):
    stages, engine = record["stages"], record["engine"]
    assert [s["index"] for s in stages] == list(range(14))
    assert sum(s["macs"] for s in stages) == record["macs"] == sum(k["macs"] for k in record["kinds"])
    ticks = sum(s["ticks"] for s in stages)
    assert ticks == sum(k["ticks"] for k in record["kinds"])
    assert ticks + engine["ticks"] == record["ticks"]
    assert {k["kind"]: k["stages"] for k in record["kinds"]} == {
        **{"conv": 1, "pointwise": 6, "depthwise": 3, "add": 2, "mean": 1, "dense": 1},
    }
    assert stages[0]["input_shape"] == [8, 8, 1] and stages[-1]["output_shape"] == [1, 1, 10]


def test_only_what_counts_instructions_says_so(record):
    exact = record["board"] == "stm32f746"
    assert record["unit"] == ("instructions" if exact else "ns")
    for part in (record, record["engine"], *record["stages"], *record["kinds"]):
        assert part["instructions"] == (part["ticks"] if exact else None)
    if not exact:
        return
    # reading the clock is subtracted: what is left is the engine's own, a few instructions an entry
    assert record["engine"]["ticks"] // record["engine"]["entries"] in STEP_INSTRUCTIONS
    assert 5 < record["engine"]["clock_ticks"] < 60
    assert all(s["instructions"] > 0 for s in record["stages"])
    assert (
        record["stages"][1]["instructions_per_mac"]
        == record["stages"][1]["ticks"] / record["stages"][1]["macs"]
    )


def test_tables_and_pictures(record, tmp_path):
    console = Console(width=140, record=True, file=io.StringIO())
    for table in [*bench_display.parts_tables(record, True), *bench_display.model_tables([record])]:
        console.print(table)
    text = console.export_text()
    assert f"{record['ticks']:,}" in text and record["unit"] in text and "2 of 2" in text
    assert "beside other engines" in text and "8x8x1" in text
    pictures = bench_plot.draw([record, {**record, "stages": []}], tmp_path / "new")
    assert [p.name for p in pictures] == ["bench.png", "digits-stages.png"]
    assert all(Image.open(p).size[0] > 1000 for p in pictures)


def test_a_model_without_figures_of_stages(record):
    bare = {**record, "stages": [], "kinds": [], "baseline": {}}
    assert bench_display.parts_tables(bare, True) == []
    assert len(bench_display.model_tables([bare])) == 1


def test_baselines_of_a_file_whatever_its_suffix():
    known = baselines.of_board(project.board("stm32f746", "image"))
    assert baselines.of_model("mcunet-5fps_vww", known)["tflm_arena_bytes"] == 219808
    for name in ("mcunet-320kb-1mb", "mcunet-320kb-1mb_imagenet", "mcunet-320kb-1mb-random"):
        assert baselines.of_model(name, known)["tinyengine_peak_bytes"] == 266344
    assert baselines.of_model("micro_speech_quantized", known)["tflm_arena_bytes"] == 6836
    assert baselines.of_model("mine-random", known) == {}
    assert baselines.of_board(project.board("native", "image")) == {}


def test_damaged_baselines(tmp_path):
    with pytest.raises(TinyswitchError, match=r"b\.json"):
        baselines.of_board(project.board("stm32f746", "image"), tmp_path / "b.json")


@pytest.fixture(scope="module")
def tasks():
    return load_tasks()


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Benchmarks without a board: ``too_large`` names models that do not fit, ``wrong`` those that err."""
    state = SimpleNamespace(too_large=set(), wrong=set(), models=[DIGITS], unit="instructions")

    def one(board, port, model, count, seed, known, log):
        if model.stem in state.too_large:
            raise firmware.DoesNotFit(f"{model.stem}: does not fit")
        return {
            "model": model.stem,
            "count": count,
            "identical_outputs": 0 if model.stem in state.wrong else count,
            "board": board,
            "unit": state.unit,
            "ticks": 1234,
        }

    monkeypatch.setattr(evaluating, "_bench", one)
    monkeypatch.setattr(target, "measured", lambda choice, log: state.models)
    monkeypatch.setattr(target, "ROOT", tmp_path)
    monkeypatch.setattr(bench_plot, "draw", lambda records, folder: [])
    for name in ("parts_tables", "model_tables"):
        monkeypatch.setattr(bench_display, name, lambda *_: [])
    state.file = tmp_path / "runs" / "bench-stm32f746" / "bench.json"
    return state


def test_what_does_not_fit_is_left_out(fake, tasks, capfd):
    small, large = DIGITS, DIGITS.with_name("large.tflite")
    fake.models, fake.too_large = [large, small], {"large"}
    tasks.bench.body(None, "stm32f746")
    assert [r["model"] for r in json.loads(fake.file.read_text())] == ["digits"]
    assert "large: does not fit" in capfd.readouterr().err
    code, line = failure(capfd, tasks.bench, board="stm32f746", models="large.tflite,digits.tflite")
    assert (code, line) == (1, "left out, since they do not fit stm32f746: large")


@pytest.mark.parametrize("unit", ["cycles", "instructions", "ns"])
def test_a_family_remembers_what_it_takes(fake, tasks, tmp_path, monkeypatch, unit):
    """The next build has it in its model table; the native board's nanoseconds are this machine's alone."""
    shipped = ROOT / "models" / "families" / "digits"
    content = json.loads((shipped / "record.json").read_text())
    for row in content["subnets"]:
        row["cycles"] = row["instructions"] = {}
    (tmp_path / "record.json").write_text(json.dumps(content))
    monkeypatch.setattr(target, "made_family", lambda family, log: tmp_path)
    fake.models, fake.wrong, fake.unit = [tmp_path / "full.tflite", tmp_path / "w50.tflite"], {"w50"}, unit
    with pytest.raises(SystemExit):
        tasks.bench.body(None, "stm32f746", family="digits")
    entries = target.entries(target.Choice(family="digits"), "stm32f746", print)
    assert [entry.cycles for entry in entries] == [None if unit == "ns" else 1234, None, None, None]
    assert target.entries(target.Choice(family="digits"), "native", print)[0].cycles is None


def test_wrong_answers_fail(fake, tasks, capfd):
    fake.wrong = {"digits"}
    code, line = failure(capfd, tasks.bench, board="stm32f746", count="3")
    assert code == 1 and line.endswith("answers that differ from LiteRT's: digits")
    assert json.loads(fake.file.read_text())[0]["count"] == 3


@pytest.mark.parametrize("task", ["bench", "plan"])
def test_a_board_that_is_not_there(tasks, capfd, task):
    code, line = failure(capfd, getattr(tasks, task), board="nano33", net="digits")
    assert code == 1 and "nano33" in line
    assert "native with image" in line and "stm32f746 with image" in line


def test_options_of_bench(tasks, capfd):
    code, line = failure(capfd, tasks.bench, board="native", count="0")
    assert (code, line) == (1, "--count 0: a whole number from 1 is needed")


def test_plan_prints_the_map_and_writes_pictures(tasks, capfd, tmp_path):
    tasks.plan.body(None, "native", models=str(DIGITS), out=str(tmp_path))
    text = capfd.readouterr()
    assert "digits: 2,8" in text.out and "peak" in text.out
    assert {p.name for p in tmp_path.iterdir()} == {"digits.svg", "digits.png"}
    code, line = failure(capfd, tasks.plan)
    assert code == 1 and "--net NAME, --models" in line


def test_without_options_every_net_is_measured_and_nothing_downloaded(tmp_path, monkeypatch):
    calls, lines = {}, []

    def convert(net, checkpoint, calibration, out, log):
        calls[net.name] = checkpoint
        out.parent.mkdir(exist_ok=True)
        out.write_bytes(b"")

    monkeypatch.delenv("TINYSWITCH_DATA", raising=False)
    monkeypatch.setattr("tinyswitch.data.cache", lambda: tmp_path)
    monkeypatch.setattr("tinyswitch.quantize.convert", convert)
    monkeypatch.setattr(target, "MODELS", tmp_path / "models")
    found = list(target.measured(target.Choice(), lines.append))
    assert len(found) == len(calls) and calls["digits"] is None
    assert calls["mcunet-320kb-1mb"] == "random"
    assert any(line.startswith("mcunet-320kb-1mb: its weights are not here; random ones") for line in lines)
    both = list(target.measured(target.Choice("digits", str(DIGITS)), lines.append))
    assert both == [target.MODELS / "digits.tflite", DIGITS]
