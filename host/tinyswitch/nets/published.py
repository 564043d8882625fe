"""The form in which the MCUNet nets are published.

Source: github.com/mit-han-lab/mcunet, assets/configs/*.json: the constructor arguments of PyTorch modules.
What is not read here has no influence on inference (momentum, dropout).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinyswitch.errors import TinyswitchError
from tinyswitch.nets import check
from tinyswitch.nets.net import Net, Spec, assemble

MAX_BLOCKS = 1024

# The only values that the nets of this project can have; a key that is absent has this value.
CONV = {
    "name": "ConvLayer",
    "dilation": 1,
    "groups": 1,
    "bias": False,
    "has_shuffle": False,
    "use_bn": True,
    "act_func": "relu6",
    "ops_order": "weight_bn_act",
}
BLOCK = {"act_func": "relu6", "use_se": False}
CLASSIFIER = {"name": "LinearLayer", "bias": True, "use_bn": False, "act_func": None}


def read(file: Path, name: str, content: dict[str, Any]) -> Net:
    """The net in ``content``; raises TinyswitchError."""
    _fixed(file, "", content, {"name": "ProxylessNASNets"})
    resolution = check.get(file, "", content, "resolution")
    resolution = check.integer(file, "resolution", resolution, check.RESOLUTIONS)
    norm = check.mapping(file, "bn", check.get(file, "", content, "bn"))
    _fixed(file, "bn", norm, {"ws_eps": None})
    eps = check.number(file, "bn.eps", check.get(file, "bn", norm, "eps"), *check.BN_EPS)
    first = check.get(file, "", content, "first_conv")
    channels = check.mapping(file, "first_conv", first).get("in_channels")
    channels = check.integer(file, "first_conv.in_channels", channels, range(1, 257))
    specs = _specs(file, content, channels)
    layers, _ = assemble(file, resolution, channels, specs)
    data = "imagenet" if file.stem.endswith("_imagenet") else None
    return Net(name, resolution, channels, eps, layers, None, data, file)


def _specs(file: Path, content: dict[str, Any], channels: int) -> list[Spec]:
    specs = [_conv(file, "first_conv", content["first_conv"], channels)]
    blocks = check.get(file, "", content, "blocks")
    if not isinstance(blocks, list) or len(blocks) > MAX_BLOCKS:
        raise check.bad(file, "blocks", blocks, f"a list of up to {MAX_BLOCKS} blocks")
    for index, block in enumerate(blocks):
        specs.append(_block(file, f"blocks[{index}]", block, _depth(specs)))
    if content.get("feature_mix_layer") is not None:
        mix = content["feature_mix_layer"]
        specs.append(_conv(file, "feature_mix_layer", mix, _depth(specs)))
    specs.append(Spec("pool", "pool"))
    return [*specs, _classifier(file, check.get(file, "", content, "classifier"), _depth(specs))]


def _depth(specs: list[Spec]) -> int:
    """Channels after the last layer that changes them."""
    return next(spec.channels for spec in reversed(specs) if spec.channels)


def _conv(file: Path, key: str, value: Any, depth: int) -> Spec:
    conv = check.mapping(file, key, value)
    _fixed(file, key, conv, CONV)
    _same(file, f"{key}.in_channels", check.get(file, key, conv, "in_channels"), depth)
    return Spec(
        "conv",
        key,
        _int(file, key, conv, "kernel_size", check.KERNELS),
        _int(file, key, conv, "stride", check.STRIDES),
        channels=_int(file, key, conv, "out_channels", check.CHANNELS),
    )


def _block(file: Path, key: str, value: Any, depth: int) -> Spec:
    block = check.mapping(file, key, value)
    _fixed(file, key, block, {"name": "MobileInvertedResidualBlock"})
    inner = f"{key}.mobile_inverted_conv"
    conv = check.mapping(file, inner, check.get(file, key, block, "mobile_inverted_conv"))
    add = _shortcut(file, f"{key}.shortcut", block.get("shortcut"))
    kind = conv.get("name")
    if kind == "ZeroLayer":
        if not add:
            raise check.bad(file, f"{key}.shortcut", None, "an IdentityLayer where the block is a ZeroLayer")
        return Spec("skip", key)
    if kind != "MBInvertedConvLayer":
        raise check.bad(file, f"{inner}.name", kind, "MBInvertedConvLayer, ZeroLayer")
    _fixed(file, inner, conv, BLOCK)
    _same(file, f"{inner}.in_channels", check.get(file, inner, conv, "in_channels"), depth)
    return Spec(
        "block",
        key,
        _int(file, inner, conv, "kernel_size", check.KERNELS),
        _int(file, inner, conv, "stride", check.STRIDES),
        _expanded(file, inner, conv, depth),
        _int(file, inner, conv, "out_channels", check.CHANNELS),
        add,
    )


def _expanded(file: Path, key: str, conv: dict[str, Any], depth: int) -> int | None:
    """Channels after the expansion: given, or a multiple of the input's; no expansion for ratio 1."""
    ratio = check.number(file, f"{key}.expand_ratio", check.get(file, key, conv, "expand_ratio"), 1, 64)
    if ratio == 1:
        return None
    if conv.get("mid_channels") is not None:
        return _int(file, key, conv, "mid_channels", check.CHANNELS)
    return check.integer(file, f"{key}.expand_ratio", round(depth * ratio), check.CHANNELS)


def _shortcut(file: Path, key: str, value: Any) -> bool:
    if value is None:
        return False
    name = check.mapping(file, key, value).get("name")
    if name not in ("IdentityLayer", "ZeroLayer"):
        raise check.bad(file, f"{key}.name", name, "IdentityLayer, ZeroLayer, or null instead of the object")
    return name == "IdentityLayer"


def _classifier(file: Path, value: Any, depth: int) -> Spec:
    key = "classifier"
    dense = check.mapping(file, key, value)
    _fixed(file, key, dense, CLASSIFIER)
    _same(file, f"{key}.in_features", check.get(file, key, dense, "in_features"), depth)
    return Spec("dense", key, channels=_int(file, key, dense, "out_features", check.CHANNELS))


def _fixed(file: Path, key: str, parent: dict[str, Any], values: dict[str, Any]) -> None:
    for name, allowed in values.items():
        value = parent.get(name, allowed)
        if type(value) is not type(allowed) or value != allowed:
            raise check.bad(file, f"{key}.{name}" if key else name, value, check.show(allowed))


def _int(file: Path, key: str, parent: dict[str, Any], name: str, allowed: range) -> int:
    return check.integer(file, f"{key}.{name}", check.get(file, key, parent, name), allowed)


def _same(file: Path, key: str, value: Any, depth: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value != depth:
        raise TinyswitchError(f"{file}: {key} is {check.show(value)}; the layer before it gives {depth}")
