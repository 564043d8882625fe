"""The keyword models: how they are trained, and that the committed ones are what their records say."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from rich.console import Console

from keyword_clips import write_folder
from models import examples, seeds
from native_engine import NativeModel
from tinyswitch.errors import TinyswitchError
from tinyswitch.keywords import clips, features, judge, network, taught, teacher
from tinyswitch.keywords.augment import Augmentation
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.keywords.network import NETS, Recipe
from tinyswitch.keywords.train import (
    HELD_OUT,
    VALIDATION,
    choose_lean,
    train,
)

DATA = os.environ.get("TINYSWITCH_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="TINYSWITCH_DATA is unset: no recorded speech at hand")
PUBLISHED = Path(DATA or "") / "micro-speech"
QUICK = replace(
    Recipe(), epochs=8, batch=16, rate=0.01, draws=(8, 8, 8, 8), dropout=0.0, mask_rows=4, mask_channels=4
)


@given(seeds)
@examples(30)
def test_the_lean_is_the_one_that_errs_least_for_what_is_required(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 400)
    scores = rng.normal(size=(400, 4)) + 2 * np.eye(4)[labels]
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)

    def worst(lean: float) -> float:
        changed = scores.copy()
        changed[:, 1] += lean
        answers = changed.argmax(1)
        return max((answers[labels == i] != i).mean() / (1 - judge.REQUIRED[i]) for i in range(4))

    found = choose_lean(shares, labels)
    assert worst(found) <= min(worst(lean) for lean in np.linspace(-3, 3, 25)) + 1e-9


def test_a_lean_moves_the_scores_of_a_model():
    model = network.build(NETS["tiny"])
    images = np.random.default_rng(0).integers(-128, 128, (3, 49, 40)).astype(np.int8)
    before = network.probabilities(model, images)
    network.lean(model, np.array([0, 1.5, 0, 0]))
    wanted = before * np.exp([0, 1.5, 0, 0])
    np.testing.assert_allclose(
        network.probabilities(model, images), wanted / wanted.sum(1, keepdims=True), atol=1e-5
    )


def test_a_model_is_trained_on_words(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "FOLDER", tmp_path / "kept")
    monkeypatch.setattr(teacher, "missing", lambda: "openwakeword is not installed")
    folder, lines = write_folder(tmp_path / "words", 12), []
    trained = train(
        folder,
        tmp_path / "tones.tflite",
        lines.append,
        net="tiny",
        seed=1,
        recipe=QUICK,
        console=Console(quiet=True),
    )
    record = json.loads((tmp_path / "tones.json").read_text())
    assert record["model"] == "tones.tflite" and record["net"] == "tiny"
    assert record["classes"] == list(CLASSES)
    parts = record["speakers"]
    assert not set(parts["train"]) & set(parts["held_out"]) and parts["validation"]
    assert record["held_out"]["accuracy"] >= 0.85
    division = clips.divide(clips.read_folder(folder, print), HELD_OUT, VALIDATION, 1)
    scores, in_stream = judge.evaluate(judge.check(trained.path), division.test, 1)
    assert scores.confusion.tolist() == record["held_out"]["confusion"]
    assert in_stream.confusion.tolist() == record["held_out"]["in_stream"]["confusion"]
    assert any(line.startswith("held out: ") for line in lines)
    assert record["teacher"] is None and any("openwakeword is not installed" in line for line in lines)


def test_a_teacher_answers_for_every_variant_and_joined_sound(tmp_path, monkeypatch):
    if why := teacher.missing():
        pytest.skip(why)
    monkeypatch.setattr(features, "FOLDER", tmp_path / "kept")
    said = clips.read_folder(write_folder(tmp_path / "words", 3), print)
    made, again = (taught.prepare(said, 2, 1, Augmentation(), 0) for _ in range(2))
    assert made.images.shape == (len(said), 2, 49, 40) and made.embeddings.shape == (len(said), 2, 4, 96)
    assert made.joined.shape == (len(said), 49, 40) and made.joined_embeddings.shape == (len(said), 4, 96)
    np.testing.assert_array_equal(made.joined_embeddings, again.joined_embeddings)
    words = np.array([clip.label for clip in said])
    told = teacher.Words(made.embeddings[:, 0], words, 4)
    assert (told.probabilities(made.embeddings[:, 0]).argmax(1) == words).all()


@pytest.mark.parametrize("name", NETS)
def test_every_net_takes_features_as_they_are_and_the_engine_runs_it(name, tmp_path):
    model = network.build(NETS[name])
    rng = np.random.default_rng(0)
    images = rng.integers(-128, 128, (4, 49, 40)).astype(np.int8)
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(network.to_int8(model, images))
    litert = judge.check(path)
    assert litert.input.scale == network.SCALE and litert.input.shape == (49, 40, 1)
    for outputs in NativeModel(path, tmp_path).run([image[..., None] for image in images]).values():
        for image, output in zip(images, outputs, strict=True):
            np.testing.assert_array_equal(output[0], litert.run(image[..., None])[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"net": "huge"}, "the keyword nets are tiny, default, large"),
        ({"out": Path("a.bin")}, "ends with .tflite"),
        ({"folder": Path("nowhere")}, "no WORD"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    options = {"folder": None, "out": Path("a.tflite")} | arguments
    with pytest.raises(TinyswitchError, match=message) as caught:
        train(options.pop("folder"), options.pop("out"), print, **options)
    assert "\n" not in str(caught.value)
