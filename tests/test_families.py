"""Making families: shared int8 weights, calibration, scales, the files, the proof, the record."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import small_family
from fake_board import write_images
from models import check, examples
from tinyswitch import data, families
from tinyswitch.compiler import tflite
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import find_images, to_model_input
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.families import batchnorm, making, proof, ranges, record, shared, tables, writing
from tinyswitch.families.evaluate import Evaluator
from tinyswitch.families.forward import scores, with_tables
from tinyswitch.families.frames import Frames
from tinyswitch.families.prepared import Prepared
from tinyswitch.nets import torchfile
from tinyswitch.nets.weights import fold
from tinyswitch.quantize import float_model
from tinyswitch.quantize.calibration import to_real

SUBNETS = {
    "all": {},
    "r16": {"resolution": 16},
    "skip": {"skip": [3]},
    "skip-r16": {"skip": [3], "resolution": 16},
    "cut": {"kernel": {"1": 3, "2": 5}, "width": {"1": 16, "3": 24}, "resolution": 17},
    "early": {"exit": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A family with its net, its weights and labelled images."""
    folder = tmp_path_factory.mktemp("family")
    small_family.write(folder, SUBNETS)
    return folder


@pytest.fixture(scope="module")
def family(folder):
    return families.load(folder / "small.json")


@pytest.fixture(scope="module")
def tensors(folder):
    return torchfile.read(folder / "net.pth")


@pytest.fixture(scope="module")
def prepared(family, folder):
    return Prepared(family, Frames.of(find_images(folder / "images")), lambda line: None)


@pytest.fixture(scope="module")
def made(family, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    cache, making.CACHE = making.CACHE, out / "cache"
    try:
        return out, making.make(family, folder / "images", out, lambda line: None)
    finally:
        making.CACHE = cache


def test_weights_are_rounded_before_batch_norm(family, tensors):
    """Batch norm folded into the shared bytes gives the folded float weights, to half a step."""
    weights = shared.share(family.net, tensors)
    folded = fold(family.net, tensors, "test")
    for name, own in weights.items():
        table = tables.plain(own) if own.norm is None else tables.fold(own, own.norm)
        scale = table.scale[:, None] if own.layer.kind == "depthwise" else table.scale
        assert own.values.dtype == np.int8 and np.abs(own.values).max() == 127
        assert (table.scale > 0).all()
        error = np.abs(own.values * scale - folded[name].kernel)
        assert (error <= 0.501 * np.broadcast_to(scale, error.shape)).all()
        np.testing.assert_allclose(table.offset, folded[name].bias, rtol=1e-5, atol=1e-6)


def test_channels_that_never_fire_have_no_weights(prepared):
    values = prepared.shared["blocks.2.inverted_bottleneck"].values
    assert [c for c in range(values.shape[-1]) if not values[..., c].any()] == small_family.DEAD


def test_weights_that_round_exactly_keep_the_trained_batch_norm(family, tensors):
    """Delta calibration moves statistics by what changes; where nothing does, they stay."""
    exact = shared.share(family.net, tensors)
    exact = {
        name: dataclasses.replace(
            own, exact=(own.values * _across(own, own.sign * own.step)).astype(np.float32)
        )
        for name, own in exact.items()
    }
    images = np.random.default_rng(3).uniform(-1, 1, (6, 24, 24, 3)).astype(np.float32)
    statistics = batchnorm.measure(family.net, exact, images)
    found = batchnorm.calibrate(family.net, exact, statistics, images, given={})
    for name, table in found.items():
        own = exact[name]
        if own.norm is not None:
            trained = tables.fold(own, own.norm)
            alive = ~statistics[name].constant
            np.testing.assert_allclose(table.scale[alive], trained.scale[alive], rtol=1e-3)
            np.testing.assert_allclose(table.offset[alive], trained.offset[alive], atol=1e-3)


def _across(own, factors):
    return factors[:, None] if own.layer.kind == "depthwise" else factors


def test_calibration_gives_a_cut_net_the_trained_mean_and_variance(family, tensors):
    """Behind a skipped block, a channel's statistics in units of batch norm are those of the whole net."""
    import tensorflow as tf

    from tinyswitch.families.forward import sweep

    net = family.subnet("skip").net
    weights = shared.share(family.net, tensors)
    images = np.random.default_rng(3).uniform(-1, 1, (8, 24, 24, 3)).astype(np.float32)
    statistics = batchnorm.measure(family.net, weights, images)
    found = batchnorm.calibrate(net, weights, statistics, images, given={})
    name = "blocks.2.point_linear"
    outputs = dict((layer.name, value) for layer, value in sweep(net, images, with_tables(weights, found)))
    mean, variance = tf.nn.moments(outputs[name], (0, 1, 2))
    own, full = weights[name].norm, statistics[name]
    np.testing.assert_allclose(mean, full.level, atol=3e-2)
    np.testing.assert_allclose(variance, full.variance * own.factor**2, rtol=5e-2)


@examples(60)
@given(
    scale=st.floats(-30, 0).map(lambda e: 10.0**e),
    offset=st.floats(-100, 100),
    source=st.floats(-3, 0).map(lambda e: 10.0**e),
    output=st.floats(-3, 0).map(lambda e: 10.0**e),
    used=st.booleans(),
)
def test_no_table_asks_for_more_than_the_fast_kernels_can_do(scale, offset, source, output, used):
    before, behind = ranges.Scale(float(np.float32(source)), 0), ranges.Scale(float(np.float32(output)), 0)
    table = tables.Table(np.array([scale]), np.array([offset]))
    found = writing.quantise(np.array([used]), table, before, behind)
    multiplier = before.scale * float(found.scale[0]) / behind.scale
    assert multiplier >= writing.LEAST_MULTIPLIER * 0.999999
    assert abs(int(found.bias[0])) <= writing.LARGEST_BIAS * 1.000001
    assert abs(found.bias[0] * before.scale * float(found.scale[0]) - offset) <= (
        0.51 * before.scale * float(found.scale[0]) + 1e-6 * abs(offset)
    )
    if used and multiplier > 2 * writing.LEAST_MULTIPLIER and abs(offset) / behind.scale < 2**15:
        assert found.scale[0] >= np.float32(scale)


@examples(60)
@given(low=st.floats(-50, 50), high=st.floats(-50, 50))
def test_scales_hold_their_range_and_zero(low, high):
    low, high = sorted((low, high))
    found = ranges.scale_of(ranges.Range(low, high))
    assert -128 <= found.zero_point <= 127
    for value in (low, high, 0.0):
        q = np.clip(np.round(value / found.scale) + found.zero_point, -128, 127)
        assert abs(found.scale * (q - found.zero_point) - value) <= 1.01 * found.scale


def test_the_input_is_as_conversion_has_it(made):
    folder, _ = made
    found = LiteRtModel(folder / "all.tflite").input
    assert (np.float32(found.scale), found.zero_point) == (np.float32(2 / 255), -1)


@pytest.mark.parametrize("name", SUBNETS)
def test_the_model_computes_what_the_floats_do(prepared, family, made, name):
    """LiteRT's answer to each image is within some steps of the float sub-network's."""
    folder, _ = made
    subnet = family.subnet(name)
    model = LiteRtModel(folder / f"{name}.tflite")
    images = prepared.images.at(subnet.net)
    expected = scores(subnet.net, to_real(images), with_tables(prepared.shared, prepared.tables(subnet)))
    q = np.stack([model.run((image.astype(np.int16) - 128).astype(np.int8))[0].ravel() for image in images])
    found = (q.astype(np.float32) - model.outputs[0].zero_point) * model.outputs[0].scale
    assert np.abs(found - expected).max() < 0.15 * (expected.max() - expected.min())
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98


def test_without_cuts_it_is_the_float_net(prepared, family, tensors):
    images = prepared.pixels(family.net)
    model = float_model.build(family.net, fold(family.net, tensors, "test"))
    expected = np.concatenate([model(image[None]).numpy() for image in images])
    compute = with_tables(prepared.shared, prepared.tables(family.subnets[0]))
    found = scores(family.net, images, compute)
    assert np.abs(found - expected).max() < 0.1 * (expected.max() - expected.min())


@pytest.mark.parametrize("name", SUBNETS)
def test_every_kernel_equals_litert(made, name):
    folder, _ = made
    plans = check((folder / f"{name}.tflite").read_bytes(), frames=2)
    fast = {stage.kernel for stage in plans["dsp"].stages}
    assert not fast & {"ts_pointwise", "ts_conv", "ts_depthwise"}


def test_outputs_are_named_after_the_layers(made, family):
    folder, _ = made
    for subnet in family.subnets:
        graph = tflite.read(folder / f"{subnet.name}.tflite")
        named = [op.outputs[0].name for op in graph.operators if op.name != "PAD"]
        assert named == [layer.name for layer in subnet.net.layers]
        for op in graph.operators:
            if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
                assert (op.inputs[1].scales > 0).all()


def test_the_record_says_what_was_made(made, family, folder):
    out, found = made
    assert record.read(out) == found
    rows = {row.name: row for row in found.subnets}
    assert list(rows) == list(SUBNETS)
    assert rows["all"].own_channels == rows["all"].channels
    assert rows["r16"].own_channels == rows["skip-r16"].own_channels == 0  # the tables of a larger one
    assert 0 < rows["skip"].own_channels < rows["skip"].channels or rows["skip"].own_channels == 0
    assert found.calibration == found.accuracy == {"images": 16, "source": "images"}
    held = {layer.name: layer.weights for layer in family.net.all_layers}
    assert found.weights_bytes == sum(held.values())
    for subnet in family.subnets:
        assert rows[subnet.name].macs == subnet.net.macs
        model = LiteRtModel(out / rows[subnet.name].file)
        entries = find_images(folder / "images").entries
        frames = Frames.of(find_images(folder / "images")).at(subnet.net)
        right = [
            int(model.run(to_model_input(frame, model.input))[0].argmax()) == entry.label
            for frame, entry in zip(frames, entries, strict=True)
        ]
        assert rows[subnet.name].accuracy == round(float(np.mean(right)), 4)
        assert rows[subnet.name].accuracy_images == len(entries)


def test_a_byte_that_differs_is_found(made, tmp_path):
    out, _ = made
    paths = {}
    for name in ("all", "cut"):
        paths[name] = tmp_path / f"{name}.tflite"
        paths[name].write_bytes((out / f"{name}.tflite").read_bytes())
    assert proof.prove(paths).tensors == 26
    graph = tflite.read(paths["cut"])
    weights = next(op for op in graph.operators if op.outputs[0].name == "blocks.2.depth_conv").inputs[1].data
    content = bytearray(paths["cut"].read_bytes())
    position = bytes(content).index(weights.tobytes()) + 17
    content[position] ^= 1
    paths["cut"].write_bytes(bytes(content))
    with pytest.raises(TinyswitchError, match=r"cut\.tflite: the weights of blocks\.2\.depth_conv are not"):
        proof.prove(paths)


def test_cost_is_noted_by_board_and_unit(made, tmp_path):
    _, found = made
    record.write(tmp_path, found)
    record.note(tmp_path, "stm32f746", "cycles", {"all": 1000, "r16": 500})
    record.note(tmp_path, "stm32f746", "instructions", {"all": 900, "skip": 300})
    record.note(tmp_path, "nano33ble", "instructions", {"all": 7})
    rows = {row.name: row for row in record.read(tmp_path).subnets}
    assert rows["all"].cycles == {"stm32f746": 1000}
    assert rows["all"].instructions == {"stm32f746": 900, "nano33ble": 7}
    costs = [rows[name].cost("stm32f746") for name in ("all", "r16", "skip", "cut")]
    assert costs == [1000, 500, 300, None]  # real cycles before counted instructions
    with pytest.raises(TinyswitchError, match="no sub-network 'other'"):
        record.note(tmp_path, "stm32f746", "cycles", {"other": 7})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"subnets": [{"name": 1}]}', "\xff"])
def test_a_damaged_record_is_one_line(tmp_path, content):
    (tmp_path / record.FILE).write_text(content, encoding="latin-1")
    with pytest.raises(TinyswitchError) as error:
        record.read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / record.FILE}: ") and "\n" not in str(error.value)


def test_a_family_that_was_not_made_says_how(tmp_path):
    with pytest.raises(TinyswitchError, match="invoke family"):
        record.read(tmp_path)


def refused(family, images, out, *words, **more):
    with pytest.raises(TinyswitchError) as error:
        making.make(family, images, out, lambda line: None, **more)
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text
    assert not out.exists()


def test_what_cannot_be_made_says_why(family, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(making, "CACHE", tmp_path / "cache")
    out = tmp_path / "out"
    refused(family, None, out, "no images to calibrate", "--images")
    refused(family, tmp_path / "none", out, "none: no such folder")
    refused(family, folder / "images", out, "limit 0", limit=0)
    nowhere = dataclasses.replace(family, checkpoint=None)
    refused(nowhere, folder / "images", out, "no trained weights are known", "checkpoint")
    missing = dataclasses.replace(family, checkpoint=str(tmp_path / "no.pth"))
    refused(missing, folder / "images", out, "no.pth")
    write_images(tmp_path / "more", 6, classes=6)
    refused(family, tmp_path / "more", out, "label 5 is not among the 4 classes")


def test_searches_get_an_accuracy_of_any_sub_network(family, folder, made):
    frames = Frames.of(find_images(folder / "images"))
    judge = Evaluator(family, frames, frames, lambda line: None)
    spec = {"skip": [1], "width": {"2": 16}, "resolution": 20}
    other = families.parse_subnet(family.source, family.net, "other", spec)
    assert 0 <= judge.accuracy(other) <= 1
    _, found = made
    by_name = {row.name: row.accuracy for row in found.subnets}
    for subnet in family.subnets:
        assert abs(judge.accuracy(subnet) - by_name[subnet.name]) <= 2 / 16
    unknown = Frames(frames.sources, name="somewhere")
    with pytest.raises(TinyswitchError, match="somewhere: images to measure with need labels"):
        Evaluator(family, frames, unknown, lambda line: None)


def test_frames_are_as_files_are_read(folder):
    """Pixels that are given are scaled as image files are."""
    from PIL import Image

    net = families.load(folder / "small.json").net
    files = Frames.of(find_images(folder / "images"))
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in files.sources]
    np.testing.assert_array_equal(Frames(pixels).at(net), files.at(net))
    first, second = files.halves()
    assert len(first) == len(second) == 8 and first.sources[1] == files.sources[2]
    assert files.evenly(4).sources == files.sources[::4]


def test_published_weights_make_a_family(tmp_path, monkeypatch):
    """Few images and no tuning, to be quick: shared bytes, and int8 answers mostly those of the floats."""
    folder = data.local("imagenet-sample")
    if folder is None:
        pytest.skip(f"needs imagenet-sample/ in {data.VARIABLE}")
    family = families.load("mcunet-320kb")
    chosen = (family.subnets[0], family.subnet("r112-d34"))
    frames = Frames.of(find_images(folder)).first(12)
    prepared = Prepared(family, frames, lambda line: None)
    observed = [
        ranges.observe(s.net, prepared.pixels(s.net), with_tables(prepared.shared, prepared.tables(s)))
        for s in chosen
    ]
    scales = ranges.scales(ranges.union(observed))
    paths = {}
    for subnet in chosen:
        paths[subnet.name] = tmp_path / f"{subnet.name}.tflite"
        content = writing.write(subnet.net, prepared.shared, prepared.tables(subnet), scales)
        paths[subnet.name].write_bytes(content)
    assert 690_000 < proof.prove(paths).distinct_bytes < 725_000
    small = chosen[1]
    model = LiteRtModel(paths[small.name])
    expected = scores(
        small.net, prepared.pixels(small.net), with_tables(prepared.shared, prepared.tables(small))
    )
    answers = [
        model.run((frame.astype(np.int16) - 128).astype(np.int8))[0].argmax()
        for frame in frames.at(small.net)
    ]
    assert np.mean(answers == expected.argmax(axis=1)) >= 0.6
