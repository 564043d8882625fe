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
    model = connect(net, batch_norm=False, batch=1)
    for layer in net.layers:
        if layer.weights:
            own = weights[layer.name]
            model.get_layer(keras_name(layer.name)).set_weights([own.kernel, own.bias])
    return model


def connect(net: Net, batch_norm: bool, batch: int | None) -> keras.Model:
    """The net with fresh weights: convolutions with a bias, or with batch norm instead, to be trained.

    Layers have ``keras_name`` of their names; batch norms that and ``_bn``.
    """
    import keras

    image = keras.Input(net.input, batch_size=batch, name="image")
    outputs: list[Any] = []
    value = image
    for layer in net.layers:
        if layer.kind == "add":
            shortcut = outputs[layer.shortcut] if layer.shortcut >= 0 else image
            value = keras.layers.Add(name=keras_name(layer.name))([shortcut, value])
        elif layer.kind in ("conv", "depthwise"):
            value = _convolution(layer, value, net.bn_eps if batch_norm else None)
        else:
            value = _head(layer, value)
        outputs.append(value)
    return keras.Model(image, value, name="net")


def keras_name(name: str) -> str:
    """A layer's name without the dots, which Keras gives a meaning."""
    return name.replace(".", "_")


def _head(layer: Layer, value: Any) -> Any:
    from keras import layers

    if layer.kind == "pool":
        return layers.GlobalAveragePooling2D(name=keras_name(layer.name))(value)
    return layers.Dense(layer.output[2], name=keras_name(layer.name))(value)


def _convolution(layer: Layer, value: Any, bn_eps: float | None) -> Any:
    from keras import layers

    name = keras_name(layer.name)
    explicit = padding(layer.input[0], layer.kernel, layer.stride)
    if explicit:
        value = layers.ZeroPadding2D((explicit, explicit), name=f"{name}_pad")(value)
    options = {
        "strides": layer.stride,
        "padding": "valid" if explicit else "same",
        "use_bias": bn_eps is None,
        "name": name,
    }
    if layer.kind == "depthwise":
        value = layers.DepthwiseConv2D(layer.kernel, **options)(value)
    else:
        value = layers.Conv2D(layer.output[2], layer.kernel, **options)(value)
    if bn_eps is not None:
        value = layers.BatchNormalization(momentum=0.9, epsilon=bn_eps, name=f"{name}_bn")(value)
    return layers.ReLU(6.0, name=f"{name}_relu6")(value) if layer.relu6 else value


def apply(layer: Layer, value: Any, weights: Weights | None, shortcut: Any) -> Any:
    """The layer without its activation, on float32 (n, h, w, c); ``shortcut`` is what ``add`` adds."""
    import tensorflow as tf

    if layer.kind == "add":
        return value + shortcut
    if layer.kind == "pool":
        return tf.reduce_mean(value, (1, 2), keepdims=True)
    if layer.kind == "dense":
        return tf.matmul(tf.reshape(value, (value.shape[0], -1)), weights.kernel) + weights.bias
    before = layer.kernel // 2
    after = max((layer.output[0] - 1) * layer.stride + layer.kernel - layer.input[0] - before, 0)
    padded = tf.pad(value, ((0, 0), (before, after), (before, after), (0, 0)))
    convolve = tf.nn.depthwise_conv2d if layer.kind == "depthwise" else tf.nn.conv2d
    steps = (1, layer.stride, layer.stride, 1)
    return convolve(padded, weights.kernel, steps, "VALID") + weights.bias
