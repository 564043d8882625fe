"""Families' files, nets cut from nets, and the order of channels."""

import numpy as np
import pytest

import small_family
from tinyswitch import families, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.families import order
from tinyswitch.families.derive import derive
from tinyswitch.nets.weights import fold, random_tensors
from tinyswitch.quantize import float_model


@pytest.fixture
def net_file(tmp_path):
    return small_family.write_net(tmp_path / "small.json")


def family_file(net_file, subnets, **more):
    return small_family.write_family(net_file.with_name("family.json"), net_file, subnets, **more)


def test_sub_networks_are_cut(net_file):
    family = families.load(
        family_file(
            net_file,
            {
                "all": {},
                "small": {"resolution": 16, "skip": [3], "kernel": {"2": 5}, "width": {"1": 8}},
                "half": {"width": 0.5, "kernel": 3},
                "early": {"exit": 1},
            },
        )
    )
    assert [s.name for s in family.subnets] == ["all", "small", "half", "early"]
    assert family.subnets[0].net.layers == family.net.layers == nets.load(net_file).layers
    small = {layer.name: layer for layer in family.subnet("small").net.layers}
    assert "blocks.3.add" not in small
    assert small["first_conv"].output == (8, 8, 8)
    assert small["blocks.1.inverted_bottleneck"].output == (8, 8, 8)
    assert small["blocks.1.depth_conv"].kernel == 5
    assert small["blocks.1.point_linear"].weights == 8 * 8
    assert small["blocks.2.depth_conv"].kernel == 5
    assert small["blocks.2.point_linear"].output == (4, 4, 16)
    half = family.subnet("half")
    assert (half.widths, half.kernels) == ({1: 16, 2: 16, 3: 24}, {1: 3, 2: 3})
    early = [layer.name for layer in family.subnet("early").net.layers]
    assert early[-3:] == ["blocks.1.add", "exits.1.pool", "exits.1"]


def test_shortcuts_follow_what_is_left(net_file):
    net = nets.load(net_file)
    whole = next(layer for layer in net.layers if layer.name == "blocks.3.add")
    cut = derive(net, "cut", 24, skip=[1])
    found = next(layer for layer in cut.layers if layer.name == "blocks.3.add")
    assert cut.layers[found.shortcut].name == net.layers[whole.shortcut].name == "blocks.2.point_linear"


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        ({"skip": [2]}, "subnets.x.skip is 2; allowed: residual blocks of small: 1, 3"),
        ({"skip": [9]}, "subnets.x.skip is 9; allowed: a block of small: 0 to 3"),
        ({"skip": 1}, "subnets.x.skip is 1; allowed: a list of blocks"),
        ({"kernel": {"0": 5}}, "subnets.x.kernel.0 is 5; allowed: odd, 1 to 3"),
        ({"width": {"0": 4}}, "blocks of small with an expansion"),
        ({"width": {"1": 25}}, "subnets.x.width.1 is 25; allowed: 1 to 24"),
        ({"width": 1.5}, "subnets.x.width is 1.5; allowed: 0.01 to 1"),
        ({"exit": 2}, "subnets.x.exit is 2; allowed: a block of small with an exit: 1"),
        ({"resolution": 25}, "subnets.x.resolution is 25; allowed: 1 to 24"),
        ({"tune": 1}, "subnets.x.tune is 1; allowed: true, false"),
        ({"depth": 2}, 'unknown key "depth"; allowed: resolution, skip, kernel, width, exit, tune'),
    ],
)
def test_what_the_net_lacks_is_refused(net_file, subnet, message):
    file = family_file(net_file, {"all": {}, "x": subnet})
    with pytest.raises(TinyswitchError) as error:
        families.load(file)
    assert str(error.value).startswith(f"{file}: ") and message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_first_is_the_largest(net_file):
    with pytest.raises(TinyswitchError, match="the first sub-network is the whole net"):
        families.load(family_file(net_file, {"small": {"resolution": 16}}))


def test_a_name_that_is_there_twice_is_refused(net_file):
    file = net_file.with_name("twice.json")
    file.write_text(f'{{"net": "{net_file}", "subnets": {{"a": {{}}, "a": {{"resolution": 8}}}}}}')
    with pytest.raises(TinyswitchError, match='"a" is there twice'):
        families.load(file)


def test_an_unknown_family_names_those_that_there_are():
    with pytest.raises(TinyswitchError, match=r"no family .*mcunet-320kb"):
        families.load("mcunet-320")


def test_shipped_families_load():
    assert "mcunet-320kb" in families.names()
    for name in families.names():
        family = families.load(name)
        assert family.subnets[0].net.macs == max(s.net.macs for s in family.subnets)


def scores(net, tensors, images):
    model = float_model.build(net, fold(net, tensors, "test"))
    return np.concatenate([model(image[None]).numpy() for image in images])


def test_dead_channels_are_cut_without_a_change(net_file):
    """Batch norm makes some channels 0 or a constant; a narrower net without them gives the same scores."""
    family = families.load(family_file(net_file, {"all": {}}, order="importance", width={"2": 24}))
    tensors = random_tensors(family.whole, 1)
    rng = np.random.default_rng(2)
    dead = rng.permutation(32)[:8]
    tensors["blocks.2.mobile_inverted_conv.inverted_bottleneck.bn.bias"][dead] = -100
    tensors["blocks.2.mobile_inverted_conv.depth_conv.bn.bias"][dead] = rng.uniform(-3, 3, 8)
    images = rng.uniform(-1, 1, (3, 24, 24, 3)).astype(np.float32)
    prepared = order.prepare(family, tensors, images)
    assert prepared["blocks.2.mobile_inverted_conv.depth_conv.conv.weight"].shape == (24, 1, 7, 7)
    np.testing.assert_allclose(
        scores(family.net, prepared, images), scores(family.whole, tensors, images), atol=1e-4
    )


def test_the_checkpoints_order_is_kept_unless_asked(net_file):
    family = families.load(family_file(net_file, {"all": {}}, width={"1": 8}))
    tensors = random_tensors(family.whole, 1)
    prepared = order.prepare(family, tensors, np.zeros((1, 24, 24, 3), np.float32))
    name = "blocks.1.mobile_inverted_conv.depth_conv.conv.weight"
    np.testing.assert_array_equal(prepared[name], tensors[name][:8])
