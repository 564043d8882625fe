"""The digits: their images, and the committed family that was trained on them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinyswitch import families, nets
from tinyswitch.evaluate.images import find_images, load_frame, to_model_input
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.families.family import FOLDER
from tinyswitch.quantize import convert
from tinyswitch.training import digits
from tinyswitch.training.recipes import SOURCES

MODELS = FOLDER / "digits"


def accuracy(path) -> float:
    """Share of the held-out digits that LiteRT's reference kernels have right."""
    model, split = LiteRtModel(path), digits.split()
    answers = [model.run(to_model_input(frame, model.input))[0].argmax() for frame in split.held_out_frames]
    return float((np.array(answers) == split.held_out_labels).mean())


def test_a_fifth_is_held_out_with_every_class_in_proportion():
    split = digits.split()
    assert (len(split.train_labels), len(split.held_out_labels)) == (1437, 360)
    everything = np.bincount(np.concatenate([split.train_labels, split.held_out_labels]))
    assert np.abs(np.bincount(split.held_out_labels) - everything / 5).max() <= 1
    assert split.train_frames.dtype == np.uint8
    assert (split.train_frames.min(), split.train_frames.max()) == (0, 255)


def test_the_committed_models_are_as_good_as_their_record_says():
    record = json.loads((MODELS / "record.json").read_text())
    family = families.load("digits")
    assert [row["name"] for row in record["subnets"]] == [subnet.name for subnet in family.subnets]
    assert len(record["subnets"]) >= 3
    for row, subnet in zip(record["subnets"], family.subnets, strict=True):
        assert row["macs"] == subnet.net.macs
        assert round(accuracy(MODELS / row["file"]), 4) == row["accuracy"] >= 0.96


def test_the_committed_training_made_sub_networks_that_cutting_alone_does_not_give():
    figures = json.loads((MODELS / "training.json").read_text())
    elastic, alone = (figures["held_out_accuracy"][kind] for kind in ("elastic", "alone"))
    assert alone["full"] >= 0.97
    assert all(elastic[name] > alone[name] + 0.2 for name in elastic if name != "full")
    assert figures["images"] == {"train": 1437, "held_out": 360}
    assert figures["recipe"]["seed"] == SOURCES["digits"].recipe.seed


def test_the_embedded_default_is_the_largest_of_the_family():
    assert (nets.MODELS / "digits.tflite").read_bytes() == (MODELS / "full.tflite").read_bytes()


def test_pixels_of_the_committed_model_cover_its_input():
    model = LiteRtModel(nets.MODELS / "digits.tflite")
    assert model.input.shape == (8, 8, 1) and model.input.dtype == np.int8
    assert model.input.scale == pytest.approx(2 / 255) and model.input.zero_point in (-1, 0)
    assert model.outputs[0].shape == (1, 1, 10)


def test_the_shipped_weights_convert_to_as_good_a_model(tmp_path):
    model = convert("digits", None, None, tmp_path / "digits.tflite", lambda line: None)
    assert accuracy(model) >= 0.97


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
