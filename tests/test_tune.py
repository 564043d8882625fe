"""Tuning of tables: what is learned, from what, and what stays as it is."""

import numpy as np
import pytest

import small_family
from models import check
from tinyswitch.evaluate.images import find_images, fit_frame
from tinyswitch.families import making, proof, ranges, tune
from tinyswitch.families.forward import exact, scores, with_tables
from tinyswitch.families.frames import Frames
from tinyswitch.families.prepared import Prepared

SUBNETS = {"all": {}, "skip": {"skip": [1]}, "skip-r16": {"skip": [1], "resolution": 16}}
STEPS = 40


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("family")
    family = small_family.write(folder, SUBNETS)
    images = Frames(Frames.of(find_images(folder / "images")).sources)  # without their labels
    return Prepared(family, images, lambda line: None)


@pytest.fixture(scope="module")
def tuned(prepared):
    """(tables tuned for skip and skip-r16, the log)."""
    lines = []
    nets = [prepared.family.subnet(name).net for name in ("skip", "skip-r16")]
    whole, shared = prepared.family.net, prepared.shared
    before = prepared.tables(prepared.family.subnet("skip"))
    scales = scales_of(prepared)
    return tune.tune(nets, whole, shared, before, scales, prepared.images, lines.append, STEPS), lines


def scales_of(prepared):
    """As families have them: from what all sub-networks show."""
    seen = []
    for subnet in prepared.family.subnets:
        compute = with_tables(prepared.shared, prepared.tables(subnet))
        seen.append(ranges.observe(subnet.net, prepared.pixels(subnet.net), compute))
    return ranges.scales(ranges.union(seen))


def loss(prepared, name, tables):
    """How far the sub-network is from the whole float net, on the images themselves."""
    subnet, whole = prepared.family.subnet(name), prepared.family.net
    wanted = scores(whole, prepared.pixels(whole), exact(prepared.shared))
    found = scores(subnet.net, prepared.pixels(subnet.net), with_tables(prepared.shared, tables))
    return float(tune.difference(wanted, found))


@pytest.mark.parametrize("name", ["skip", "skip-r16"])
def test_tuned_tables_are_nearer_to_the_whole_net(prepared, tuned, name):
    before = loss(prepared, name, prepared.tables(prepared.family.subnet(name)))
    assert loss(prepared, name, tuned[0]) < 0.8 * before


def test_only_tables_of_linear_convolutions_change(prepared, tuned):
    before = prepared.tables(prepared.family.subnet("skip"))
    assert set(tuned[0]) == set(before)
    for name, table in tuned[0].items():
        same = [
            np.array_equal(getattr(table, key), getattr(before[name], key)) for key in ("scale", "offset")
        ]
        assert same == [not name.endswith(".point_linear")] * 2, name
        assert (table.scale >= 0).all()


def test_progress_is_told(tuned):
    assert len(tuned[1]) == STEPS // (STEPS // tune.TOLD)
    assert tuned[1][0].startswith(f"tuning: step {STEPS // tune.TOLD} of {STEPS}, difference ")


def test_the_teacher_is_the_whole_float_net(prepared):
    """``exact`` gives, through batch norm as trained, what folded weights give."""
    import tensorflow as tf

    from tinyswitch.nets import torchfile
    from tinyswitch.nets.weights import fold
    from tinyswitch.quantize import float_model

    net = prepared.family.net
    tensors = torchfile.read(prepared.family.source.with_name("net.pth"))
    model = float_model.build(net, fold(net, tensors, "test"))
    pixels = prepared.pixels(net)
    expected = np.concatenate([model(tf.constant(image[None])).numpy() for image in pixels])
    np.testing.assert_allclose(scores(net, pixels, exact(prepared.shared)), expected, rtol=1e-4, atol=1e-4)


def test_rounding_is_that_of_the_models():
    scale = ranges.scale_of(ranges.Range(-0.7, 5.1))
    values = np.linspace(-2, 7, 1001).astype(np.float32)
    q = np.clip(np.round(values / scale.scale) + scale.zero_point, -128, 127)
    expected = scale.scale * (q - scale.zero_point)
    found = tune.rounded(values, scale).numpy()
    assert np.abs(found - expected).max() < 1.01 * scale.scale  # where two integers are equally near
    assert (np.abs(found - expected) < 1e-5).mean() > 0.99


def test_gradients_pass_rounding_but_not_its_limits():
    import tensorflow as tf

    scale = ranges.scale_of(ranges.Range(-1, 1))
    values = tf.constant([-3.0, -0.5, 0.1, 0.9, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(tune.rounded(values, scale))
    assert tape.gradient(total, values).numpy().tolist() == [0, 1, 1, 1, 0]


def test_difference_is_that_of_numpy():
    rng = np.random.default_rng(2)
    wanted, found = rng.normal(0, 3, (2, 5, 7)).astype(np.float32)
    softened = [np.exp(s / tune.TEMPERATURE) for s in (wanted, found)]
    p, q = (s / s.sum(axis=1, keepdims=True) for s in softened)
    expected = tune.TEMPERATURE**2 * (p * np.log(p / q)).sum(axis=1).mean()
    assert float(tune.difference(wanted, found)) == pytest.approx(expected, rel=1e-5)
    assert float(tune.difference(wanted, wanted)) == pytest.approx(0, abs=1e-6)


def test_views_are_the_same_parts_at_any_size(prepared):
    ramp = np.linspace(0, 255, 96)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], 90.0), axis=-1).astype(np.uint8)
    views = tune.Views(Frames([picture, picture[::-1].copy()]), prepared.family.net)
    large, small = (views.at(prepared.family.subnet(name).net) for name in ("all", "skip-r16"))
    assert large.shape == (2 * tune.VIEWS, 24, 24, 3) and small.shape == (2 * tune.VIEWS, 16, 16, 3)
    assert np.array_equal(large[0], fit_frame(picture, (24, 24, 3)))
    assert np.array_equal(large[1], large[0][:, ::-1])
    for one, other in zip(large, small, strict=True):
        for corner in ((0, 0), (0, -1), (-1, 0)):
            difference = np.abs(one[corner].astype(int) - other[corner].astype(int))
            assert difference.max() < 20  # cut otherwise: up to 76
    assert len({large[i].tobytes() for i in range(tune.VIEWS)}) == tune.VIEWS


def test_batches_are_of_all_before_any_comes_again():
    found = [next(batch) for batch in [tune.batches(70)] for _ in range(4)]
    assert [len(b) for b in found] == [tune.BATCH] * 4
    assert len(set(found[0]) | set(found[1])) == len(set(found[2]) | set(found[3])) == 2 * tune.BATCH
    assert len(next(tune.batches(5))) == 5


def test_the_rate_falls_to_nothing():
    rates = [tune.falling(part) for part in np.linspace(0, 1, 11)]
    assert rates[0] == 1 and rates == sorted(rates, reverse=True) and rates[-1] == pytest.approx(0)


def test_a_family_tunes_what_it_says(tmp_path, monkeypatch):
    """The other models are, byte for byte, as without tuning, and all still share their weights."""
    monkeypatch.setattr(making, "CACHE", tmp_path / "cache")
    monkeypatch.setattr("tinyswitch.families.prepared.tune", lambda *args: tune.tune(*args, steps=4))
    asking = {**SUBNETS, "skip-r16": {**SUBNETS["skip-r16"], "tune": True}}
    made, models = {}, {}
    for folder, subnets in ((tmp_path / "plain", SUBNETS), (tmp_path / "tuned", asking)):
        folder.mkdir()
        family, out = small_family.write(folder, subnets), folder / "out"
        made[folder.name] = making.make(family, folder / "images", out, lambda line: None)
        models[folder.name] = {name: (out / f"{name}.tflite").read_bytes() for name in SUBNETS}
    differ = [name for name in SUBNETS if models["plain"][name] != models["tuned"][name]]
    assert differ == ["skip-r16"]
    assert [record.subnets[2].own_channels for record in made.values()] == [0, 8 + 16 + 16]
    assert proof.prove({name: tmp_path / "tuned" / "out" / f"{name}.tflite" for name in SUBNETS}).tensors > 20
    check(models["tuned"]["skip-r16"], frames=2)
