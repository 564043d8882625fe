"""Training of families: sub-networks that share variables, the images they see, going on, the record."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tinyswitch import data, families
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import fit_frame, to_model_input
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.families.family import FOLDER
from tinyswitch.nets import torchfile, weights
from tinyswitch.quantize import float_model
from tinyswitch.training import cifar10, digits, elastic, evaluation, recipes, train
from tinyswitch.training.augment import Augmentation, resampling
from tinyswitch.training.mixing import mixed
from tinyswitch.training.recipes import Recipe
from tinyswitch.training.supernet import SuperNet, fixed_norm

NET = {
    "resolution": 8,
    "channels": 1,
    "data": "digits",
    "checkpoint": "tiny.pth",
    "layers": [
        "conv k3 s1 c8",
        "block k5 s2 e24 c16",
        "block k3 e32 c16 add",
        "exit c10",
        "block k5 e32 c16 add",
        "pool",
        "dense c10",
    ],
}
SUBNETS = {
    "full": {},
    "middle": {"resolution": 6, "kernel": {"2": 3}, "width": {"1": 16}},
    "exit": {"exit": 1},
    "small": {"resolution": 6, "kernel": 3, "width": 0.5, "skip": [1]},
}
RECIPE = Recipe(6, 6, 32, 0.1, 0.2, 5e-4, label_smoothing=0.1, mixed=1, share=2, statistics=300)


def write_family(folder, net=NET, subnets=SUBNETS):
    (folder / "tiny-net.json").write_text(json.dumps(net))
    file = folder / "tiny.json"
    file.write_text(json.dumps({"net": str(folder / "tiny-net.json"), "subnets": subnets}))
    return file


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return families.load(write_family(tmp_path_factory.mktemp("family")))


def random_moments(net, rng):
    return {
        layer.name: tuple(rng.uniform(0.5, 1.5, (2, layer.output[2])).astype(np.float32))
        for layer in net.all_layers
        if layer.batch_norm
    }


@pytest.fixture(scope="module")
def supernet(family):
    """With values that no part of which equals another."""
    model, rng = SuperNet(family.net, 1), np.random.default_rng(2)
    for variable in model.trainable_variables:
        if len(variable.shape) == 1:
            variable.assign(rng.uniform(-1, 1, variable.shape))
    return model


def cut(layer, tensor):
    """A published tensor's part that the sub-network's layer has."""
    if tensor.ndim == 4:
        margin = (tensor.shape[-1] - layer.kernel) // 2
        depth = 1 if layer.kind == "depthwise" else layer.input[2]
        end = margin + layer.kernel
        return tensor[: layer.output[2], :depth, margin:end, margin:end]
    return tensor[: layer.output[2]]


@pytest.mark.parametrize("name", SUBNETS)
def test_sub_networks_run_on_parts_of_the_exported_weights(family, supernet, name):
    """Keras' own layers, given the centre of kernels and the first channels, answer the same."""
    net, rng = family.subnet(name).net, np.random.default_rng(3)
    whole = random_moments(family.net, rng)
    tensors = supernet.tensors(whole)
    own = {
        part: cut(layer, tensors[part]) for layer in net.all_layers for part in weights.tensor_names(layer)
    }
    moments = {
        layer.name: tuple(part[: layer.output[2]] for part in whole[layer.name])
        for layer in net.layers
        if layer.batch_norm
    }
    reference = float_model.build(net, weights.fold(net, own, "own"))
    images = rng.uniform(-1, 1, (3, *net.input)).astype(np.float32)
    scores = supernet.scores(net, images, fixed_norm(net.bn_eps, moments))
    expected = np.concatenate([reference(image[None]) for image in images])
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(scores[net.layers[-1].name], expected, rtol=1e-3, atol=1e-4)


def test_the_largest_passes_its_exits(family, supernet):
    net, moments = family.net, random_moments(family.net, np.random.default_rng(4))
    images = np.random.default_rng(5).uniform(-1, 1, (2, *net.input)).astype(np.float32)
    norm = fixed_norm(net.bn_eps, moments)
    scores = supernet.scores(net, images, norm)
    assert set(scores) == {"exits.1", "classifier"}
    alone = supernet.scores(family.subnet("exit").net, images, norm)
    np.testing.assert_allclose(scores["exits.1"], alone["exits.1"], rtol=1e-5, atol=1e-6)


def test_moments_are_those_of_the_values_in_front_of_batch_norm(family, supernet):
    net, frames = family.net, np.random.default_rng(6).integers(0, 256, (64, 8, 8, 1), np.uint8)
    found = evaluation.moments(supernet, net, frames)
    assert set(found) == {layer.name for layer in net.layers if layer.batch_norm}
    kernel = supernet.parts["first_conv"][0].numpy()[:, :, 0]
    padded = np.pad(frames[..., 0] / 127.5 - 1, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    values = np.einsum("nijkl,klc->nijc", windows, kernel)
    np.testing.assert_allclose(found["first_conv"][0], values.mean((0, 1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["first_conv"][1], values.var((0, 1, 2)), rtol=2e-3)


@settings(max_examples=30)
@given(size=st.integers(4, 40), share=st.floats(0.3, 1), seed=st.integers(0, 2**32 - 1))
def test_smaller_images_are_those_that_an_evaluation_loads(size, share, seed):
    resolution = max(int(size * share), 2)
    frame = np.random.default_rng(seed).integers(0, 256, (size, size, 1), np.uint8)
    matrix = resampling(size, resolution)
    expected = fit_frame(frame, (resolution, resolution, 1))[..., 0].astype(float)
    np.testing.assert_allclose(matrix @ frame[..., 0] @ matrix.T, expected, atol=1.1)


@settings(max_examples=30)
@given(shift=st.integers(0, 3), flip=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_images_are_moved_and_mirrored(shift, flip, seed):
    rng = np.random.default_rng(seed)
    frames = rng.integers(1, 256, (5, 6, 7, 2), np.uint8)
    before = frames.copy()
    changed = Augmentation(shift, flip).apply(frames, rng)
    assert (frames == before).all() and changed.shape == frames.shape and changed.dtype == np.uint8
    for image, result in zip(frames, changed, strict=True):
        padded = np.pad(image, ((shift, shift), (shift, shift), (0, 0)))
        windows = [padded[y : y + 6, x : x + 7] for y in range(2 * shift + 1) for x in range(2 * shift + 1)]
        windows += [window[:, ::-1] for window in windows] if flip else []
        assert any((result == window).all() for window in windows)


def test_what_comes_in_can_be_a_mirror_image():
    frames = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1).repeat(100, axis=0)
    changed = Augmentation(shift=1, border="reflect").apply(frames, np.random.default_rng(0))
    assert [4, 0, 4, 8] in changed[:, :, 0, 0].tolist() and [0, 4, 8, 12] in changed[:, :, 0, 0].tolist()


def test_chance_leaves_no_case_out():
    frames = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3, 1).repeat(300, axis=0)
    changed = Augmentation(shift=1, flip=True).apply(frames, np.random.default_rng(0))
    assert len({image.tobytes() for image in changed}) == 18
    hidden = Augmentation(cutout=2).apply(frames, np.random.default_rng(0)) == 128
    assert hidden.sum((1, 2, 3)).min() >= 1 and hidden.sum((1, 2, 3)).max() == 4
    assert hidden.any(0).all()


def test_mixed_sub_networks_have_the_settings_of_the_family(family):
    nets = mixed(family, 20, 0)
    assert nets == mixed(family, 20, 0) != mixed(family, 20, 1)
    for attribute in ("resolution", "macs"):
        assert len({getattr(net, attribute) for net in nets}) > 1
    assert {net.resolution for net in nets} == {6, 8}
    whole = {layer.name: layer for layer in family.net.all_layers}
    assert all(layer.output[2] <= whole[layer.name].output[2] for net in nets for layer in net.layers)


def some_digits(train_count=1437):
    split = digits.split()
    return dataclasses.replace(
        split, train_frames=split.train_frames[:train_count], train_labels=split.train_labels[:train_count]
    )


def run(family, recipe, split, is_elastic, epochs):
    trainer = elastic.Trainer(family, recipe, epochs, len(split.train_labels), is_elastic)
    for epoch in range(epochs):
        trainer.epoch(split, epoch, lambda right: None)
    return trainer


def test_elastic_training_serves_every_sub_network(family):
    split = some_digits()
    figures = {
        kind: evaluation.measure(run(family, RECIPE, split, kind, 6).model, family, split, RECIPE).accuracy
        for kind in (True, False)
    }
    assert min(figures[True].values()) > 0.7
    assert figures[False]["full"] > 0.7
    assert figures[True]["small"] > figures[False]["small"] + 0.2


def test_the_first_epochs_see_small_images(family):
    recipe = dataclasses.replace(RECIPE, coarse=0.5, coarse_resolution=6)
    trainer = elastic.Trainer(family, recipe, 2, 64, True)
    seen: list[list[int]] = []
    scores = trainer.model.scores

    def noting(net, images, norm):
        seen[-1].append(images.shape[1])
        return scores(net, images, norm)

    trainer.model.scores = noting
    for epoch in range(2):
        seen.append([])
        trainer.epoch(some_digits(64), epoch, lambda right: None)
    assert set(seen[0]) == {6} and seen[1][0] == 8
    small = _at_most_of(family, 6)
    assert [net.resolution for net in small.between] == [6] * len(small.between)
    assert small.largest.exits == family.net.exits != {}  # exits are trained from the first epoch on


def _at_most_of(family, resolution):
    return elastic.Nets(family.net, family.subnets[-1].net, [family.subnets[1].net]).at_most(resolution)


def test_training_goes_on_where_it_ended(tmp_path):
    pair = families.load(write_family(tmp_path, subnets={name: SUBNETS[name] for name in ("full", "small")}))
    recipe = dataclasses.replace(RECIPE, mixed=0)
    split, state = some_digits(128), tmp_path / "state.npz"
    through = run(pair, recipe, split, True, 2)
    first = elastic.Trainer(pair, recipe, 2, 128, True)
    first.epoch(split, 0, lambda right: None)
    first.keep(state, {"epochs": 1})
    resumed = elastic.Trainer(pair, recipe, 2, 128, True)
    assert resumed.restore(state) == {"epochs": 1}
    resumed.epoch(split, 1, lambda right: None)
    for a, b, c in zip(*(t.model.trainable_variables for t in (through, resumed, first)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
        assert not np.array_equal(b, c)


def test_a_state_of_another_training_is_not_taken_up(family, tmp_path):
    state = tmp_path / "state.npz"
    trainer = elastic.Trainer(family, RECIPE, 2, 128, True)
    assert trainer.restore(state) is None
    trainer.keep(state, {})
    other = dataclasses.replace(RECIPE, learning_rate=0.2)
    assert elastic.Trainer(family, other, 2, 128, True).restore(state) is None
    assert elastic.Trainer(family, RECIPE, 2, 128, False).restore(state) is None
    state.write_bytes(state.read_bytes()[:-1000])
    assert trainer.restore(state) is None


def test_train_writes_weights_models_and_record(tmp_path, monkeypatch, capfd):
    source = recipes.SOURCES["digits"]
    recipe = dataclasses.replace(RECIPE, epochs=2, baseline_epochs=1)
    small = dataclasses.replace(source, recipe=recipe, split=lambda: some_digits(256))
    monkeypatch.setitem(recipes.SOURCES, "digits", small)
    monkeypatch.setattr(train, "STATES", tmp_path / "states")
    lines: list[str] = []
    record = train.train(write_family(tmp_path), tmp_path / "out", lines.append)
    assert record == tmp_path / "out" / "training.json"
    written = {path.name for path in record.parent.iterdir()}
    assert written == {"training.json", "record.json", "tiny.pth", *(f"{name}.tflite" for name in SUBNETS)}
    figures = json.loads(record.read_text())
    assert figures["images"] == {"train": 256, "held_out": 360}
    assert set(figures["held_out_accuracy"]["elastic"]) == set(SUBNETS)
    assert figures["took"]["elastic"]["epochs"] == len(figures["took"]["elastic"]["right"]) == 2
    assert figures["took"]["alone"]["epochs"] == 1
    assert figures["recipe"]["augmentation"] == dataclasses.asdict(Augmentation())
    family = families.load(tmp_path / "tiny.json")
    weights.fold(family.net, torchfile.read(record.parent / "tiny.pth"), "tiny.pth")
    assert list((tmp_path / "states").iterdir()) == []
    assert lines[0] == "tiny: 4 sub-networks, 256 images, seed 0"
    out, err = capfd.readouterr()
    assert "epoch 2/2" in out and err == ""


def test_families_that_cannot_be_trained(tmp_path):
    with pytest.raises(
        TinyswitchError, match=r"mcunet-320kb-1mb\.json: cannot be trained here: only nets with"
    ):
        train.train("mcunet-320kb", tmp_path)
    with pytest.raises(TinyswitchError, match="cannot be trained here"):
        train.train(write_family(tmp_path, NET | {"resolution": 9}), tmp_path)
    with pytest.raises(TinyswitchError, match="no name for the trained weights"):
        train.train(write_family(tmp_path, {k: v for k, v in NET.items() if k != "checkpoint"}), tmp_path)


def jpeg(colour):
    content = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(content, "JPEG", quality=95)
    return content.getvalue()


def write_archive(file, leave_out=(), prefix=""):
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        for part, count in cifar10.COUNTS.items():
            for label, name in enumerate(cifar10.NAMES):
                for index in range(count):
                    if (part, name) not in leave_out:
                        content = jpeg((label * 20, index * 50, 0))
                        archive.writestr(f"{prefix}{part}/{name}/{index:04d}.jpg", content)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSWITCH_DATA", str(tmp_path))
    monkeypatch.setattr(cifar10, "CACHE", tmp_path / "kept" / "cifar10.npz")
    monkeypatch.setattr(cifar10, "COUNTS", {"train": 3, "test": 2})
    cifar10.split.cache_clear()
    yield tmp_path / cifar10.ARCHIVE
    cifar10.split.cache_clear()


@pytest.mark.parametrize("prefix", ["", "CIFAR-10-images-d7d0/"])
def test_cifar10_is_read_from_its_archive(archive, prefix):
    write_archive(archive, prefix=prefix)
    split = cifar10.split()
    assert split.train_frames.shape == (30, 32, 32, 3) and split.train_frames.dtype == np.uint8
    assert split.train_labels.tolist() == [label for label in range(10) for _ in range(3)]
    assert split.held_out_labels.tolist() == [label for label in range(10) for _ in range(2)]
    expected = [[label * 20, index * 50, 0] for label in range(10) for index in range(3)]
    np.testing.assert_allclose(split.train_frames.mean((1, 2)), expected, atol=3)
    cifar10.split.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar10, "_decode", None)  # it is kept decoded
        again = cifar10.split()
    np.testing.assert_array_equal(again.held_out_frames, split.held_out_frames)


def test_an_archive_that_is_not_cifar10(archive):
    with pytest.raises(TinyswitchError, match=r"cifar10-jpeg\.zip: not in TINYSWITCH_DATA .*; download http"):
        cifar10.split()
    write_archive(archive, leave_out=[("test", "frog")])
    with pytest.raises(TinyswitchError, match=r"0 images in test/frog, CIFAR-10 has 2"):
        cifar10.split()
    archive.write_bytes(b"no archive")
    with pytest.raises(TinyswitchError, match="not CIFAR-10's JPEG files"):
        cifar10.split()


def committed(file):
    return json.loads((FOLDER / "cifar10" / file).read_text())


def test_the_committed_cifar10_family_is_as_its_records_say():
    family, figures = families.load("cifar10"), committed("training.json")
    rows = committed("record.json")["subnets"]
    assert [(row["name"], row["macs"]) for row in rows] == [(s.name, s.net.macs) for s in family.subnets]
    assert len(rows) >= 5 and {row["accuracy_images"] for row in rows} == {10_000}
    for row in rows:
        assert abs(row["accuracy"] - figures["held_out_accuracy"]["elastic"][row["name"]]) < 0.015
    smallest = min(rows, key=lambda row: row["macs"])
    assert rows[0]["accuracy"] >= 0.86
    assert smallest["macs"] <= rows[0]["macs"] / 8 and smallest["accuracy"] >= 0.75
    assert any(subnet.exit is not None for subnet in family.subnets)
    for name, share in figures["held_out_accuracy"]["alone"].items():
        assert name == "full" or share < figures["held_out_accuracy"]["elastic"][name]


@pytest.mark.skipif(data.local(cifar10.ARCHIVE) is None, reason="TINYSWITCH_DATA has no CIFAR-10")
@pytest.mark.parametrize("name", ["full", "small"])
def test_the_committed_cifar10_models_are_as_good_as_their_record_says(name):
    count = 300
    [row] = (row for row in committed("record.json")["subnets"] if row["name"] == name)
    split, model = cifar10.split(), LiteRtModel(FOLDER / "cifar10" / row["file"])
    chosen = np.random.default_rng(0).choice(len(split.held_out_labels), count, replace=False)
    frames = [fit_frame(split.held_out_frames[index], model.input.shape) for index in chosen]
    answers = [model.run(to_model_input(frame, model.input))[0].argmax() for frame in frames]
    share = float((np.array(answers) == split.held_out_labels[chosen]).mean())
    assert abs(share - row["accuracy"]) < 4 * np.sqrt(row["accuracy"] * (1 - row["accuracy"]) / count)
