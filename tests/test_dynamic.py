"""dynamic-eval: when a load arrives, what is counted, resuming, failures, files."""

import io
import json
from itertools import pairwise

import pytest
from rich.console import Console

from dynamic_board import ARENA, CLOCK_HZ, SwitchingBoard, build_of
from fake_board import write_images, write_model
from task_support import failure, load_tasks
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate import session
from tinyswitch.evaluate.dynamic import dynamic_eval, trace, worth
from tinyswitch.evaluate.dynamic.report import policies_table
from tinyswitch.evaluate.dynamic.run import Job
from tinyswitch.evaluate.dynamic.session import SETTLE_S
from tinyswitch.evaluate.images import find_images, load_frame, to_model_input
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.evaluate.reference import encode
from tinyswitch.link import BoardReset, LinkError

NAMES = ["large", "medium", "small"]
CYCLES = [100_000, 50_000, 25_000]
RAMS = [ARENA, 4000, 2000]
KEYS = {"accuracy", "deadline_misses", "switches", "frames", "share"}
IDLE = "time_s,deadline\n0,1.2\n"


class Bench:
    """Three models, images, a fake board and an output folder."""

    def __init__(self, folder, images=5):
        self.models = [write_model(folder / f"{name}.tflite", seed=i) for i, name in enumerate(NAMES)]
        self.images = find_images(write_images(folder / "images", images))
        self.board = SwitchingBoard(self.models, CYCLES, RAMS)
        self.trace = folder / "trace.csv"
        self.out, self.cache = folder / "out", folder / "cache"
        self.screen = io.StringIO()

    def run(self, text=IDLE, policies=("deadline",), frames=None, fps=1.0, thresholds=(0.5,)):
        self.trace.write_text(text)
        played = trace.read(self.trace)
        job = Job(
            board=self.board,
            build=build_of(self.models, RAMS),
            family="three",
            policies=policies,
            thresholds=thresholds,
            trace=played,
            dataset=self.images,
            frames=frames or played.frames(fps),
            fps=fps,
            out=self.out,
            cache=self.cache,
        )
        return dynamic_eval(job, Console(file=self.screen, width=200), client=self.board.client)

    def lines(self, name="deadline"):
        return [json.loads(line) for line in (self.out / f"{name}.jsonl").read_text().splitlines()]

    def entries(self, name="deadline"):
        return [line["entry"] for line in self.lines(name)]


class InProcess:
    """Reference without its worker processes and cache, which cost seconds a model."""

    def __init__(self, model, cache):
        self._model = LiteRtModel(model)
        self.input = self._model.input

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def digests(self, sources, progress):
        return sources

    def start(self, sources, digests, progress):
        for _ in sources:
            progress()

    def answer(self, source):
        return encode(self._model.run(to_model_input(load_frame(source, self.input.shape), self.input)))


@pytest.fixture
def whole(tmp_path):
    """Everything as it is."""
    return Bench(tmp_path)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Without what takes long and other tests are about."""
    monkeypatch.setattr("tinyswitch.evaluate.dynamic.answers.Reference", InProcess)
    for picture in ("timeline", "worth"):
        monkeypatch.setattr(f"tinyswitch.evaluate.dynamic.{picture}.draw", lambda *_: [])
    return Bench(tmp_path)


def test_summary_has_the_policies_and_every_fixed_choice(whole):
    summary = whole.run(frames=4, policies=("deadline", "ram"))
    assert list(summary["policies"]) == ["deadline", "ram", "fixed:large", "fixed:medium", "fixed:small"]
    for found in summary["policies"].values():
        assert set(found) == KEYS and found["frames"] == 4 and sum(found["share"].values()) == 1
    assert summary["policies"]["fixed:medium"]["share"] == {"large": 0, "medium": 1, "small": 0}
    assert summary == json.loads((whole.out / "summary.json").read_text())
    assert (summary["board"], summary["family"], summary["trace"]) == ("stm32f746", "three", "trace")
    assert summary["entries"] == dict(zip(NAMES, CYCLES, strict=True))
    assert (whole.out / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (whole.out / "timeline.svg").read_bytes()
    assert (whole.out / "worth.png").read_bytes().startswith(b"\x89PNG")
    picture = (whole.out / "worth.svg").read_text()
    assert all(f"<!-- {name} -->" in picture for name in ("deadline", "ram", "large", "medium", "small"))
    for name, found in summary["policies"].items():
        right = [line["top5"][0][0] == line["label"] for line in whole.lines(name.replace(":", "-"))]
        assert found["accuracy"] == sum(right) / 4
        assert summary["details"][name]["right_in_time"] == sum(right) / 4


def test_frames_are_as_many_as_the_trace_lasts_and_images_start_over(bench):
    bench.run("time_s,cpu\n0,0\n6,0.1\n")
    assert [line["image"] for line in bench.lines()] == [f"{i % 5:03}.png" for i in range(7)]
    assert [line["time_s"] for line in bench.lines()] == list(range(7))


def test_a_load_between_frames_is_known_to_the_next_decision(bench):
    summary = bench.run("time_s,cpu,deadline\n0,0,1.2\n3,0.6,\n6,0,\n", frames=12)
    # 60 %: large takes 250,000 ticks, medium 125,000; the deadline is 120,000
    assert bench.entries() == ["large"] * 3 + ["small"] * 3 + ["small"] * 2 + ["large"] * 4
    assert [line["load"]["cpu"] for line in bench.lines()] == [0] * 3 + [0.6] * 3 + [0] * 6
    found = summary["policies"]["deadline"]
    assert (found["deadline_misses"], found["switches"]) == (0, 2)
    assert found["share"] == {"large": 7 / 12, "medium": 0, "small": 5 / 12}
    assert summary["policies"]["fixed:large"]["deadline_misses"] == 3
    assert summary["details"]["fixed:large"]["missed_frames"] == [3, 4, 5]
    line = bench.lines()[3]
    assert (line["cycles"], line["stolen"], line["elapsed_ms"]) == (62500, 37500, 62.5)
    assert line["budget"]["cpu"] == pytest.approx(0.4)
    assert line["budget"]["deadline_us"] == line["load"]["deadline_us"] == 120_000


def test_a_load_within_a_frame_hits_its_computation(bench):
    summary = bench.run("time_s,cpu,deadline\n0,0,1.2\n2.4,0.6,\n", frames=5)
    lines = bench.lines()
    assert bench.entries() == ["large"] * 3 + ["small"] * 2
    assert lines[2]["during"] == [{**lines[2]["load"], "cpu": 0.6, "at": 0.4}]
    assert lines[2]["cycles"] == 40_000 + 60_000 / 0.4  # it comes when 0.4 of the frame is done
    assert [line["missed"] for line in lines] == [False, False, True, False, False]
    assert summary["policies"]["deadline"]["deadline_misses"] == 1


def test_the_deadline_in_force_at_the_begin_counts(bench):
    bench.run("time_s,deadline_ms\n0,200\n1.5,10\n", frames=3)
    assert [line["missed"] for line in bench.lines("fixed-large")] == [False, False, True]


def test_no_deadline_no_miss(bench):
    summary = bench.run("time_s,cpu\n0,0.9\n", frames=2)
    assert {found["deadline_misses"] for found in summary["policies"].values()} == {0}


def test_fps_is_the_trace_s_time(bench):
    bench.run("time_s,cpu,deadline\n0,0,1.2\n0.5,0.6,\n", frames=6, fps=4.0)
    assert [line["time_s"] for line in bench.lines()] == [0, 0.25, 0.5, 0.75, 1, 1.25]
    assert bench.entries() == ["large"] * 2 + ["small"] * 4


def test_fixed_choices_without_ram_have_no_answer(bench):
    # The largest needs ARENA, the smallest 2000: half of the difference is taken
    summary = bench.run("time_s,ram,deadline\n0,0,2\n1,0.5,\n", frames=3, policies=("ram",))
    assert bench.entries("ram") == ["large", "medium", "medium"]
    lines = bench.lines("fixed-large")
    assert [line["answered"] for line in lines] == [True, False, False]
    assert [line["missed"] for line in lines] == [False, True, True]
    assert summary["details"]["fixed:large"]["right_in_time"] == lines[0]["right"] / 3
    assert [line["right"] for line in lines[1:]] == [False, False] and lines[1]["identical"] == []
    assert summary["details"]["fixed:large"]["no_ram"] == 2
    assert summary["policies"]["ram"]["deadline_misses"] == 0


def test_all_other_work_s_ram_leaves_the_smallest(bench):
    bench.run("time_s,ram\n0,1\n", frames=2, policies=("ram",))
    assert bench.entries("ram") == ["small", "small"]
    assert bench.lines("ram")[0]["budget"]["ram_bytes"] == RAMS[2]


def test_energy_follows_the_battery(bench):
    bench.run("time_s,battery\n0,1\n1,0.5\n2,0.1\n", policies=("energy",))
    assert bench.entries("energy") == ["large", "medium", "small"]


def test_a_cascade_adds_up_its_inferences(bench):
    summary = bench.run("time_s,deadline\n0,9\n", frames=3, policies=("cascade",), thresholds=(200.0,))
    for line in bench.lines("cascade"):
        assert line["entries"] == ["small", "medium", "large"] and line["entry"] == "large"
        assert line["cycles"] == sum(CYCLES) and line["identical"] == [True] * 3
        assert line["switch_cycles"] == 7 * len(line["entries"]) or line["switch_cycles"] == 7 * 4
    assert summary["policies"]["cascade"]["switches"] == 2 + 3 + 3
    assert summary["policies"]["cascade"]["share"]["large"] == 1


def test_a_cascade_is_played_with_each_threshold(bench):
    """The answers of these models have their two best scores saturated: a threshold of 0 escalates never."""
    thresholds = (0.001, 200.0)  # the first is rounded to 0
    found = bench.run("time_s,cpu\n0,0\n", frames=5, policies=("cascade", "ram"), thresholds=thresholds)
    assert list(found["policies"])[:3] == ["ram", "cascade-0.001", "cascade-200"]
    own = {name: more["own_cycles_per_frame"] for name, more in found["details"].items()}
    assert (own["cascade-0.001"], own["cascade-200"]) == (CYCLES[2], sum(CYCLES))
    assert bench.entries("cascade-0.001") == ["small"] * 5
    assert bench.entries("cascade-200") == ["large"] * 5


def test_without_labels_nothing_shows_what_policies_are_worth(tmp_path):
    summary = {"policies": {"ram": {"accuracy": None}}}
    assert worth.draw(summary, tmp_path) == [] and not list(tmp_path.iterdir())


def test_the_board_s_clock_goes_on_before_a_decision_under_a_new_load(bench):
    bench.run("time_s,cpu\n0,0\n1,0.5\n2.5,0.25\n", frames=4, policies=())
    calls = bench.board.calls
    waited = [
        then - ticks
        for (what, cpu, ticks), (following, _, then) in pairwise(calls)
        if (what, following) == ("task", "next") and cpu == 0.5
    ]
    assert len(waited) == 3 and min(waited) >= SETTLE_S * CLOCK_HZ
    # Nothing is waited for as long as the load stays as it is, but after a change within a frame it is
    loaded = [ticks for what, cpu, ticks in calls if what == "next" and cpu == pytest.approx(0.5)]
    assert len(loaded) == 2 * 3
    assert [b - a for a, b in pairwise(loaded[:2])] == [2 * CYCLES[0]]


def test_an_answer_that_differs_is_counted(bench):
    bench.board.corrupt = True
    summary = bench.run(frames=2)
    assert {found["identical_outputs"] for found in summary["details"].values()} == {0}
    assert {found["inferences"] for found in summary["details"].values()} == {2}


def test_a_frame_is_sent_again_and_the_load_set_again(bench, monkeypatch):
    monkeypatch.setattr(session.time, "sleep", lambda _: None)
    learning = 2 * len(NAMES)  # once to measure, once for the policy
    bench.board.faults = {learning + 1: LinkError("refused", 6), learning + 6: BoardReset("gone", "power")}
    bench.run("time_s,cpu,deadline\n0,0.6,1.2\n", frames=4)
    assert bench.entries() == ["small"] * 4
    assert [line["cycles"] for line in bench.lines()] == [62500] * 4
    assert bench.screen.getvalue().count("the image is sent again") == 2


def test_a_lost_frame_ends_it_and_the_same_command_goes_on(bench, monkeypatch):
    monkeypatch.setattr(session.time, "sleep", lambda _: None)
    complete = bench.run(frames=3)
    (bench.out / "deadline.jsonl").unlink()
    bench.board.faults = {bench.board.inferences + n: LinkError("refused", 6) for n in range(20)}
    with pytest.raises(TinyswitchError, match=r"refused"):
        bench.run(frames=3)
    bench.board.faults = {}
    assert bench.run(frames=3) == complete


def test_what_is_there_is_not_played_again(bench):
    first = bench.run(frames=4)
    opened, inferences = bench.board.opened, bench.board.inferences
    assert bench.run(frames=4) == first
    assert (bench.board.opened, bench.board.inferences) == (opened, inferences)
    bench.run(frames=4, policies=("deadline", "ram"))
    assert bench.board.opened == opened + 1
    assert bench.run(frames=2)["policies"]["deadline"]["frames"] == 2


def test_ctrl_c_keeps_what_is_through(bench):
    def interrupt():
        if bench.board.inferences == 3 * len(NAMES) + 4:  # in the second policy
            raise KeyboardInterrupt

    bench.board.on_infer = interrupt
    with pytest.raises(TinyswitchError, match="interrupted: 1 of 4 policies played, kept in") as error:
        bench.run(frames=4)
    assert error.value.exit_code == 130
    kept = (bench.out / "deadline.jsonl").read_bytes()
    bench.board.on_infer = lambda: None
    assert bench.run(frames=4)["policies"]["fixed:small"]["frames"] == 4
    assert (bench.out / "deadline.jsonl").read_bytes() == kept


def test_another_trace_is_refused(bench):
    bench.run(frames=2)
    with pytest.raises(TinyswitchError, match="holds results of trace_content"):
        bench.run("time_s,cpu\n0,0.5\n", frames=2)
    with pytest.raises(TinyswitchError, match=r"holds results of fps 1\.0, this is 2\.0"):
        bench.run(frames=2, fps=2.0)


def test_damaged_run_json_is_one_line(bench):
    bench.run(frames=2)
    (bench.out / "run.json").write_text("{")
    with pytest.raises(TinyswitchError, match=r"run\.json: damaged"):
        bench.run(frames=2)


def test_memory_that_was_overwritten_is_an_error(bench):
    bench.board.damaged = 3
    with pytest.raises(TinyswitchError, match="3 words of other work's RAM were overwritten"):
        bench.run(frames=2)


def test_boards_beside_share_the_policies(bench):
    bench.board.others = [SwitchingBoard(bench.models, CYCLES, RAMS)]
    summary = bench.run(frames=4, policies=("deadline", "ram", "energy"))
    assert bench.board.others[0].inferences > 0
    assert all(found["frames"] == 4 for found in summary["policies"].values())
    assert list(summary["policies"])[:3] == ["deadline", "ram", "energy"]


def test_boards_with_a_real_clock_are_not_disturbed(bench):
    bench.board.counts_instructions = False
    bench.board.others = [SwitchingBoard(bench.models, CYCLES, RAMS)]
    bench.run(frames=2)
    assert bench.board.others[0].opened == 0


def test_entries_that_are_no_alternatives(bench):
    bench.models[1] = write_model(bench.models[1].parent / "other.tflite", classes=7)
    with pytest.raises(TinyswitchError, match=r"other\.tflite: .* cannot take each other's place"):
        bench.run(frames=1)


def test_no_labels_no_accuracy(bench):
    (bench.images.folder / "labels.csv").unlink()
    bench.images = find_images(bench.images.folder / "images")
    summary = bench.run(frames=2)
    assert summary["policies"]["deadline"]["accuracy"] is None
    assert summary["no_accuracy"] == "the images have no labels"
    assert bench.lines()[0]["right"] is None


def test_table(bench):
    summary = bench.run("time_s,cpu,deadline\n0,0,1.2\n3,0.6,\n6,0,\n", frames=12)
    screen = io.StringIO()
    Console(file=screen, width=160).print(policies_table(summary))
    text = screen.getvalue()
    assert "three on stm32f746, virtual board, trace trace" in text
    assert "large 58%, small 42%" in text and "3 (25.0%)" in text
    assert [name for name in ("deadline", "fixed:large", "fixed:small") if name not in text] == []


def test_the_default_trace_tells_policies_apart(bench):
    # r176, r112 and r112-d34 of mcunet-320kb on the virtual STM32F746, in thousands of instructions
    bench.board = SwitchingBoard(bench.models, [111_669, 48_393, 36_904], RAMS)
    found = bench.run(trace.DEFAULT.read_text(), policies=("deadline", "energy"))["policies"]
    assert found["deadline"]["frames"] == 120
    assert found["deadline"]["deadline_misses"] == 1  # of 120, the one that nobody can foresee
    assert found["fixed:large"]["deadline_misses"] > 60
    assert found["fixed:small"]["deadline_misses"] == 0
    assert all(share > 0.05 for share in found["deadline"]["share"].values())
    assert found["deadline"]["switches"] <= 12
    assert found["energy"]["share"]["small"] > found["deadline"]["share"]["small"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "best"}, "--policy best: there are fixed, ram, deadline, priority, energy, cascade"),
        ({"policy": "deadline,"}, "give one of --net NAME"),
        ({"trace": "none.csv"}, "none.csv: No such file or directory; --trace takes a CSV file"),
        ({"fps": "0"}, "--fps 0: a number above 0 is needed"),
        ({"fps": "nan"}, "--fps nan: a number above 0 is needed"),
        ({"threshold": "much"}, "--threshold much: a number above 0 is needed"),
        ({"threshold": "1,,2"}, "--threshold : a number above 0 is needed"),
        ({"limit": "-1"}, "--limit -1: a whole number from 1 is needed"),
        ({"images": "nowhere"}, "nowhere: no such folder of images"),
    ],
)
def test_what_the_user_can_mend_is_one_line(capfd, tmp_path, options, message):
    images = str(write_images(tmp_path / "images", 1))
    given = {"board": "native", "images": images, **options}
    code, error = failure(capfd, load_tasks().dynamic_eval, **given)
    assert code == 1 and error.startswith(message)
