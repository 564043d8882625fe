"""The gesture model: how it is trained, and that the committed one is what its record says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from models import examples, seeds
from native_engine import NativeModel
from test_gesture_recordings import document, write_json
from tinyswitch.errors import TinyswitchError
from tinyswitch.features.spectral import SCALE, WINDOWS, ZERO_POINT, names
from tinyswitch.gestures import dataset, network, plots, report
from tinyswitch.gestures.dataset import Augmentation
from tinyswitch.gestures.importance import importance
from tinyswitch.gestures.recording import AXES, Recording, read_folder
from tinyswitch.gestures.scores import score
from tinyswitch.gestures.search import search
from tinyswitch.gestures.train import MODEL, train

WINDOW = WINDOWS[119.0]
DATA = os.environ.get("TINYSWITCH_DATA")
needs_data = pytest.mark.skipif(
    not DATA, reason="TINYSWITCH_DATA is unset: no recordings of gestures at hand"
)
HERTZ = {"shake": 5.0, "still": 0.0, "wave": 1.2}


def motion(label: str, seed: int, seconds: float = 5.0) -> Recording:
    """A made-up gesture at 104 Hz."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * 104)) / 104
    size = 0.5 if HERTZ[label] else 0.0
    swing = size * np.sin(2 * np.pi * (HERTZ[label] * rng.uniform(0.9, 1.1) * times + rng.uniform()))
    values = swing[:, None] * rng.uniform(0.5, 1, 3) + rng.normal(size=(len(times), 3)) * 0.01 + [0, 0, 1]
    return Recording(Path(f"{label}.{seed}.json"), label, 104.0, values)


@pytest.fixture(scope="module")
def motions() -> list[Recording]:
    return [motion(label, seed) for label in sorted(HERTZ) for seed in range(5)]


@pytest.fixture(scope="module")
def folder(motions, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("motions")
    for recording in motions:
        write_json(path / recording.path.name, document(recording.samples))
    return path


@given(st.lists(st.integers(4, 12), min_size=2, max_size=5), st.floats(0.1, 0.5), seeds)
@examples(50)
def test_recordings_are_divided_class_by_class(counts, share, seed):
    samples = np.zeros((1, 3))
    recordings = [
        Recording(Path("x"), f"c{i}", 104.0, samples) for i, n in enumerate(counts) for _ in range(n)
    ]
    train_on, held_out = dataset.split(recordings, share, seed)
    assert sorted(train_on + held_out) == list(range(len(recordings)))
    for i, count in enumerate(counts):
        of_class = sum(recordings[j].label == f"c{i}" for j in held_out)
        assert abs(of_class - share * count) <= 1 and 1 <= of_class < count
    assert (train_on, held_out) == dataset.split(recordings, share, seed)


def test_windows_are_of_the_chosen_recordings_alone(motions):
    made = dataset.windows(motions, [0, 7], WINDOW, Augmentation(variants=2), seed=3)
    assert set(made.recordings) == {0, 7}
    assert made.features.shape[1] == 33 and made.features.dtype == np.int8
    assert [set(made.labels[made.recordings == i]) for i in (0, 7)] == [{0}, {1}]
    plain = dataset.windows(motions, [0, 7], WINDOW)
    assert len(plain.labels) == 2 * len(range(0, 594 - 238 + 1, 30))  # 594 samples at 119 Hz, 30 a step
    assert 2.5 * len(plain.labels) < len(made.labels) < 3.5 * len(plain.labels)
    again = dataset.windows(motions, [0, 7], WINDOW, Augmentation(variants=2), seed=3)
    np.testing.assert_array_equal(made.features, again.features)


def test_without_room_to_move_a_variant_differs_in_nothing_but_its_begin(motions):
    same = Augmentation(variants=1, degrees=0, scale=1, stretch=1)
    variant = dataset._variant(motions[0], same, np.random.default_rng(1))
    count = len(variant.samples)
    np.testing.assert_allclose(variant.samples, motions[0].samples[-count:], atol=1e-12)
    assert 0 < len(motions[0].samples) - count < 26  # a quarter of a second at most


@given(seeds, st.floats(1, 90))
@examples(50)
def test_variants_are_turned_by_no_more_than_said(seed, degrees):
    turn = dataset._rotation(np.random.default_rng(seed), degrees)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) <= degrees + 1e-6


@given(seeds)
@examples(40)
def test_scores_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels, answers = rng.integers(0, 4, (2, 60))
    found = score(answers, labels, np.arange(60), 4)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(labels, answers, labels=range(4)))
    wanted = precision_recall_fscore_support(labels, answers, labels=range(4), zero_division=0)
    np.testing.assert_allclose([found.precision, found.recall, found.f1], wanted[:3])
    assert found.recordings_right == (labels == answers).sum()  # a window each
    assert found.accuracy == pytest.approx((labels == answers).mean())


def test_a_recording_is_right_by_the_majority_of_its_windows():
    answers = np.array([0, 1, 1, 0, 0, 1])
    found = score(answers, np.ones(6, int), np.array([0, 0, 0, 1, 1, 1]), 2)
    assert (found.recordings, found.recordings_right) == (2, 1)


def test_the_feature_that_decides_matters_most():
    rng = np.random.default_rng(0)
    features = rng.integers(-128, 128, (400, 5)).astype(np.int8)
    labels = (features[:, 3] > 0).astype(int)

    def predict(x: np.ndarray) -> np.ndarray:
        sure = np.where(x[:, 3] > 0, 0.95, 0.05)
        return np.stack([1 - sure, sure], 1)

    rises = importance(predict, features, labels, seed=0)
    assert rises.argmax() == 3
    # half of the shuffled values are on the other side: log(0.95 / 0.05) for each of them
    assert rises[3] == pytest.approx(0.5 * np.log(19), rel=0.1)
    np.testing.assert_array_equal(np.delete(rises, 3), 0)


def test_a_model_is_trained_with_the_features_that_matter(folder, tmp_path):
    lines = []
    trained = train(folder, tmp_path / "waves.tflite", lines.append, seed=1, keep=6)
    record = json.loads((tmp_path / "waves.json").read_text())
    assert record["classes"] == sorted(HERTZ) and record["model"] == "waves.tflite"
    assert len(record["features"]) == 6 and len(record["dropped"]) == 27
    assert record["features"] == [names(AXES)[i] for i in record["feature_indices"]]
    least_kept = min(record["importance"][name] for name in record["features"])
    assert least_kept >= max(record["importance"][name] for name in record["dropped"])
    assert not set(record["recordings"]["train"]) & set(record["recordings"]["held_out"])
    assert record["held_out"]["accuracy"] >= 0.95
    model = network.check(trained.path)
    held_out = dataset.windows(trained.material.recordings, trained.material.hold_out, WINDOW)
    answers = network.answers(model, held_out.features[:, trained.kept]).argmax(1)
    assert (answers == held_out.labels).mean() == pytest.approx(record["held_out"]["accuracy"], abs=1e-4)
    assert "recordings at 104 Hz are resampled to the sensor's 119 Hz" in lines
    rows = [table.row_count for table in report.tables(trained)]
    assert rows == [3, 10]
    for path in plots.draw(trained, tmp_path / "pictures"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_a_search_uses_the_given_recordings_alone(motions):
    lines = []
    chosen = [i for i in range(len(motions)) if i % 5]
    ruined = [
        m if i in chosen else Recording(m.path, m.label, 104.0, m.samples[:5]) for i, m in enumerate(motions)
    ]
    recipe, augmentation = search(ruined, chosen, WINDOW, 1, 0, lines.append)
    assert (recipe, augmentation) == (network.Recipe(), Augmentation())  # the first that is tried
    assert len(lines) == 1 and lines[0].startswith("recipe 1 of 1: ")


@pytest.mark.parametrize("keep", [0, 34])
def test_features_that_there_are_not_cannot_be_kept(folder, tmp_path, keep):
    with pytest.raises(TinyswitchError, match=f"{keep} features are to be kept; there are 33"):
        train(folder, tmp_path / "x.tflite", print, keep=keep)


def test_too_few_recordings_are_refused(motions, tmp_path):
    with pytest.raises(TinyswitchError, match=r"3 recordings of 'shake'; at least 4 of each gesture"):
        dataset.classes([m for m in motions if m.label != "shake"] + motions[:3])
    with pytest.raises(TinyswitchError, match="only 'shake'; at least two gestures"):
        dataset.classes(motions[:5])


def test_without_data_the_way_out_is_said(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYSWITCH_DATA", raising=False)
    with pytest.raises(TinyswitchError, match=r"gestures/training: .*--recordings"):
        train(None, tmp_path / "x.tflite", print)


@pytest.fixture(scope="module")
def record() -> dict:
    return json.loads(MODEL.with_suffix(".json").read_text())


def test_the_committed_model_takes_features_as_they_are(record):
    model = network.check(MODEL)
    assert (model.input.scale, model.input.zero_point) == (SCALE, ZERO_POINT)
    assert int(np.prod(model.input.shape)) == len(record["features"])
    assert int(np.prod(model.outputs[0].shape)) == len(record["classes"])
    assert record["held_out"]["accuracy"] >= 0.95
    assert record["held_out"]["recordings_right"] == record["held_out"]["recordings"]
    assert record["window"] | {"step_s": None} == {**vars(WINDOW), "step_s": None}


def agrees_with_litert(frames: list[np.ndarray], folder: Path) -> None:
    model = network.check(MODEL)
    wanted = [model.run(frame.reshape(model.input.shape)) for frame in frames]
    native = NativeModel(MODEL, folder)
    shape = next(iter(native.plans.values())).input.shape
    for found in native.run([frame.reshape(shape) for frame in frames]).values():
        for mine, theirs in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(mine[0].reshape(-1), theirs[0].reshape(-1))


def test_the_engine_answers_random_features_as_litert_does(tmp_path):
    rng = np.random.default_rng(0)
    agrees_with_litert(list(rng.integers(-128, 128, (200, 33)).astype(np.int8)), tmp_path)


@needs_data
def test_the_committed_model_is_as_good_as_its_record_says(record, tmp_path):
    recordings = read_folder(Path(DATA) / "gestures" / "training", lambda line: None, record["classes"])
    held_out = [i for i, r in enumerate(recordings) if r.path.name in record["recordings"]["held_out"]]
    made = dataset.windows(recordings, held_out, WINDOW)
    features = made.features[:, record["feature_indices"]]
    answers = network.answers(network.check(MODEL), features).argmax(1)
    found = score(answers, made.labels, made.recordings, len(record["classes"]))
    assert found.confusion.tolist() == record["held_out"]["confusion"]
    assert found.accuracy >= 0.95 and found.recordings_right == found.recordings == len(held_out)
    agrees_with_litert(list(features), tmp_path)
