"""What a net is: a list of layers with their shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tinyswitch.errors import TinyswitchError

Shape = tuple[int, int, int]  # height, width, channels

DATA = ("imagenet", "digits", "cifar10")  # data sets whose images the project knows where to find

MAX_PARAMETERS = (
    2**26
)  # far above what any microcontroller holds; keeps a mistyped number from eating the RAM
MAX_VALUES = 2**28  # of one feature map


@dataclass(frozen=True)
class Layer:
    """One operation. Its input is the output of the layer before it.

    A convolution pads by ``kernel // 2`` on all four sides, as in the published PyTorch nets. ``add`` also
    takes the output of layer number ``shortcut`` (-1: the net's input).
    """

    name: str  # as in a checkpoint, without the parts that all blocks share
    kind: str  # "conv", "depthwise", "add", "pool" (mean over height and width) or "dense"
    input: Shape
    output: Shape
    kernel: int = 1
    stride: int = 1
    relu6: bool = False
    batch_norm: bool = False  # else the layer has a bias of its own
    shortcut: int | None = None

    @property
    def weights(self) -> int:
        """Multiplicative weights: those of the convolution or the dense layer, no bias, no batch norm."""
        if self.kind == "depthwise":
            return self.kernel**2 * self.output[2]
        if self.kind in ("conv", "dense"):
            return self.kernel**2 * self.input[2] * self.output[2]
        return 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.weights * self.output[0] * self.output[1]

    @property
    def parameters(self) -> int:
        """Trainable numbers: weights and bias, or weights and the two of batch norm a channel."""
        if not self.weights:
            return 0
        return self.weights + self.output[2] * (2 if self.batch_norm else 1)


@dataclass(frozen=True)
class Net:
    """An architecture; ``models/nets/NAME.json``."""

    name: str
    resolution: int  # height and width of the input
    channels: int  # of the input: 1 greyscale, 3 RGB
    bn_eps: float
    layers: tuple[Layer, ...]
    checkpoint: str | None = None  # its trained weights: path in models/ or in the data root
    data: str | None = None  # what it classifies: one of DATA
    source: Path | None = None  # the file it was read from
    # Block number -> pool and dense layer that make an answer of that block's output. Not part of ``layers``:
    # who stops there runs these instead of what follows (tinyswitch.families).
    exits: Mapping[int, tuple[Layer, Layer]] = field(default_factory=dict)

    @property
    def input(self) -> Shape:
        return (self.resolution, self.resolution, self.channels)

    @property
    def classes(self) -> int:
        return self.layers[-1].output[2]

    @property
    def all_layers(self) -> Iterator[Layer]:
        """The layers, then those of the exits."""
        yield from self.layers
        for layers in self.exits.values():
            yield from layers

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, without exits."""
        return sum(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trainable numbers, those of exits left out."""
        return sum(layer.parameters for layer in self.layers)


@dataclass(frozen=True)
class Spec:
    """One entry of a net's file: what both forms say about a block."""

    kind: str  # "conv", "block", "skip", "exit", "pool" or "dense"
    where: str  # its place in the file, for messages
    kernel: int = 1
    stride: int = 1
    expanded: int | None = None  # channels after the expansion of a block; None: no expansion
    channels: int = 0  # of the output
    add: bool = False  # the block's input is added to its output


def assemble(
    file: Path, resolution: int, channels: int, specs: Sequence[Spec]
) -> tuple[tuple[Layer, ...], dict[int, tuple[Layer, Layer]]]:
    """Layers and exits of ``specs``, with all shapes. Raises TinyswitchError if they do not fit."""
    if [spec.kind for spec in specs[-2:]] != ["pool", "dense"] or any(
        spec.kind in ("pool", "dense") for spec in specs[:-2]
    ):
        raise TinyswitchError(f"{file}: a net ends with pool and dense, and has neither anywhere else")
    assembly = _Assembly(file, (resolution, resolution, channels))
    for index, spec in enumerate(specs):
        assembly.append(spec, first=index == 0, last=index == len(specs) - 3)
    return tuple(assembly.layers), assembly.exits


class _Assembly:
    def __init__(self, file: Path, shape: Shape):
        self.file = file
        self.shape = shape  # output of what is there so far
        self.layers: list[Layer] = []
        self.exits: dict[int, tuple[Layer, Layer]] = {}
        self.blocks = 0
        self.convs = 0
        self.parameters = 0

    def append(self, spec: Spec, first: bool, last: bool) -> None:
        if spec.kind == "conv":
            self._conv(self._conv_name(first, last), spec, spec.kernel, spec.stride, spec.channels)
        elif spec.kind == "block":
            self._block(spec)
        elif spec.kind == "skip":
            self.blocks += 1  # no operation, but the checkpoint counts it
        elif spec.kind == "exit":
            self._exit(spec)
        elif spec.kind == "pool":
            self._add(Layer("pool", "pool", self.shape, (1, 1, self.shape[2])), spec)
        else:
            self._add(Layer("classifier", "dense", self.shape, (1, 1, spec.channels)), spec)

    def _conv_name(self, first: bool, last: bool) -> str:
        if first:
            return "first_conv"
        if last:
            return "feature_mix_layer"
        self.convs += 1
        return f"convs.{self.convs - 1}"

    def _block(self, spec: Spec) -> None:
        name = f"blocks.{self.blocks}"
        self.blocks += 1
        shortcut, before = len(self.layers) - 1, self.shape
        if spec.expanded is not None:
            self._conv(f"{name}.inverted_bottleneck", spec, 1, 1, spec.expanded)
        self._conv(f"{name}.depth_conv", spec, spec.kernel, spec.stride, None)
        self._conv(f"{name}.point_linear", spec, 1, 1, spec.channels, relu6=False)
        if spec.add:
            if self.shape != before:
                raise TinyswitchError(
                    f"{self.file}: {spec.where} adds its input {_show(before)} to an output of"
                    f" {_show(self.shape)}; allowed: stride 1 and as many output as input channels"
                )
            self._add(Layer(f"{name}.add", "add", before, before, shortcut=shortcut), spec)

    def _exit(self, spec: Spec) -> None:
        number = self.blocks - 1
        if not self.layers or not self.layers[-1].name.startswith(f"blocks.{number}."):
            raise TinyswitchError(f"{self.file}: {spec.where} does not follow a block; an exit does")
        if number in self.exits:
            raise TinyswitchError(f"{self.file}: {spec.where} is the second exit of block {number}")
        pooled = (1, 1, self.shape[2])
        self.exits[number] = (
            Layer(f"exits.{number}.pool", "pool", self.shape, pooled),
            Layer(f"exits.{number}", "dense", pooled, (1, 1, spec.channels)),
        )

    def _conv(
        self, name: str, spec: Spec, kernel: int, stride: int, channels: int | None, relu6: bool = True
    ) -> None:
        """Batch-normed convolution; depthwise if ``channels`` is None."""
        height, width, depth = self.shape
        output = (-(-height // stride), -(-width // stride), depth if channels is None else channels)
        kind = "depthwise" if channels is None else "conv"
        layer = Layer(name, kind, self.shape, output, kernel, stride, relu6, batch_norm=True)
        self._add(layer, spec)

    def _add(self, layer: Layer, spec: Spec) -> None:
        height, width, depth = layer.output
        self.parameters += layer.parameters
        if self.parameters > MAX_PARAMETERS or height * width * depth > MAX_VALUES:
            raise TinyswitchError(
                f"{self.file}: {spec.where}: {self.parameters} parameters up to here, output"
                f" {_show(layer.output)}; allowed: {MAX_PARAMETERS} parameters, {MAX_VALUES} values"
            )
        self.layers.append(layer)
        self.shape = layer.output


def _show(shape: Shape) -> str:
    return "x".join(str(size) for size in shape)
