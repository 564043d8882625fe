"""The digits classifier: the committed model, the images for demonstrations, the training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tinyswitch import nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import find_images, load_frame
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.quantize import convert
from tinyswitch.training import digits


def test_a_fifth_is_held_out_with_every_class_in_proportion():
    split = digits.split()
    assert (len(split.train_labels), len(split.held_out_labels)) == (1437, 360)
    everything = np.bincount(np.concatenate([split.train_labels, split.held_out_labels]))
    assert np.abs(np.bincount(split.held_out_labels) - everything / 5).max() <= 1
    assert split.train_frames.dtype == np.uint8
    assert (split.train_frames.min(), split.train_frames.max()) == (0, 255)


def test_the_committed_model_is_as_good_as_its_figures_say():
    figures = json.loads((nets.MODELS / "digits.json").read_text())
    accuracy = digits._int8_accuracy(nets.MODELS / "digits.tflite", digits.split())
    assert accuracy >= 0.97
    assert round(accuracy, 4) == figures["held_out_accuracy"]["int8"]
    assert figures["duration_s"] < 120
    assert figures["seed"] == digits.SEED and figures["epochs"] == digits.EPOCHS
    assert figures["split"]["held_out"] == len(digits.split().held_out_labels)


def test_pixels_of_the_committed_model_cover_its_input():
    model = LiteRtModel(nets.MODELS / "digits.tflite")
    assert model.input.shape == (8, 8, 1) and model.input.dtype == np.int8
    assert model.input.scale == pytest.approx(2 / 255) and model.input.zero_point in (-1, 0)
    assert model.outputs[0].shape == (1, 1, 10)


def test_the_shipped_weights_convert_to_as_good_a_model(tmp_path):
    model = convert("digits", None, None, tmp_path / "digits.tflite", lambda line: None)
    assert digits._int8_accuracy(model, digits.split()) >= 0.97


def test_images_are_the_held_out_digits(tmp_path):
    folder = digits.write_images(tmp_path / "of digits")
    dataset = find_images(folder)
    split = digits.split()
    assert [entry.label for entry in dataset.entries] == split.held_out_labels.tolist()
    assert dataset.mismatch(10) is None
    assert dataset.class_names[3] == "three"
    for entry, frame in zip(dataset.entries, split.held_out_frames, strict=True):
        np.testing.assert_array_equal(load_frame(entry.path, digits.SHAPE), frame)
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    digits.write_images(folder)
    assert first == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_training_writes_model_weights_and_figures(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(digits, "EPOCHS", 5)
    lines: list[str] = []
    out = digits.train("digits", tmp_path / "new" / "mine.tflite", lines.append)
    assert sorted(path.name for path in out.parent.iterdir()) == ["mine.json", "mine.pth", "mine.tflite"]
    figures = json.loads(out.with_suffix(".json").read_text())
    measured = digits._int8_accuracy(out, digits.split())
    assert figures["held_out_accuracy"]["int8"] == round(measured, 4) > 0.3
    assert abs(figures["held_out_accuracy"]["float"] - measured) < 0.1
    assert figures["epochs"] == 5
    assert "1437 digits" in lines[0] and lines[-1].startswith(f"{out}: ")
    out, err = capfd.readouterr()
    assert "5/5" in out and err == ""


def test_only_nets_for_digits_are_trained(tmp_path):
    with pytest.raises(TinyswitchError, match=r"mcunet-5fps\.json: cannot be trained here"):
        digits.train("mcunet-5fps", tmp_path / "x.tflite")
    with pytest.raises(TinyswitchError, match=r"ends with \.tflite"):
        digits.train("digits", Path("x.bin"))
