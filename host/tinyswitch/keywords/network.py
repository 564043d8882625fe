"""Small convolutional nets for 49 x 40 features: trained with Keras, int8 by TensorFlow's converter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyswitch.features.frontend import CHANNELS, ROWS
from tinyswitch.keywords.augment import masked
from tinyswitch.keywords.clips import CLASSES
from tinyswitch.keywords.judge import ZERO_POINT
from tinyswitch.quantize import keras_model
from tinyswitch.quantize.quiet import quiet

SCALE = 0.0625  # of a model's input; a feature is that input as it is


@dataclass(frozen=True)
class Net:
    """A convolution with stride 2, then blocks of a depthwise 3 x 3 and a pointwise convolution; their mean.

    As in "Hello Edge: Keyword Spotting on Microcontrollers" (Zhang et al. 2017), with early strides: that
    is what makes it cheap enough to run many times a second. Nothing is padded: a window that begins as many
    rows later as the strides multiply to shares all rows of all layers with the one before, so that in a
    stream only new rows are computed (docs/engine.md).
    """

    first: int  # channels of the first convolution
    kernel: tuple[int, int]  # of it: rows (time), channels (frequency)
    blocks: tuple[tuple[int, int], ...]  # channels, stride


NETS = {
    "tiny": Net(8, (5, 5), ((16, 2), (24, 1), (32, 1), (48, 1))),
    "default": Net(24, (5, 5), ((48, 2), (64, 1), (80, 1), (96, 1))),
    "large": Net(32, (5, 5), ((64, 2), (96, 1), (128, 1), (160, 1))),
}


@dataclass(frozen=True)
class Recipe:
    """How a net is trained. Adam, its rate falling to zero along a cosine after a short rise.

    An epoch takes ``draws`` variants of each clip and ``joints`` joined sounds. With heads that are thrown
    away the net also learns to tell all words of the data apart, what is unknown being many words, and to
    give the teacher's embedding.
    """

    epochs: int = 100
    batch: int = 128
    rate: float = 0.006
    dropout: float = 0.05  # of the mean's outputs
    decay: float = 1e-4  # of weights, decoupled (AdamW)
    labels: float = (
        0.5  # weight of a clip's own word in what is to be answered; the rest is the teacher's answer
    )
    words: float = 0.5  # weight of the loss of the words
    embedding: float = 0.5  # and of the embedding's
    mask_rows: int = 6  # of a feature image, silenced at most
    mask_channels: int = 5
    draws: tuple[int, ...] = (3, 2, 6, 6)  # of a clip of each class and epoch
    joints: int = 3000


@dataclass(frozen=True)
class Lesson:
    """An epoch's images (n, 49, 40) int8, and what is to be said of each."""

    images: np.ndarray
    classes: np.ndarray  # (n, classes) probabilities
    words: np.ndarray  # (n, words) probabilities
    embeddings: np.ndarray  # (n, any) float32, standardised; (n, 0) without a teacher


def real(features: np.ndarray) -> np.ndarray:
    """float32 (n, 49, 40, 1) of int8 features (n, 49, 40)."""
    return (features[..., None].astype(np.float32) - ZERO_POINT) * np.float32(SCALE)


def build(net: Net, dropout: float = 0.0, name: str = "keyword") -> Any:
    """The Keras model: (49, 40, 1) -> probabilities of CLASSES."""
    with quiet():
        import keras

        layers = keras.layers

        def normal(x: Any, of: str) -> Any:
            return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.95, name=f"{of}_norm")(x))

        inputs = x = layers.Input((ROWS, CHANNELS, 1), name="features")
        x = normal(layers.Conv2D(net.first, net.kernel, 2, use_bias=False, name="conv")(x), "conv")
        for i, (channels, stride) in enumerate(net.blocks, 1):
            name_1, name_2 = f"block{i}_depthwise", f"block{i}_pointwise"
            x = normal(layers.DepthwiseConv2D(3, stride, use_bias=False, name=name_1)(x), name_1)
            x = normal(layers.Conv2D(channels, 1, use_bias=False, name=name_2)(x), name_2)
        x = layers.Dropout(dropout, name="dropout")(layers.GlobalAveragePooling2D(name="mean")(x))
        x = layers.Dense(len(CLASSES), name="scores")(x)
        return keras.Model(inputs, layers.Softmax(name="classes")(x), name=name)


def fit(
    net: Net,
    recipe: Recipe,
    lesson: Callable[[np.random.Generator], Lesson],
    seed: int,
    epoch_done: Callable[[int, float], None],
) -> Any:
    """A trained Keras model.

    ``lesson``: an epoch's, always of the same size. ``epoch_done`` is called with the number of epochs done
    and the last one's loss.
    """
    with quiet():
        import keras

        keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build(net, recipe.dropout)
    first = lesson(np.random.default_rng(seed))
    with quiet():
        trained = _with_heads(model, first)
        steps = recipe.epochs * -(-len(first.images) // recipe.batch)
        rise = steps // 20
        rate = keras.optimizers.schedules.CosineDecay(
            recipe.rate / 20, steps - rise, warmup_target=recipe.rate, warmup_steps=rise
        )
        optimizer = keras.optimizers.AdamW(rate, recipe.decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        crosses = "categorical_crossentropy"
        losses, weights = {"classes": crosses, "words": crosses}, {"classes": 1.0, "words": recipe.words}
        if first.embeddings.size:
            losses["embeddings"], weights["embeddings"] = "mse", recipe.embedding
        trained.compile(optimizer, losses, loss_weights=weights)
    for epoch in range(recipe.epochs):
        now = lesson(rng)
        inputs = real(masked(now.images, rng, recipe.mask_rows, recipe.mask_channels))
        targets = {name: getattr(now, name) for name in losses}
        with quiet():
            history = trained.fit(inputs, targets, recipe.batch, 1, verbose=0)
        epoch_done(epoch + 1, float(history.history["loss"][-1]))
    return model


def _with_heads(model: Any, lesson: Lesson) -> Any:
    """``model`` with the heads that are thrown away."""
    import keras

    mean = model.get_layer("dropout").output
    words = keras.layers.Dense(lesson.words.shape[1], "softmax", name="words")(mean)
    outputs = {"classes": model.output, "words": words}
    if width := lesson.embeddings.shape[1]:
        outputs["embeddings"] = keras.layers.Dense(width, name="embeddings")(mean)
    return keras.Model(model.input, outputs)


def probabilities(model: Any, features: np.ndarray) -> np.ndarray:
    """(n, classes) float32 of int8 features."""
    with quiet():
        return model.predict(real(features), batch_size=256, verbose=0)


def lean(model: Any, added: np.ndarray) -> None:
    """Adds to the scores of the classes, (classes,), before the softmax."""
    layer = model.get_layer("scores")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias + added.astype(np.float32)])


def to_int8(model: Any, features: np.ndarray) -> bytes:
    """The ``.tflite``, calibrated on int8 features; a feature is the model's input as it is."""
    corner = np.full((1, ROWS, CHANNELS), -128, np.int8)  # all that a feature can be, in an image of silence
    corner[0, 0, -1] = 127
    return keras_model.to_int8(model, real(np.concatenate([features, corner])))
