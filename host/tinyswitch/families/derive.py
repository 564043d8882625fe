"""Nets cut from a net: smaller input, blocks left out, smaller kernels, narrower expansions, an early end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from tinyswitch.nets.net import Layer, Net, Shape


def block_of(layer: Layer) -> int | None:
    """The number of the block that the layer is in, as in the checkpoint; None: in none."""
    parts = layer.name.split(".")
    return int(parts[1]) if parts[0] == "blocks" else None


def block_numbers(net: Net) -> list[int]:
    """Numbers of the net's blocks, ascending."""
    return sorted({number for layer in net.layers if (number := block_of(layer)) is not None})


def is_residual(net: Net, number: int) -> bool:
    """Whether the block adds its input to its output, and so can be left out."""
    return any(layer.kind == "add" for layer in _block(net, number))


def kernel_of(net: Net, number: int) -> int:
    """Taps of the block's depthwise kernel along one axis."""
    return next(layer.kernel for layer in _block(net, number) if layer.kind == "depthwise")


def expanded_channels(net: Net, number: int) -> int | None:
    """Channels after the block's expansion; None: it has none."""
    first = next(_block(net, number))
    return first.output[2] if first.kind == "conv" else None


def _block(net: Net, number: int) -> Iterator[Layer]:
    return (layer for layer in net.layers if block_of(layer) == number)


def derive(
    net: Net,
    name: str,
    resolution: int,
    skip: Collection[int] = (),
    kernels: Mapping[int, int] | None = None,
    widths: Mapping[int, int] | None = None,
    stop: int | None = None,
) -> Net:
    """``net`` cut down; arguments as in families.family.Subnet, which must be possible."""
    layers: list[Layer] = []
    shape: Shape = (resolution, resolution, net.channels)
    begun, start = None, -1  # the block under way, and the layer whose output goes into it
    for layer in _kept(net, skip, stop):
        number = block_of(layer)
        if number is not None and number != begun:
            begun, start = number, len(layers) - 1
        cut = _cut(layer, shape, number, kernels or {}, widths or {}, start)
        layers.append(cut)
        shape = cut.output
    return replace(net, name=name, resolution=resolution, layers=tuple(layers), exits={})


def _kept(net: Net, skip: Collection[int], stop: int | None) -> Iterator[Layer]:
    if stop is None:
        yield from (layer for layer in net.layers if block_of(layer) not in skip)
        return
    last = max(i for i, layer in enumerate(net.layers) if block_of(layer) == stop)
    yield from (layer for layer in net.layers[: last + 1] if block_of(layer) not in skip)
    yield from net.exits[stop]


def _cut(
    layer: Layer,
    shape: Shape,
    number: int | None,
    kernels: Mapping[int, int],
    widths: Mapping[int, int],
    start: int,
) -> Layer:
    """``layer`` for an input of ``shape``."""
    height, width, depth = shape
    output = (-(-height // layer.stride), -(-width // layer.stride), layer.output[2])
    if layer.kind == "add":
        return replace(layer, input=shape, output=shape, shortcut=start)
    if layer.kind in ("pool", "dense"):
        return replace(layer, input=shape, output=(1, 1, depth if layer.kind == "pool" else layer.output[2]))
    if layer.kind == "depthwise":
        taps = min(layer.kernel, kernels.get(number, layer.kernel)) if number is not None else layer.kernel
        return replace(layer, input=shape, output=(*output[:2], depth), kernel=taps)
    if number in widths and layer.name.endswith(".inverted_bottleneck"):
        return replace(layer, input=shape, output=(*output[:2], widths[number]))
    return replace(layer, input=shape, output=output)
