"""Writes sub-networks as stand-alone int8 models, from shared weights, tables and scales.

Tensors are named so that weights and tables can be found again: the output of each operator after its layer,
weights and bias of it ``LAYER.weight`` and ``LAYER.bias``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinyswitch.compiler.tflite_writer import TfliteWriter, options
from tinyswitch.families.ranges import INPUT, Scale
from tinyswitch.families.shared import Shared
from tinyswitch.families.tables import Table, Tables
from tinyswitch.families.views import largest_of_channel, view
from tinyswitch.nets.net import Layer, Net
from tinyswitch.quantize.float_model import padding

# An accumulator's unit is not less than this part of an output's, and a bias not more accumulator units than
# that: what the engine's fastest kernels can do (compiler.variants). Only channels that are nearly constant,
# or whose weights are all 0, come near.
LEAST_MULTIPLIER = 2.0**-22
LARGEST_BIAS = 2.0**25
NOTHING_MULTIPLIER = 2.0**-10  # of a channel without weights
RELU6, NONE = schema.ActivationFunctionType.RELU6, schema.ActivationFunctionType.NONE
AXES = {"conv": (3, 0, 1, 2), "depthwise": (3, 0, 1, 2), "dense": (1, 0)}  # TensorFlow's -> the file's


@dataclass(frozen=True)
class Quantised:
    """A table as it stands in the file."""

    scale: np.ndarray  # float32 (out,) > 0, of the weights
    bias: np.ndarray  # int32 (out,), unit: input scale * scale


def write(net: Net, shared: Shared, tables: Tables, scales: Mapping[str, Scale]) -> bytes:
    """The .tflite of ``net``: one input INPUT (1, h, w, c), one output (1, classes), both int8."""
    return _File(net, shared, tables, scales).bytes()


def quantise(used: np.ndarray, table: Table, source: Scale, output: Scale) -> Quantised:
    """``table`` in integers; ``used``: bool (out,), the channels that have weights.

    Source: TFLite's int8 specification.
    """
    least = np.maximum(LEAST_MULTIPLIER, np.abs(table.offset) / output.scale / LARGEST_BIAS)
    least = np.where(used, least, np.maximum(least, NOTHING_MULTIPLIER))
    real = np.where(used, table.scale, 0)
    scale = np.maximum(real, least * output.scale / source.scale).astype(np.float32)
    bias = np.round(table.offset / (source.scale * scale.astype(np.float64)))
    return Quantised(scale, bias.astype(np.int32))


class _File:
    def __init__(self, net: Net, shared: Shared, tables: Tables, scales: Mapping[str, Scale]):
        self.net, self.shared, self.tables, self.scales = net, shared, tables, scales
        self.writer = TfliteWriter()

    def bytes(self) -> bytes:
        tensors = {-1: self._map(INPUT, (1, *self.net.input))}
        before = self.scales[INPUT]
        for index, layer in enumerate(self.net.layers):
            flat = layer.kind in ("pool", "dense")
            output = self._map(layer.name, (1, layer.output[2]) if flat else (1, *layer.output))
            if layer.kind == "add":
                inputs = [tensors[layer.shortcut], tensors[index - 1]]
                self.writer.op("ADD", inputs, [output], options("Add"))
            elif layer.kind == "pool":
                axes = self._int32(f"{layer.name}.axes", np.array([1, 2], np.int32))
                self.writer.op("MEAN", [tensors[index - 1], axes], [output], options("Reducer"))
            else:
                self._weighted(layer, tensors[index - 1], before, output)
            tensors[index], before = output, self.scales[layer.name]
        return self.writer.build([tensors[-1]], [tensors[len(self.net.layers) - 1]])

    def _map(self, name: str, shape: tuple[int, ...]) -> int:
        scale = self.scales[name]
        return self.writer.tensor(shape, scale=scale.scale, zero_point=scale.zero_point, name=name)

    def _int32(self, name: str, values: np.ndarray, scale: np.ndarray | None = None) -> int:
        return self.writer.tensor(values.shape, np.int32, scale=scale, data=values, name=name)

    def _weighted(self, layer: Layer, source: int, scale: Scale, output: int) -> None:
        values = view(layer, self.shared[layer.name].values)
        used = largest_of_channel(layer, values) > 0
        table = quantise(used, self.tables[layer.name], scale, self.scales[layer.name])
        stored = values.transpose(AXES[layer.kind])
        weights = self.writer.tensor(
            stored.shape,
            scale=table.scale,
            axis=3 if layer.kind == "depthwise" else 0,
            data=stored,
            name=f"{layer.name}.weight",
        )
        bias = self._int32(f"{layer.name}.bias", table.bias, table.scale * np.float32(scale.scale))
        if layer.kind == "dense":
            self.writer.op("FULLY_CONNECTED", [source, weights, bias], [output], options("FullyConnected"))
        else:
            self._convolution(layer, [source, weights, bias], scale, output)

    def _convolution(self, layer: Layer, inputs: list[int], scale: Scale, output: int) -> None:
        border = padding(layer.input[0], layer.kernel, layer.stride)
        if border:
            inputs = [self._padded(layer, inputs[0], scale, border), *inputs[1:]]
        common = {
            "padding": schema.Padding.VALID if border else schema.Padding.SAME,
            "strideH": layer.stride,
            "strideW": layer.stride,
            "dilationHFactor": 1,
            "dilationWFactor": 1,
            "fusedActivationFunction": RELU6 if layer.relu6 else NONE,
        }
        if layer.kind == "depthwise":
            depthwise = options("DepthwiseConv2D", depthMultiplier=1, **common)
            self.writer.op("DEPTHWISE_CONV_2D", inputs, [output], depthwise)
        else:
            self.writer.op("CONV_2D", inputs, [output], options("Conv2D", **common))

    def _padded(self, layer: Layer, source: int, scale: Scale, border: tuple[int, int]) -> int:
        """The layer's input with a border of zeros, before and behind."""
        size = layer.input[0] + sum(border)
        shape = (1, size, size, layer.input[2])
        name = f"{layer.name}.padded"
        padded = self.writer.tensor(shape, scale=scale.scale, zero_point=scale.zero_point, name=name)
        borders = self._int32(f"{layer.name}.border", np.array([(0, 0), border, border, (0, 0)], np.int32))
        self.writer.op("PAD", [source, borders], [padded], options("Pad"))
        return padded
