"""Nets: both forms, the shapes they stand for, and what a wrong file gets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyswitch import nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.nets import compact, published

# Published figures: github.com/mit-han-lab/mcunet, README (million MACs, million parameters).
PUBLISHED = {
    "mcunet-10fps": (6.4, 0.75),
    "mcunet-5fps": (12.8, 0.64),
    "mcunet-256kb-1mb": (67.3, 0.73),
    "mcunet-320kb-1mb": (81.8, 0.74),
    "mcunet-512kb-2mb": (125.9, 1.73),
    "proxyless-w0.25-r112": (10.7, 0.57),
    "proxyless-w0.3-r176": (38.3, 0.75),
    "mbv2-w0.3-r80": (7.3, 0.63),
    "mbv2-w0.35-r144": (23.5, 0.75),
}
COMPACT = {
    "resolution": 32,
    "layers": ["conv k3 s2 c8", "block k3 s1 e16 c8 add", "skip", "block k5 s2 e16 c12", "pool", "dense c10"],
}


def _conv(kernel: int, stride: int, inputs: int, outputs: int) -> dict[str, Any]:
    return {"kernel_size": kernel, "stride": stride, "in_channels": inputs, "out_channels": outputs}


IDENTITY = {"name": "IdentityLayer"}
# The same net as COMPACT in the published form.
PUBLISHED_FORM = {
    "resolution": 32,
    "bn": {"eps": 1e-5},
    "first_conv": _conv(3, 2, 3, 8),
    "blocks": [
        {
            "mobile_inverted_conv": {"name": "MBInvertedConvLayer", "expand_ratio": 2, **_conv(3, 1, 8, 8)},
            "shortcut": IDENTITY,
        },
        {"mobile_inverted_conv": {"name": "ZeroLayer", "stride": 1}, "shortcut": IDENTITY},
        {
            "mobile_inverted_conv": {
                "name": "MBInvertedConvLayer",
                "expand_ratio": 6,
                "mid_channels": 16,
                **_conv(5, 2, 8, 12),
            },
            "shortcut": None,
        },
    ],
    "feature_mix_layer": None,
    "classifier": {"in_features": 12, "out_features": 10},
}


def _load(folder: Path, content: Any) -> nets.Net:
    file = folder / "net.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return nets.load(file)


@pytest.mark.parametrize("name", PUBLISHED)
def test_macs_and_parameters_are_the_published_ones(name):
    net = nets.load(name)
    assert (round(net.macs / 1e6, 1), round(net.parameters / 1e6, 2)) == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_both_forms_give_the_same_net(name):
    root = os.environ.get("TINYSWITCH_DATA")
    if not root:
        pytest.skip("TINYSWITCH_DATA is unset: the published files are not here")
    ours, theirs = nets.load(name), nets.load(Path(root) / f"mcunet/configs/{name}_imagenet.json")
    assert ours.layers == theirs.layers
    assert (ours.macs, ours.parameters, ours.input, ours.classes, ours.bn_eps, ours.data, ours.name) == (
        (
            theirs.macs,
            theirs.parameters,
            theirs.input,
            theirs.classes,
            theirs.bn_eps,
            theirs.data,
            theirs.name,
        )
    )


def test_layers_of_a_small_net_in_both_forms(tmp_path):
    net = _load(tmp_path, COMPACT)
    assert _load(tmp_path, PUBLISHED_FORM).layers == net.layers
    shapes = [(layer.name, layer.kind, layer.output) for layer in net.layers]
    assert shapes == [
        ("first_conv", "conv", (16, 16, 8)),
        ("blocks.0.inverted_bottleneck", "conv", (16, 16, 16)),
        ("blocks.0.depth_conv", "depthwise", (16, 16, 16)),
        ("blocks.0.point_linear", "conv", (16, 16, 8)),
        ("blocks.0.add", "add", (16, 16, 8)),
        ("blocks.2.inverted_bottleneck", "conv", (16, 16, 16)),
        ("blocks.2.depth_conv", "depthwise", (8, 8, 16)),
        ("blocks.2.point_linear", "conv", (8, 8, 12)),
        ("pool", "pool", (1, 1, 12)),
        ("classifier", "dense", (1, 1, 10)),
    ]
    assert net.layers[4].shortcut == 0
    assert [layer.relu6 for layer in net.layers] == [True] * 3 + [False] * 2 + [True] * 2 + [False] * 3
    first_block = 256 * (8 * 16 + 9 * 16 + 16 * 8)
    second_block = 256 * 8 * 16 + 64 * (25 * 16 + 16 * 12)
    assert net.macs == 256 * 27 * 8 + first_block + second_block + 120
    assert net.layers[0].parameters == 27 * 8 + 2 * 8
    assert net.layers[-1].parameters == 12 * 10 + 10


def test_odd_sizes_are_rounded_up(tmp_path):
    content = {"resolution": 9, "channels": 1, "layers": ["conv k3 s2 c4", "conv k1 c2", "pool", "dense c3"]}
    net = _load(tmp_path, content)
    assert [layer.output[0] for layer in net.layers] == [5, 5, 1, 1]
    assert [layer.name for layer in net.layers] == ["first_conv", "feature_mix_layer", "pool", "classifier"]


def _lines(*changed: str) -> dict[str, Any]:
    return {**COMPACT, "layers": [*changed, *COMPACT["layers"][1:]]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "line 1, column 2: not JSON"),
        ("[1]", "the file is [1]; allowed: an object"),
        ("{}", "not a net"),
        ("\0", "not JSON"),
        ('{"resolution": 1' + "0" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ({**COMPACT, "resolution": 0}, "resolution is 0; allowed: 1 to 2048"),
        ({**COMPACT, "resolution": True}, "resolution is true; allowed: 1 to 2048"),
        ({"layers": COMPACT["layers"]}, "resolution is missing"),
        ({**COMPACT, "resolutoin": 5}, 'unknown key "resolutoin"; allowed: resolution, '),
        ({**COMPACT, "resolutoin": 5}, "did you mean resolution?"),
        ({**COMPACT, "bn_eps": "x"}, 'bn_eps is "x"; allowed: 1e-09 to 1'),
        ({**COMPACT, "data": "mnist"}, 'data is "mnist"; allowed: imagenet, digits'),
        ({**COMPACT, "checkpoint": "../x.pth"}, 'checkpoint is "../x.pth"; allowed: a path inside'),
        ({**COMPACT, "layers": 3}, "layers is 3; allowed: a list"),
        ({**COMPACT, "layers": []}, "ends with pool and dense"),
        (_lines("conf k3 c8"), 'layers[0] is "conf k3 c8"'),
        (_lines("conf k3 c8"), "did you mean conv?"),
        (_lines("conv k4 c8"), 'layers[0] "conv k4 c8": k is 4; allowed: odd, 1 to 15'),
        (_lines("conv k3 s9 c8"), "s is 9; allowed: 1 to 4"),
        (_lines("conv k3"), "c is missing; allowed: conv kN cN [sN]"),
        (_lines("conv k3 k3 c8"), "allowed: conv kN cN [sN]"),
        (_lines("conv k3 c8 add"), "allowed: conv kN cN [sN]"),
        (_lines("conv k3 c8x"), "allowed: conv kN cN [sN]"),
        (_lines("conv k3 c60000", "conv k15 c60000"), "allowed: 67108864 parameters"),
        (_lines("conv k3 s1 c4"), "adds its input 32x32x4 to an output of 32x32x8"),
    ],
)
def test_a_wrong_file_gets_one_clear_line(tmp_path, content, expected):
    with pytest.raises(TinyswitchError) as caught:
        _load(tmp_path, content)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'net.json'}: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("first_conv", "kernel_size"), 2, "first_conv.kernel_size is 2; allowed: odd, 1 to 15"),
        (("first_conv", "dilation"), 2, "first_conv.dilation is 2; allowed: 1"),
        (("first_conv", "act_func"), "h_swish", 'first_conv.act_func is "h_swish"; allowed: "relu6"'),
        (("blocks", 0, "mobile_inverted_conv", "use_se"), True, "use_se is true; allowed: false"),
        (("blocks", 0, "mobile_inverted_conv", "in_channels"), 9, "is 9; the layer before it gives 8"),
        (("blocks", 0, "mobile_inverted_conv", "name"), "X", "allowed: MBInvertedConvLayer, ZeroLayer"),
        (("blocks", 1, "shortcut"), None, "IdentityLayer where the block is a ZeroLayer"),
        (("blocks", 2, "shortcut"), IDENTITY, "blocks[2] adds its input 16x16x8"),
        (("classifier", "in_features"), 13, "classifier.in_features is 13; the layer before it gives 12"),
    ],
)
def test_a_wrong_value_in_the_published_form(tmp_path, path, value, expected):
    content = json.loads(json.dumps(PUBLISHED_FORM))
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    with pytest.raises(TinyswitchError, match=r"net\.json: ") as caught:
        _load(tmp_path, content)
    assert expected in str(caught.value)


def test_names_are_suggested():
    with pytest.raises(TinyswitchError, match="did you mean mcunet-320kb-1mb"):
        nets.load("mcunet-320kb")
    with pytest.raises(TinyswitchError, match="No such file"):
        nets.load("nowhere/net.json")


def test_the_table_has_every_net_and_where_its_weights_are(monkeypatch):
    monkeypatch.delenv("TINYSWITCH_DATA", raising=False)
    rows = {row.name: row for row in nets.table()}
    assert set(rows) == {*PUBLISHED, "digits", "cifar10"}
    assert rows["mcunet-320kb-1mb"].resolution == 176
    assert rows["digits"].checkpoint == "shipped"
    assert rows["mcunet-5fps"].checkpoint == "-"
    assert rows["mcunet-320kb-1mb"].checkpoint in ("download", "here")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def _places(value: Any, path: tuple = ()) -> list[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in items for place in _places(inner, (*path, key)))]


@settings(max_examples=300)
@given(data=st.data())
def test_any_value_anywhere_gives_a_net_or_one_line(data):
    """One value of a good file is replaced by any other, or removed."""
    content = json.loads(json.dumps(data.draw(st.sampled_from([COMPACT, PUBLISHED_FORM]))))
    path = data.draw(st.sampled_from(_places(content)[1:]))
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    if data.draw(st.booleans()):
        parent[path[-1]] = data.draw(JSON | st.integers(0, 70000) | st.sampled_from(COMPACT["layers"]))
    else:
        del parent[path[-1]]
    form = compact if "layers" in content else published
    try:
        net = form.read(Path("net.json"), "net", content)
    except TinyswitchError as error:
        assert str(error).startswith("net.json: ") and "\n" not in str(error)
    except KeyError as error:  # load() asks for these keys to choose the form
        assert error.args[0] in ("layers", "first_conv")
    else:
        assert net.macs > 0


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40), st.integers(0, 10**6), st.integers(0, 40))
def test_damaged_bytes_give_a_net_or_one_line(tmp_path, replacement, position, removed):
    raw = json.dumps(COMPACT).encode()
    position %= len(raw)
    file = tmp_path / "net.json"
    file.write_bytes(raw[:position] + replacement + raw[position + removed :])
    try:
        nets.load(file)
    except TinyswitchError as error:
        assert str(error).startswith(f"{file}: ") and "\n" not in str(error)
