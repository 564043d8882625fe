"""stream-eval and host-eval: resuming, losses, labels, figures, files."""

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from fake_board import MEMORY, FakeBoard, FakeClient, build_of, write_images, write_model
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import reference, session
from tinyswitch.evaluate.display import board_table, host_table
from tinyswitch.evaluate.host import host_eval
from tinyswitch.evaluate.images import find_images, load_frame, to_model_input
from tinyswitch.evaluate.journal import Journal, write_json
from tinyswitch.evaluate.stream import stream_eval
from tinyswitch.link import BoardReset, LinkError, LinkLost

SUMMARY_KEYS = {
    *("board", "clock_hz", "engine", "model", "images", "answered", "lost", "top1", "top5", "host_top1"),
    *("identical_outputs", "instructions_per_inference", "cycles_per_inference", "latency_ms", "ram"),
    *("flash", "cycle_model", "kind", "no_accuracy"),
}


class Bench:
    """A model, images, a fake board and an output folder."""

    def __init__(self, folder: Path, count: int = 6, classes: int = 10):
        self.model = write_model(folder / "m.tflite", classes)
        self.images = find_images(write_images(folder / "my images", count))
        self.board = FakeBoard(self.model)
        self.out = folder / "out"
        self.cache = folder / "cache"
        self.screen = io.StringIO()

    def run(self, limit: int | None = None) -> dict:
        console = Console(file=self.screen, width=200)
        return stream_eval(
            self.board,
            build_of(self.model),
            self.images.first(limit),
            self.out,
            self.cache,
            console,
            client=self.board.client,
        )

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in (self.out / "results.jsonl").read_text().splitlines()]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_summary_has_every_key_and_the_right_figures(bench):
    summary = bench.run()
    assert set(summary) == SUMMARY_KEYS
    assert summary == json.loads((bench.out / "summary.json").read_text())
    assert (summary["images"], summary["answered"], summary["lost"]) == (6, 6, 0)
    assert summary["identical_outputs"] == 6 and summary["top1"] == summary["host_top1"]
    right = [line["top5"][0][0] == line["label"] for line in bench.lines()]
    assert summary["top1"] == sum(right) / 6
    assert summary["cycles_per_inference"] == {"min": 1001, "median": 1004, "max": 1006}
    assert summary["instructions_per_inference"] == 1004
    assert summary["latency_ms"] == pytest.approx(1004 / 216_000)
    assert summary["ram"] == {
        "activations": 1000,
        "scratch": 200,
        "static": 30,
        "stack_peak": 706,
        "total": 1936,
    }
    assert summary["flash"] == {key: MEMORY["flash"][key] for key in ("weights", "tables", "code", "total")}


def test_accuracy_counts_right_answers(bench):
    # the images get the labels that the model gives them, but for the last
    answers = [line["top5"][0][0] for line in (bench.run() and bench.lines())]
    labels = [*answers[:-1], (answers[-1] + 1) % 10]
    rows = [f"{entry.name},{label}" for entry, label in zip(bench.images.entries, labels, strict=True)]
    (bench.images.folder / "labels.csv").write_text("\n".join(["file,class_index", *rows]))
    bench.images = find_images(bench.images.folder)
    assert bench.run()["top1"] == 5 / 6


def test_frames_are_those_of_the_images(bench):
    bench.run()
    info = bench.board.model.input
    expected = [to_model_input(load_frame(e.path, info.shape), info).tobytes() for e in bench.images.entries]
    assert bench.board.sent == expected


def test_a_finished_run_sends_nothing_again_and_needs_no_board(bench):
    first = bench.run()
    bench.board.sent.clear()
    bench.board.opened = 0
    assert bench.run() == first
    assert not bench.board.sent and not bench.board.opened


def test_more_images_go_on_from_fewer(bench):
    assert bench.run(limit=2)["images"] == 2
    assert bench.run()["answered"] == 6
    assert len(bench.board.sent) == 6 and len(bench.lines()) == 6


def test_interruption_keeps_what_arrived(bench):
    bench.board.faults = {3: KeyboardInterrupt()}
    with pytest.raises(TinyswitchError, match="3 of 6 answered") as error:
        bench.run()
    assert error.value.exit_code == 130
    assert len(bench.lines()) == 3 and not (bench.out / "summary.json").exists()
    assert bench.run()["identical_outputs"] == 6
    assert len(bench.board.sent) == 7  # only the interrupted one twice


def test_a_torn_last_line_is_done_again(bench):
    bench.run(limit=3)
    results = bench.out / "results.jsonl"
    whole = results.read_bytes()
    results.write_bytes(whole[:-20])
    assert bench.run(limit=3)["answered"] == 3
    assert len(bench.board.sent) == 4
    assert [line["image"] for line in bench.lines()] == ["000.png", "001.png", "002.png"]


def test_a_damaged_line_is_named(bench):
    bench.run(limit=2)
    results = bench.out / "results.jsonl"
    lines = results.read_text().splitlines()
    results.write_text("\n".join(["{damaged", lines[1], ""]))
    with pytest.raises(TinyswitchError, match=r"results\.jsonl: line 1"):
        bench.run()


def test_another_model_does_not_continue(bench):
    bench.run(limit=1)
    write_model(bench.model, seed=9)
    bench.board = FakeBoard(bench.model)
    with pytest.raises(TinyswitchError, match=r"holds results of model_id .* choose another --out"):
        bench.run()
    (bench.out / "run.json").unlink()
    with pytest.raises(TinyswitchError, match=r"run\.json: missing or damaged"):
        bench.run()


def test_a_changed_image_is_sent_again(bench):
    bench.run()
    one, two = (bench.images.entries[number].path for number in (1, 2))
    one.write_bytes(two.read_bytes())
    assert bench.run()["identical_outputs"] == 6
    assert len(bench.board.sent) == 7


def test_a_damaged_image_is_named_before_anything_is_sent(bench):
    bench.images.entries[4].path.write_bytes(b"\x89PNG nothing")
    with pytest.raises(TinyswitchError, match=r"my images/images/004\.png: not a readable image"):
        bench.run()
    assert not bench.board.opened
    with pytest.raises(TinyswitchError, match=r"004\.png"):
        host_eval(bench.model, bench.images, bench.out, bench.cache, Console(file=bench.screen))


@pytest.mark.parametrize(
    "fault", [BoardReset("restarted", "watchdog"), LinkLost("no answer"), LinkError("row out of order", 3)]
)
def test_a_fault_in_mid_image_is_mended(bench, fault):
    bench.board.faults = {1: fault, 4: fault}
    summary = bench.run()
    assert (summary["answered"], summary["lost"], summary["identical_outputs"]) == (6, 0, 6)
    assert bench.screen.getvalue().count(f"{fault}; the image is sent again") == 2
    assert bench.board.opened == (3 if isinstance(fault, LinkLost) else 1)


def test_an_image_that_gets_no_answer_is_lost_and_sent_by_the_next_run(bench):
    bench.board.faults = {number: BoardReset("restarted", "fault") for number in (2, 3, 4)}
    summary = bench.run()
    assert (summary["answered"], summary["lost"], summary["identical_outputs"]) == (5, 1, 5)
    assert "002.png: lost: restarted (3 attempts)" in bench.screen.getvalue()
    assert bench.run()["lost"] == 0
    assert len(bench.board.sent) == 9


def test_a_board_that_answers_nothing_ends_the_run(bench):
    bench.board.faults = {number: LinkError("busy", 1) for number in range(1, 99)}
    with pytest.raises(TinyswitchError, match="3 images in a row got no answer; 1 answers are kept"):
        bench.run()


def test_a_vanished_board_ends_the_run_and_answers_are_kept(bench, monkeypatch):
    monkeypatch.setattr(session, "REOPEN_S", 0.1)
    bench.board.faults, bench.board.gone_after = {2: LinkLost("the port vanished")}, 2
    with pytest.raises(TinyswitchError, match="does not come back: /dev/ttyACM0: no such port"):
        bench.run()
    assert len(bench.lines()) == 2


def test_a_board_that_stopped_by_itself_says_why(bench):
    bench.board.faults = {1: LinkLost("the port vanished")}
    bench.board.stopped = "read of 4 bytes at 0x60000000 in sum_row (pc 0x08001234)"
    with pytest.raises(TinyswitchError, match=r"stm32f746: read of 4 bytes .* sum_row"):
        bench.run()
    assert bench.board.opened == 1 and len(bench.lines()) == 1


def test_a_board_without_the_model(bench):
    bench.board.id ^= 1
    with pytest.raises(TinyswitchError, match=r"lacks the model \(has: m\)"):
        bench.run()


def test_wrong_answers_are_counted(bench):
    def flip(outputs):
        if len(bench.board.sent) == 3:
            outputs[0].ravel()[5] ^= 1
        return outputs

    bench.board.corrupt = flip
    assert bench.run()["identical_outputs"] == 5


def test_labels_of_other_classes_give_no_accuracy(tmp_path):
    bench = Bench(tmp_path, classes=4)
    summary = bench.run()
    assert summary["top1"] is summary["top5"] is summary["host_top1"] is None
    assert summary["identical_outputs"] == 6
    screen = io.StringIO()
    Console(file=screen, width=120).print(board_table(summary))
    assert "label 5 is not among the model's 4 classes" in screen.getvalue()


def test_table_says_what_is_estimated(bench):
    screen = io.StringIO()
    Console(file=screen, width=120).print(board_table(bench.run()))
    text = screen.getvalue()
    for part in ("6 of 6", "1.9 kB", "one cycle per instruction; an estimate", "(see below)"):
        assert part in text, text


def test_host_eval_agrees_and_remembers(bench, monkeypatch):
    console = Console(file=bench.screen)
    found = host_eval(bench.model, bench.images, bench.out / "host", bench.cache, console)
    summary = bench.run()
    assert found["top1"] == summary["host_top1"] and found["top5"] == summary["top5"]
    assert found["answered"] == 6
    monkeypatch.setattr("tinyswitch.evaluate.reference._answer", None)  # a new computation would fail
    assert host_eval(bench.model, bench.images, bench.out / "host", bench.cache, console) == found
    assert len((bench.out / "host" / "results.jsonl").read_text().splitlines()) == 6
    Console(file=bench.screen).print(host_table(found))


def test_a_model_that_litert_crashes_on(bench, monkeypatch):
    monkeypatch.setattr(reference, "_boundary", os.abort)  # what a damaged model can make it do
    with pytest.raises(TinyswitchError, match=r"m\.tflite: LiteRT crashed on it"):
        bench.run()


def test_a_cache_with_rubbish_in_it_is_passed_over(bench):
    first = bench.run()
    [file] = bench.cache.iterdir()
    lines = file.read_text().splitlines()
    key = json.loads(lines[1])["frame"]
    rubbish = ["not json", '{"frame": 3}', json.dumps({"frame": key, "outputs": ["AA=="]}), "[]", '{"torn']
    file.write_text("\n".join([lines[0], *rubbish]))
    assert bench.run() == first


def test_a_full_disk_is_one_line_and_keeps_whole_lines(bench, monkeypatch):
    real, calls = os.write, []

    def write(file, data):
        if b'"image"' not in data:
            return real(file, data)
        calls.append(data)
        return real(file, data) if len(calls) < 3 else real(file, data[:50])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(TinyswitchError, match=r"results\.jsonl: not written: no space left"):
        bench.run()
    assert len(bench.lines()) == 2
    monkeypatch.setattr(os, "write", real)
    assert bench.run()["answered"] == 6


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_journal_on_a_full_device():
    with (
        Journal(Path("/dev/full"), shared=True) as journal,
        pytest.raises(TinyswitchError, match=r"/dev/full: not written: No space left"),
    ):
        journal.append({"a": 1})


def test_two_runs_cannot_share_a_folder(tmp_path):
    with Journal(tmp_path / "results.jsonl"), pytest.raises(TinyswitchError, match="another run"):
        Journal(tmp_path / "results.jsonl")


def test_a_folder_that_cannot_be_written(bench):
    bench.out.write_text("a file")
    with pytest.raises(TinyswitchError, match="out"):
        bench.run()


def test_json_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    write_json(tmp_path / "a.json", {"n": 1})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(TinyswitchError, match=r"a\.json: not written: No space left"):
        write_json(tmp_path / "a.json", {"n": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"n": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("kind", ["real", "virtual"])
def test_a_board_gets_the_fastest_speed_that_works(bench, monkeypatch, kind):
    tried = []

    def set_baud(self, baud):
        tried.append(baud)
        if baud > 921_600:
            raise LinkError(f"no connection at {baud} baud")

    monkeypatch.setattr(FakeClient, "set_baud", set_baud)
    bench.board.kind = kind
    bench.board.faults = {2: LinkLost("unplugged")}
    assert bench.run()["answered"] == 6
    assert tried == [2_000_000, 1_000_000, 921_600, 921_600]  # what failed is not tried after reconnecting
