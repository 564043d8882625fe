"""host-dynamic: monitor, options, switches, what is logged."""

import io
import json
import time
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from fake_board import write_images, write_model
from models import OneOperator
from tinyswitch.commands import on_host
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import compare, target
from tinyswitch.evaluate.dynamic import trace
from tinyswitch.evaluate.host_dynamic import (
    answering,
    choosing,
    monitor,
    options,
    pictures,
    playing,
    report,
    run,
)
from tinyswitch.evaluate.host_dynamic.answering import Answer, Answering
from tinyswitch.evaluate.host_dynamic.monitor import Reading, SystemMonitor
from tinyswitch.evaluate.host_dynamic.options import HostOption
from tinyswitch.evaluate.host_dynamic.playing import Chosen, Player, changes
from tinyswitch.evaluate.host_dynamic.trace_monitor import TraceMonitor
from tinyswitch.evaluate.images import find_images, load_frame, to_model_input
from tinyswitch.evaluate.journal import Journal
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.switcher import Policy
from tinyswitch.tensor import TensorInfo
from tinyswitch.training import digits

NAMES = ["m1", "m2"]
GOOD = Reading(1_000_000_000, 1.0, 1.0, None, 0.5)


def option(name="a", path=None, seconds=0.01, ram=1_000_000, accuracy=0.5, classes=10):
    return HostOption(name, path, seconds, ram, accuracy, classes)


class ByFrame:
    """A monitor that says what a list says."""

    def __init__(self, readings, real=False):
        self.readings, self.real, self.held, self.got = readings, real, [], []

    def read(self, frame, held, got):
        self.held.append(held)
        self.got.append(got)
        return self.readings[frame]


class ByShare:
    """Option 0 if there is more than half of a core, else 1; asks 0 again where 1's margin is small."""

    keep = ()

    def __init__(self, margin=0.0):
        self.margin = margin

    def choose(self, reading):
        return Chosen(int(reading.cpu <= 0.5), "deadline", reading.cpu > 0.1)

    def again(self, option, answer, elapsed):
        return 0 if option == 1 and answer.margin < self.margin else None


@pytest.fixture
def work(tmp_path):
    """Two models, their options, six images."""
    paths = [write_model(tmp_path / f"m{seed}.tflite", seed=seed) for seed in (1, 2)]
    found = [option(p.stem, p, 0.001, 1000 * (2 - n)) for n, p in enumerate(paths)]
    return found, find_images(write_images(tmp_path / "images", 6)), tmp_path


def play(work, readings, chooser=None, batch=1, real=False):
    found, dataset, folder = work
    said, journal_path = [], folder / "log.jsonl"
    watch = ByFrame(readings, real)
    with Answering(1, "m") as workers, Journal(journal_path) as journal:
        journal.clear()
        player = Player("p", chooser or ByShare(), found, watch, workers, journal, said.append)
        played = player.play(dataset, batch, lambda count: None)
    return played, said, [json.loads(line) for line in journal_path.read_text().splitlines()], watch


def test_switches_are_said_logged_and_counted(work):
    busy = replace(GOOD, cpu=0.3)
    played, said, lines, watch = play(work, [GOOD, GOOD, busy, busy, GOOD, GOOD])
    assert said == [
        "p: image 2: m1 -> m2 (deadline; CPU 100% -> 30%)",
        "p: image 4: m2 -> m1 (deadline; CPU 30% -> 100%)",
    ]
    switches = [line for line in lines if line["event"] == "switch"]
    assert switches[0] == {
        **{"event": "switch", "policy": "p", "frame": 2, "from": "m1", "to": "m2"},
        **{"reason": "deadline", "changed": "CPU 100% -> 30%"},
    }
    summary = played.summary(NAMES)
    assert (summary["switches"], summary["frames"]) == (2, 6)
    assert summary["share"] == {"m1": pytest.approx(4 / 6), "m2": pytest.approx(2 / 6)}
    assert watch.held == [0, 2000, 2000, 1000, 1000, 2000]  # what the model in memory gives back
    assert watch.got[0] == 0 and all(0 < got <= 1.5 for got in watch.got[1:])
    models = [line["model"] for line in lines if line["event"] == "answer"]
    assert models == ["m1", "m1", "m2", "m2", "m1", "m1"]


def test_answers_are_the_models(work):
    played, _, lines, _ = play(work, [GOOD] * 6)
    litert = LiteRtModel(work[0][0].path, optimised=True)
    right = 0
    for entry, line in zip(work[1].entries, (x for x in lines if x["event"] == "answer"), strict=True):
        scores = litert.run(to_model_input(load_frame(entry.path, (8, 8, 3)), litert.input))[0].ravel()
        assert line["top5"][0][0] == int(np.argmax(scores)) and line["image"] == entry.name
        real = litert.outputs[0].scale * scores.astype(float)
        expected = np.exp(real - real.max()) / np.exp(real - real.max()).sum()
        assert line["top5"][0][1] == pytest.approx(expected.max())
        right += line["top5"][0][0] == entry.label
    assert played.summary(NAMES)["accuracy"] == right / 6


def test_a_batch_has_one_decision(work):
    readings = {0: GOOD, 4: replace(GOOD, cpu=0.2)}
    _, said, lines, _ = play(work, readings, batch=4)
    assert [line["model"] for line in lines if line["event"] == "answer"] == ["m1"] * 4 + ["m2"] * 2
    assert said == ["p: image 4: m1 -> m2 (deadline; CPU 100% -> 20%)"]


def test_a_played_load_stretches_the_time(work):
    tight = Reading(10**9, 1e-6, 1e-6, None, 1e-3)  # a thousandth of a core: some 0.01 ms become 10 ms
    played, _, lines, _ = play(work, [GOOD, GOOD, GOOD, tight, tight, tight])
    missed = [line["missed"] for line in lines if line["event"] == "answer"]
    assert missed == [False] * 3 + [True] * 3
    summary = played.summary(NAMES)
    assert summary["deadline_misses"] == 3 and summary["unfit"] == 3


def test_a_cascade_looks_again(work):
    busy = [replace(GOOD, cpu=0.3)] * 6
    _, _, lines, _ = play(work, busy)
    margins = []
    for entry in work[1].entries:
        litert = LiteRtModel(work[0][1].path, optimised=True)
        scores = litert.run(to_model_input(load_frame(entry.path, (8, 8, 3)), litert.input))[0].ravel()
        first, second = sorted(scores.astype(int), reverse=True)[:2]
        margins.append(litert.outputs[0].scale * (first - second))
    threshold = sorted(margins)[3]
    played, said, lines, _ = play(work, busy, ByShare(threshold))
    models = [line["model"] for line in lines if line["event"] == "answer"]
    assert models == ["m1" if margin < threshold else "m2" for margin in margins]
    assert played.summary(NAMES)["switches"] == 0 and not said


def test_changes_are_named():
    assert changes(GOOD, replace(GOOD, cpu=0.98)) == "nothing changed since the last switch"
    assert changes(GOOD, Reading(2_000_000, 1.0, 1.0, 0.25, 0.02)) == (
        "free RAM 1,000.0 -> 2.0 MB, deadline 500 ms -> 20 ms, battery none -> 25 %"
    )


def test_the_monitor_reads_this_machine():
    """Limits hold; a worker of our own does not count as load."""
    watch = SystemMonitor(workers=1, deadline_s=0.2, ram_limit=5_000_000)
    reading = watch.read(0, 10**9, 0.0)
    assert reading.deadline_s == 0.2 and reading.ram_bytes == 5_000_000
    assert 0 <= reading.cpu <= reading.cpu_high <= 1
    _, _, _, before = monitor._sample()
    begin = time.process_time()
    while time.process_time() < begin + 0.3:  # this process is busy
        pass
    _, _, _, after = monitor._sample()
    assert 0.2 < after - before < 0.6


def test_shares_of_the_processor(monkeypatch):
    """Two cores, others take 1.5 of them, 0.5 niced: half a core is left, a quarter for each worker."""
    samples = iter([(0.0, 0.0, 0.0, 0.0), (1.0, 1.75, 0.5, 0.25), (2.0, 3.5, 1.0, 0.5), (3.0, 3.5, 1.0, 0.5)])
    monkeypatch.setattr(monitor, "_sample", lambda: next(samples))
    monkeypatch.setattr(monitor.psutil, "cpu_count", lambda: 2)
    monkeypatch.setattr(monitor.time, "sleep", lambda _: None)
    watch = SystemMonitor(workers=2)
    assert watch._cpu() == pytest.approx((0.25, 0.5))
    assert watch._cpu() == pytest.approx((0.25, 0.5))
    assert watch._cpu() == pytest.approx((1.0, 1.0))  # nothing ran in the last second


def test_a_share_that_was_got_is_there(monkeypatch):
    """Others take all there is, yet the last inferences got a third of a core."""
    monkeypatch.setattr(monitor.SystemMonitor, "_cpu", lambda self: (0.0, 0.5))
    reading = SystemMonitor(workers=1).read(0, 0, 1 / 3)
    assert (reading.cpu, reading.cpu_high) == (1 / 3, 0.5)


def test_what_a_model_holds_counts_as_free(monkeypatch):
    monkeypatch.setattr(monitor.time, "sleep", lambda _: None)
    free = type("M", (), {"available": 6_000_000})
    monkeypatch.setattr(monitor.psutil, "virtual_memory", lambda: free)
    assert SystemMonitor(workers=2).read(0, 4_000_000, 0.0).ram_bytes == 5_000_000


@pytest.mark.parametrize(("plugged", "expected"), [(False, 0.34), (True, None)])
def test_battery(monkeypatch, plugged, expected):
    state = type("B", (), {"percent": 34, "power_plugged": plugged})
    monkeypatch.setattr(monitor.psutil, "sensors_battery", lambda: state, raising=False)
    assert monitor._battery() == expected


def test_probabilities():
    logits, softmax = (TensorInfo((1, 1, 2), np.dtype(np.int8), 1 / 256, zero) for zero in (0, -128))
    assert answering.probabilities(np.array([0.0, np.log(3)]), logits) == pytest.approx([0.25, 0.75])
    assert answering.probabilities(np.array([0.25, 0.75]), softmax) == pytest.approx([0.25, 0.75])


def test_options_that_cannot_take_each_others_place():
    with pytest.raises(TinyswitchError, match="b tells 4 classes apart, a 10: they cannot"):
        options.check_alternatives([option("a"), option("b", classes=4)])
    with pytest.raises(TinyswitchError, match="two models are called a"):
        options.check_alternatives([option("a"), option("a")])


def test_one_file_has_its_label(work):
    folder = work[1].folder
    found = pictures.find(str(folder / "images" / "003.png"), None, target.Choice())
    assert [(e.name, e.label) for e in found.entries] == [("003.png", 3)]
    assert pictures.class_names(found, 10)[3] == "class 3"
    alone = work[2] / "alone.png"
    alone.write_bytes((folder / "images" / "001.png").read_bytes())
    found = pictures.find(str(alone), None, target.Choice())
    assert [(e.name, e.label) for e in found.entries] == [("alone.png", None)]


def test_a_family_of_digits_needs_no_images(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    found = pictures.find(None, "12", target.Choice(family="digits:full"))
    split = digits.split()
    assert [e.label for e in found.entries] == [*range(10), 0, 1]  # classes take turns
    for entry in found.entries:
        number = int(entry.path.stem)
        assert split.held_out_labels[number] == entry.label
        np.testing.assert_array_equal(load_frame(entry.path, (8, 8, 1)), split.held_out_frames[number])
    assert found.mismatch(10) is None and found.mismatch(4)


def job(work, **changed):
    found, dataset, folder = work
    settings = dict(
        models=[o.path for o in found],
        accuracies={found[0].path: 0.75},
        dataset=dataset,
        choosers=lambda options: {"share": ByShare(), "again": ByShare(1e9)},
        monitors=lambda options: lambda: ByFrame({0: GOOD, 2: GOOD, 4: replace(GOOD, cpu=0.3)}),
        workers=2,
        batch=2,
        out=folder / "out",
        cache=folder / "cache",
    )
    return run.Job(**(settings | changed))


def compare_top1(work, place):
    console = Console(file=io.StringIO())
    return compare.compare([work[0][place].path], work[1], work[2] / "c", work[2] / "cache", console, 1)[0][
        "top1"
    ]


def test_the_whole_way(work, monkeypatch):
    monkeypatch.setattr(options, "FEWEST", 6)
    screen, said = io.StringIO(), []
    console = Console(file=screen, width=200)
    result = run.run(job(work), console, said.append)
    found, played = result.options, result.played
    assert found[0].accuracy == 0.75 and found[1].accuracy == compare_top1(work, 1)
    summary = json.loads((work[2] / "out" / "summary.json").read_text())
    assert summary["policies"]["share"]["share"] == {"m1": pytest.approx(4 / 6), "m2": pytest.approx(2 / 6)}
    assert summary["policies"]["again"]["share"] == {"m1": 1.0, "m2": 0.0}
    assert {"accuracy", "deadline_misses", "switches", "frames", "share"} <= set(summary["policies"]["again"])
    assert "share: image 4: m1 -> m2 (deadline; CPU 100% -> 30%)" in screen.getvalue()
    lines = (work[2] / "out" / "share.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines].count("answer") == 6
    for table in (
        report.options_table(found),
        report.answers_table(played[0], {n: f"class {n}" for n in range(10)}),
        report.policies_table(summary["policies"]),
    ):
        console.print(table)
    text = screen.getvalue()
    assert "75.0 %" in text and "class 5" in text and "m1 67%, m2 33%" in text


def test_unlabelled_images_give_no_accuracy(work):
    alone = pictures.find(str(work[1].entries[0].path.rename(work[2] / "x.png")), None, target.Choice())
    said = []
    played = run.run(job(work, dataset=alone, accuracies={}), Console(file=io.StringIO()), said.append).played
    assert played[0].summary(NAMES)["accuracy"] is None
    assert said == ["accuracy not known (m1, m2): the slower model is taken for the better one"]


def test_a_damaged_model_or_image_is_one_line(work):
    (bad := work[2] / "bad.tflite").write_bytes(b"TFL3 nothing")
    with pytest.raises(TinyswitchError, match=r"bad\.tflite: LiteRT does not load it"):
        run.run(job(work, models=[bad]), Console(file=io.StringIO()), print)
    work[1].entries[5].path.write_bytes(b"nothing")
    with pytest.raises(TinyswitchError, match=r"005\.png: not a readable image"):
        run.run(job(work), Console(file=io.StringIO()), print)


def test_models_have_what_they_were_measured_to_have(work):
    builder = OneOperator((1, 8, 8, 3), 1 / 255, -128, 3)
    wide = builder.output((1, 8, 8, 3), 1 / 255, -128)
    builder.writer.op("RELU", [builder.x], [wide])
    (path := work[2] / "odd.tflite").write_bytes(builder.build(wide))
    with pytest.raises(TinyswitchError, match="odd tells 192 classes apart, m1 10"):
        run.run(job(work, models=[work[0][0].path, path]), Console(file=io.StringIO()), lambda text: None)


def test_played_is_shown_up_to_ten(work):
    assert playing.SHOWN == 10
    played = playing.Played("p")
    for number in range(12):
        answer = Answer(((number, 1.0),), 0.0, 0.1, 0.1, None)
        played.note(work[1].entries[0], "m", answer, None, False, True)
    assert len(played.answers) == 10 and played.summary(NAMES)["frames"] == 12


# --- the firmware's policies


def played_with(work, readings, kind, **parameters):
    found = [
        replace(o, seconds=s, accuracy=a) for o, s, a in zip(work[0], (0.01, 0.002), (0.9, 0.5), strict=True)
    ]
    chooser = choosing.PolicyChooser(Policy(kind, **parameters), found)
    return play((found, *work[1:]), readings, chooser)


def test_deadline_policy_gives_way_and_comes_back_late(work):
    busy = Reading(10**9, 0.3, 0.3, None, 0.015)
    idle = replace(busy, cpu=1.0, cpu_high=1.0)
    _, said, lines, _ = played_with(work, [idle, busy, idle, idle, idle, idle], "deadline", up_frames=3)
    models = [line["model"] for line in lines if line["event"] == "answer"]
    assert models == ["m1", "m2", "m2", "m2", "m1", "m1"]  # down at once, up after three
    assert said[0] == "p: image 1: m1 -> m2 (deadline; CPU 100% -> 30%)"


def test_priority_policy_does_not_give_way_to_niced_work(work):
    niced = Reading(10**9, 0.3, 1.0, None, 0.015)
    assert played_with(work, [niced] * 6, "priority")[0].used == {"m1": 6}
    assert played_with(work, [niced] * 6, "deadline")[0].used == {"m2": 6}


def test_ram_policy(work):
    assert played_with(work, [replace(GOOD, ram_bytes=1500)] * 6, "ram")[0].used == {"m2": 6}
    played = played_with(work, [replace(GOOD, ram_bytes=5)] * 6, "ram")[0]
    assert played.used == {"m2": 6} and played.unfit == 6


def test_cascade_policy_asks_the_better_model(work):
    played = played_with(work, [GOOD] * 6, "cascade", threshold=255.0)[0]
    assert played.used == {"m1": 6} and played.switches == 0
    assert played_with(work, [GOOD] * 6, "cascade", threshold=0.0)[0].used == {"m2": 6}


def test_battery_and_deadline_reach_the_policy():
    found = choosing.budget(Reading(5_000_000_000, 0.25, 0.5, 0.34, 0.0201))
    assert (found.cpu, found.cpu_high, found.battery, found.deadline_us) == (0.25, 0.5, 0.34, 20_100)
    assert choosing.budget(GOOD).deadline_us == 500_000
    assert choosing.budget(replace(GOOD, deadline_s=None)).deadline_us == 0


def write_trace(folder, *lines):
    (path := folder / "t.csv").write_text("\n".join(lines) + "\n")
    return path


def test_a_trace_is_spread_over_the_images(tmp_path):
    load = trace.read(
        write_trace(tmp_path, "time_s,cpu,ram,deadline,battery", "0,0,0,1.2,", "5,.6,.5,,.4", "10,0,1,2,")
    )
    found = [option("a", seconds=0.010, ram=1_000_000), option("b", seconds=0.002, ram=400_000)]
    watch = TraceMonitor(load, found, 21)
    assert [watch.read(n, 0, 0.5).cpu for n in (0, 9, 10, 19, 20)] == pytest.approx([1, 1, 0.4, 0.4, 1])
    reading = watch.read(10, 10**9, 1.0)
    assert (reading.ram_bytes, reading.battery) == (700_000, 0.4)
    assert reading.deadline_s == pytest.approx(0.012) and watch.read(20, 0, 0).ram_bytes == 400_000
    assert TraceMonitor(load, found, 21, 9.0, 500_000).read(0, 0, 0).ram_bytes == 500_000


def test_a_trace_without_deadline_leaves_the_users(tmp_path):
    load = trace.read(write_trace(tmp_path, "time_s,cpu", "0,0"))
    assert TraceMonitor(load, [option()], 1, 0.25).read(0, 0, 0).deadline_s == 0.25
    assert TraceMonitor(load, [option()], 1).read(0, 0, 0).deadline_s is None


def test_policies_by_name(work):
    assert choosing.kinds("ram, deadline,ram") == ["ram", "deadline"]
    for bad in ("ram,luck", "", ","):
        with pytest.raises(TinyswitchError, match=r"--policy (luck|,?): there are fixed, ram, deadline"):
            choosing.kinds(bad)
    assert list(choosing.choosers(["ram", "fixed"], 0.5, work[0])) == ["ram", "fixed:m1", "fixed:m2"]


def test_the_command(work, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(target, "CACHE", tmp_path / "cache")
    found, dataset, _ = work
    options = dict(
        choice=target.Choice(models=",".join(str(o.path) for o in found)),
        images=str(dataset.folder),
        policies="deadline,fixed",
        batch=None,
        workers="2",
        limit="5",
        deadline_ms=None,
        ram_mb="900",
        threshold="0.5",
        trace=None,
        out=str(tmp_path / "o"),
    )
    said = []
    on_host.host_dynamic(**options, log=said.append)
    summary = json.loads((tmp_path / "o" / "summary.json").read_text())
    assert list(summary["policies"]) == ["deadline", "fixed:m1", "fixed:m2"]
    assert all(p["frames"] == 5 for p in summary["policies"].values())
    shown = capsys.readouterr().out
    assert "class " in shown and "fixed:m2" in shown
    assert sum("1.5 times" in line for line in said) == 1
    # the last three of five images, two of them a batch, come when hardly anything is left
    load = write_trace(tmp_path, "time_s,cpu,deadline", "0,0,50", "1,0.95,0.1", "4,0.95,")
    on_host.host_dynamic(**(options | {"policies": "deadline", "trace": str(load)}), log=said.append)
    summary = json.loads((tmp_path / "o" / "summary.json").read_text())
    assert list(summary["policies"]) == ["deadline", "fixed:m1", "fixed:m2"]
    assert summary["policies"]["fixed:m1"]["deadline_misses"] == 3
    assert summary["policies"]["deadline"]["unfit"] == 3
    assert (tmp_path / "o" / "fixed-m2.jsonl").exists()
    for name, bad in (("deadline_ms", "soon"), ("ram_mb", "-1"), ("threshold", "nan"), ("batch", "0")):
        with pytest.raises(TinyswitchError, match=f"--{name.replace('_', '-')} {bad}: "):
            on_host.host_dynamic(**(options | {name: bad}), log=said.append)
