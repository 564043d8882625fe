"""The float model of a net in Keras, batch norm folded into weights and bias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinyswitch.nets.net import Layer, Net
from tinyswitch.nets.weights import Weights

if TYPE_CHECKING:
    import keras


def padding(size: int, kernel: int, stride: int) -> tuple[int, int] | None:
    """Zeros before and after one axis that pad it like PyTorch; None where TensorFlow's SAME does just that.

    PyTorch pads by kernel // 2 on both sides; SAME puts the smaller half of what the last window lacks in
    front, which for stride 2 is often less. Zeros that no window reaches are left out.
    """
    before = kernel // 2
    count = -(-size // stride)
    total = max((count - 1) * stride + kernel - size, 0)
    if total // 2 == before:
        return None
    return before, max(total - before, 0)


def build(net: Net, weights: Mapping[str, Weights]) -> keras.Model:
    """Input (1, h, w, c) float32 in [-1, 1] → (1, classes) float32 scores without softmax."""
    import keras

    image = keras.Input(net.input, batch_size=1, name="image")
    outputs: list[Any] = []
    value = image
    for layer in net.layers:
        shortcut = None
        if layer.shortcut is not None:
            shortcut = outputs[layer.shortcut] if layer.shortcut >= 0 else image
        value = _apply(layer, value, shortcut)
        outputs.append(value)
    model = keras.Model(image, value, name="net")
    for name, layer_weights in weights.items():
        model.get_layer(_keras_name(name)).set_weights([layer_weights.kernel, layer_weights.bias])
    return model


def _keras_name(name: str) -> str:
    return name.replace(".", "_")


def _apply(layer: Layer, value: Any, shortcut: Any) -> Any:
    from keras import layers

    name = _keras_name(layer.name)
    if layer.kind == "add":
        return layers.Add(name=name)([shortcut, value])
    if layer.kind == "pool":
        return layers.GlobalAveragePooling2D(name=name)(value)
    if layer.kind == "dense":
        return layers.Dense(layer.output[2], name=name)(value)
    explicit = padding(layer.input[0], layer.kernel, layer.stride)
    if explicit and any(explicit):
        value = layers.ZeroPadding2D((explicit, explicit), name=f"{name}_pad")(value)
    options = {"strides": layer.stride, "padding": "valid" if explicit else "same", "name": name}
    if layer.kind == "depthwise":
        value = layers.DepthwiseConv2D(layer.kernel, **options)(value)
    else:
        value = layers.Conv2D(layer.output[2], layer.kernel, **options)(value)
    return layers.ReLU(6.0, name=f"{name}_relu6")(value) if layer.relu6 else value
