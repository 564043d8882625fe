"""The search for sub-networks: space, halves, study, front, report."""

import functools
import io
import json
import sqlite3
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.exceptions import StorageInternalError
from optuna.trial import Trial, TrialState
from rich.console import Console

import small_family
from fake_board import write_images
from models import examples
from tinyswitch import families
from tinyswitch.commands import searching
from tinyswitch.errors import TinyswitchError
from tinyswitch.families import search, search_report, search_study
from tinyswitch.families.search import Found, Point, Search, front
from tinyswitch.families.search_images import Halves
from tinyswitch.families.search_space import Space, spec_of, subnet_of
from tinyswitch.families.search_study import attempt, open_study, results

DECLARED = {"all": {}, "small": {"resolution": 16, "skip": [3]}, "odd": {"width": {"1": 10}}}


def write_family(folder, **more):
    net = small_family.write_net(folder / "net.json")
    content = {"subnets": DECLARED, **more}
    return families.load(small_family.write_family(folder / "small.json", net, **content))


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return write_family(tmp_path_factory.mktemp("family"))


class FakeJudge:
    """Accuracy grows with the multiply-accumulates; the report's half is a point lower."""

    def __init__(self, whole, file=None):
        self.whole, self.file = whole, file

    def accuracy(self, subnet, half):
        if self.file:
            with self.file.open("a") as log:
                log.write(f"{half} {subnet.net.macs}\n")
        if len(subnet.skip) == 2:
            raise TinyswitchError("an image is damaged") if self.file is None else AssertionError
        return 0.9 * subnet.net.macs / self.whole - 0.01 * (half == "report")


def job(family, folder, file=None, dimensions=("resolution", "width", "kernel"), **options):
    judge = functools.partial(FakeJudge, family.net.macs, file or folder / "log")
    space = Space.of(family.net, dimensions)
    return Search(family, space, judge, {"images": 5}, f"sqlite:///{folder}/sub/s.db", "s", **options)


def quiet():
    return Console(file=io.StringIO())


def test_space_is_what_the_net_can_lose(family):
    assert Space.of(family.net).choices == {
        "resolution": (24, 20, 16, 12, 8),
        "exit": (-1, 1),
        "skip.1": (False, True),
        "skip.3": (False, True),
        "kernel.1": (5, 3),
        "kernel.2": (7, 5, 3),
        "width.1": (24, 16),
        "width.2": (32, 24, 16),
        "width.3": (40, 32, 24),
    }


@examples(50)
@given(data=st.data())
def test_every_point_of_the_space_is_a_sub_network(family, data):
    space = Space.of(family.net)
    values = {name: data.draw(st.sampled_from(of)) for name, of in space.choices.items()}
    subnet = subnet_of(family, space.spec(values))
    assert subnet.net.macs <= family.net.macs
    assert spec_of(subnet, family) == space.spec(values)
    again = space.values(subnet)  # what is of no effect is as in the whole net
    assert space.spec(again) == space.spec(values)


def test_starts_are_what_is_declared_and_single_cuts(family):
    space = Space.of(family.net)
    specs = [space.spec(values) for values in space.starts(family)]
    assert specs[:2] == [{}, {"resolution": 16, "skip": [3]}]
    assert {"resolution": 8} in specs and {"skip": [1]} in specs
    assert {"width": {"1": 16, "2": 24, "3": 32}} in specs
    assert not any("10" in str(spec) for spec in specs)  # no parameter asks for 10 channels
    assert len(specs) == len({repr(spec) for spec in specs})


def test_dimensions_are_checked(family):
    with pytest.raises(TinyswitchError, match="no dimension 'depth' to explore; there are resolution, skip"):
        Space.of(family.net, ["depth"])


points = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12)


@examples(100)
@given(found=points)
def test_front_is_what_no_other_beats(found):
    kept = front([Point({}, macs, top1) for macs, top1 in found])
    wanted = {
        (m, a) for m, a in found if not any((m2 <= m and a2 > a) or (m2 < m and a2 >= a) for m2, a2 in found)
    }
    assert [(p.macs, p.search) for p in kept] == sorted(wanted)


def test_a_search_finds_and_goes_on_where_it_was(family, tmp_path):
    found = search.run(job(family, tmp_path), 6, 1, quiet())
    assert len(found.trials) == 6
    assert [p.macs for p in found.front] == sorted(p.macs for p in found.front)
    assert all(p.report == pytest.approx(p.search - 0.01) for p in (*found.front, *found.declared))
    assert [p.name for p in found.declared] == list(DECLARED)
    assert found.declared[0].search == pytest.approx(0.9)
    log = (tmp_path / "log").read_text().splitlines()
    assert sum(line.startswith("search") for line in log) == 6 + 2  # two are declared and not in the space
    found = search.run(job(family, tmp_path), 8, 1, quiet())
    assert len(found.trials) == 8
    more = (tmp_path / "log").read_text().splitlines()[len(log) :]
    assert sum(line.startswith("search") for line in more) == 2 + 2


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_several_processes_share_the_trials(family, tmp_path, sampler):
    found = search.run(job(family, tmp_path, sampler=sampler), 14, 2, quiet())
    assert 14 <= len(found.trials) <= 15
    assert len({repr(p.spec) for p in found.trials}) == len(found.trials)


def two_handles(folder):
    """One study as two processes have it, with a trial that waits; SQLite lets both take it."""
    first, second = (open_study(f"sqlite:///{folder}/s.db", "s", {}, "nsga2") for _ in range(2))
    first.enqueue_trial({"x": 1})
    return first, second


def draw(trial):
    return trial.suggest_categorical("x", (0, 1)), 0.5


@pytest.mark.parametrize("moment", ["begun", "drawn", "told"])
@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL])
def test_a_trial_that_another_process_finishes_first(tmp_path, monkeypatch, moment, state):
    study, other = two_handles(tmp_path)

    def finish(*_):
        other.tell(0, (1, 0.25) if state == TrialState.COMPLETE else None, state)

    def objective(trial):
        if moment == "begun":
            finish()
        values = draw(trial)
        if moment == "drawn":
            finish()
        return values

    if moment == "told":  # Optuna has looked, and is about to write
        monkeypatch.setattr(study.sampler, "after_trial", finish)
    attempt(study, objective)
    (trial,) = other.get_trials()
    assert (trial.state, trial.values) == (state, [1, 0.25] if state == TrialState.COMPLETE else None)


def test_a_trial_that_is_taken_again_when_it_is_finished(tmp_path, monkeypatch):
    """Another process saw it waiting, and writes that it runs only now."""
    study, other = two_handles(tmp_path)
    read = study._storage.get_trial

    def take_again(*options):
        trial = read(*options)
        if trial.state == TrialState.COMPLETE:
            with sqlite3.connect(tmp_path / "s.db") as database:
                database.execute("UPDATE trials SET state = 'RUNNING'")
        return trial

    def objective(trial):
        other.tell(0, (1, 0.25))
        monkeypatch.setattr(study._storage, "get_trial", take_again)
        return 1, 0.5

    attempt(study, objective)


@pytest.mark.parametrize("finish, error", [(False, ValueError), (True, ValueError), (True, TinyswitchError)])
def test_what_the_objective_raises_is_not_lost(tmp_path, finish, error):
    study, other = two_handles(tmp_path)

    def objective(trial):
        if finish:
            other.tell(0, (1, 0.25))
        raise error("an image is damaged")

    with pytest.raises(error, match="an image is damaged"):
        attempt(study, objective)


def test_a_storage_that_fails_while_it_is_told(tmp_path, monkeypatch):
    study, _ = two_handles(tmp_path)

    def fail(*_):
        raise StorageInternalError("disk full")

    monkeypatch.setattr(study.sampler, "after_trial", lambda *_: monkeypatch.setattr(*told, fail))
    told = study._storage, "set_trial_state_values"
    with pytest.raises(StorageInternalError, match="disk full"):
        attempt(study, draw)


def test_how_long_a_process_waits_for_others_that_write(tmp_path):
    study, _ = two_handles(tmp_path)
    with study._storage._backend.engine.connect() as connection:
        waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    assert waits == 1000 * search_study.LOCK_S


def test_two_processes_at_the_same_trials(family, tmp_path, monkeypatch):
    """The second finishes each trial while the first one judges it: the worst that can happen."""
    wanted = job(family, tmp_path)
    other = open_study(wanted.storage, wanted.study, wanted.facts, wanted.sampler)
    for values in wanted.space.starts(family):
        other.enqueue_trial(values)
    judge, judged = wanted.judge(), []

    def accuracy(subnet, half):
        judged.append(subnet)
        if len(judged) % 2:
            (running,) = other.get_trials(states=(TrialState.RUNNING,))
            other.tell(running.number, search._try(Trial(other, running._trial_id)))
        return judge.accuracy(subnet, half)

    monkeypatch.setattr(search, "_search", wanted, raising=False)
    monkeypatch.setattr(search, "_stop", threading.Event(), raising=False)
    monkeypatch.setattr(search, "_judge", lambda: SimpleNamespace(accuracy=accuracy))
    search._work(8)
    found = results(other).values()
    assert len(found) == 8 and len(judged) == 16
    assert all(t.values == [subnet_of(family, t.user_attrs["spec"]).net.macs, t.values[1]] for t in found)
    assert {t.state for t in other.trials} <= {TrialState.COMPLETE, TrialState.WAITING}


def test_a_failing_judge_ends_the_search(family, tmp_path):
    space = Space.of(family.net, ["skip"])
    judge = functools.partial(FakeJudge, family.net.macs)
    bad = Search(family, space, judge, {}, f"sqlite:///{tmp_path}/s.db", "s")
    with pytest.raises(TinyswitchError, match="an image is damaged"):
        search.run(bad, 50, 1, quiet())


def test_a_study_of_something_else_is_refused(family, tmp_path):
    search.run(job(family, tmp_path), 1, 1, quiet())
    other = Search(**{**job(family, tmp_path).__dict__, "facts": {"images": 6}})
    with pytest.raises(
        TinyswitchError, match=r"study s was begun with other images \(5, now 6\); choose another"
    ):
        search.run(other, 1, 1, quiet())


@pytest.mark.parametrize("url", ["nonsense", "nonsense://x/y", "sqlite:////dev/null/x.db"])
def test_a_storage_that_cannot_be_used_is_one_line(family, tmp_path, url):
    bad = Search(**{**job(family, tmp_path).__dict__, "storage": url})
    with pytest.raises(TinyswitchError) as error:
        search.run(bad, 1, 1, quiet())
    assert str(error.value).startswith(f"--storage {url}: ") and "\n" not in str(error.value)


def test_an_unknown_sampler(family, tmp_path):
    with pytest.raises(TinyswitchError, match="--sampler luck: there are nsga2, tpe"):
        search.run(job(family, tmp_path, sampler="luck"), 1, 1, quiet())


def test_halves_do_not_overlap_and_have_all_classes(tmp_path):
    family = write_family(tmp_path)
    for label in range(4):  # class folders take turns: every second image is of every second class
        for path in write_images(tmp_path / "w" / str(label), 20).glob("images/*"):
            target = tmp_path / "classes" / f"c{label}" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    halves = Halves.find(family, tmp_path / "classes", None)
    searched, reported = set(halves.search.sources), set(halves.report.sources)
    assert len(searched) == len(reported) == 40 and not searched & reported
    assert set(halves.calibration.sources) <= searched
    assert set(halves.search.labels) == set(halves.report.labels) == {0, 1, 2, 3}
    assert halves.facts == Halves.find(family, tmp_path / "classes", None).facts
    assert halves.facts != Halves.find(family, tmp_path / "classes", 30).facts


def test_images_without_use(tmp_path):
    family = write_family(tmp_path)
    folder = write_images(tmp_path / "images", 6)  # labels 0 to 5; the net has 4 classes
    with pytest.raises(TinyswitchError, match="label 4 is not among the 4 classes"):
        Halves.find(family, folder, None)
    with pytest.raises(TinyswitchError, match="1 images with labels; a search needs two"):
        Halves.find(family, folder, 1)


def found_points():
    trial = [
        Point({}, 4_000_000, 0.9),
        Point({"resolution": 16}, 2_000_000, 0.7),
        Point({"skip": [1]}, 3_000_000, 0.5),
    ]
    best = [
        Point({"width": {"1": 16}}, 1_000_000, 0.3, 0.2),
        Point({"resolution": 16}, 2_000_000, 0.7, 0.6),
        Point({"resolution": 20}, 2_500_000, 0.75, 0.55),  # worse than the one before on the other half
        Point({}, 4_000_000, 0.9, 0.85),
    ]
    declared = [Point({}, 4_000_000, 0.9, 0.85, "all"), Point({"exit": 1}, 900_000, 0.25, 0.25, "early")]
    return Found(tuple(trial), tuple(best), tuple(declared))


def test_lines_can_be_pasted_and_are_what_holds(family, tmp_path):
    text = search_report.lines(found_points(), family)
    pasted = json.loads("{" + text + "}")
    assert pasted == {"r16-2.0M": {"resolution": 16}}  # not declared ones, nor what the other half denies
    write_family(tmp_path, subnets={"all": {}, **pasted})


def test_files_and_picture(tmp_path):
    found = found_points()
    path = search_report.write(found, {"family": "f"}, tmp_path)
    content = json.loads(path.read_text())
    assert content["family"] == "f" and len(content["trials"]) == 3
    assert content["front"][1] == {
        **{"spec": {"resolution": 16}, "macs": 2_000_000, "search": 0.7, "report": 0.6, "name": None}
    }
    png, svg = search_report.draw(found, "title", tmp_path)
    assert (png.read_bytes()[:4] == b"\x89PNG" and "early" in svg.read_text()) or "<svg" in svg.read_text()
    screen = io.StringIO()
    Console(file=screen, width=160).print(search_report.table(found, 100))
    assert "±5.0 points" in screen.getvalue() and "early" in screen.getvalue()


def test_the_command(family, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(searching, "STUDIES", tmp_path / "studies")
    digits = tmp_path / "mine.json"
    digits.write_text(json.dumps({"net": "digits", "subnets": {"full": {}, "d2": {"skip": [2]}}}))
    options = dict(storage=None, study=None, sampler="nsga2", explore="resolution,skip", jobs="1")
    said = []
    searching.search_family(
        str(digits), trials="5", images=None, limit="60", out=str(tmp_path / "o"), log=said.append, **options
    )
    shown = capsys.readouterr().out
    assert "d2" in shown and "0.355 M" in shown
    content = json.loads((tmp_path / "o" / "search.json").read_text())
    assert content["images"] == {"calibration": 250, "search": 30, "report": 30}
    tops = {p["name"]: p["report"] for p in content["declared"]}
    assert tops["full"] > tops["d2"] > 0.5
    assert (tmp_path / "studies" / "mine.db").exists() and "search.png" in said[-1]
    assert np.isfinite([p["search"] for p in content["trials"]]).all() and len(content["trials"]) == 5
