"""Dense 20 -> dense 10 -> classes: trained with Keras, converted to int8 by TensorFlow's converter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.litert import LiteRtModel
from tinyswitch.features.spectral import SCALE, ZERO_POINT
from tinyswitch.quantize.keras_model import to_int8
from tinyswitch.quantize.quiet import quiet

LARGEST = (127 - ZERO_POINT) * SCALE  # real value of the largest feature


@dataclass(frozen=True)
class Recipe:
    """How the net is trained. Adam, its rate falling to zero along a cosine; categorical cross-entropy."""

    hidden: tuple[int, ...] = (20, 10)
    epochs: int = 12
    batch: int = 64
    rate: float = 0.01
    dropout: float = 0.1  # of the first hidden layer's outputs
    decay: float = 1e-4  # L2 of the weights
    smoothing: float = 0.02  # of the labels


def real(features: np.ndarray) -> np.ndarray:
    """float32 of int8 features."""
    return (features.astype(np.float32) - ZERO_POINT) * np.float32(SCALE)


def fit(features: np.ndarray, labels: np.ndarray, n_classes: int, recipe: Recipe, seed: int) -> Any:
    """A Keras model of real features, trained on int8 features (n, f) and labels (n,).

    It learns on features of mean 0 and deviation 1; that scaling is folded into the first layer, so that the
    model takes features as they are.
    """
    with quiet():
        import keras

        keras.utils.set_random_seed(seed)
        inputs = real(features)
        mean, deviation = inputs.mean(0), inputs.std(0) + SCALE  # less than a step of the feature is nothing
        model = _build(keras, features.shape[1], n_classes, recipe)
        steps = recipe.epochs * -(-len(labels) // recipe.batch)
        rate = keras.optimizers.schedules.CosineDecay(recipe.rate, steps)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.smoothing)
        model.compile(keras.optimizers.Adam(rate), loss)
        targets = np.eye(n_classes, dtype=np.float32)[labels]
        model.fit((inputs - mean) / deviation, targets, recipe.batch, recipe.epochs, verbose=0)
        first = next(layer for layer in model.layers if layer.get_weights())
        kernel, bias = first.get_weights()
        kernel = kernel / deviation[:, None]
        first.set_weights([kernel, bias - mean @ kernel])
        return model


def _build(keras: Any, n_features: int, n_classes: int, recipe: Recipe) -> Any:
    layers = [keras.layers.Input((n_features,), name="features")]
    for i, units in enumerate(recipe.hidden):
        regular = keras.regularizers.L2(recipe.decay)
        layers.append(keras.layers.Dense(units, "relu", kernel_regularizer=regular, name=f"dense{i + 1}"))
        if i == 0 and recipe.dropout:
            layers.append(keras.layers.Dropout(recipe.dropout))
    layers.append(keras.layers.Dense(n_classes, "softmax", name="classes"))
    return keras.Sequential(layers, name="gesture")


def probabilities(model: Any, features: np.ndarray) -> np.ndarray:
    """(n, classes) float32 of int8 features."""
    with quiet():
        return model.predict(real(features), batch_size=4096, verbose=0)


def convert(model: Any, features: np.ndarray) -> bytes:
    """The int8 ``.tflite``, calibrated on int8 features; a feature is the model's input as it is."""
    return to_int8(model, _full_range(real(features), model))


def check(path: Path) -> LiteRtModel:
    """``path`` loaded; raises TinyswitchError if its input is not features as they are."""
    model = LiteRtModel(path)
    found = (model.input.scale, model.input.zero_point)
    if not np.isclose(found[0], SCALE, rtol=1e-6) or found[1] != ZERO_POINT:
        raise TinyswitchError(
            f"{path}: its input has scale and zero point {found}, not {(SCALE, ZERO_POINT)}"
        )
    return model


def answers(model: LiteRtModel, features: np.ndarray) -> np.ndarray:
    """Outputs (n, classes) int8 of int8 features."""
    shape = model.input.shape
    return np.array([model.run(row.reshape(shape))[0].reshape(-1) for row in features])


def _full_range(inputs: np.ndarray, model: Any) -> np.ndarray:
    """``inputs`` with two rows more, so that the int8 input has the features' scale exactly.

    They are the middle row with its least weighty feature at the smallest and the largest there is.
    """
    kernel = next(layer for layer in model.layers if layer.get_weights()).get_weights()[0]
    extremes = np.repeat(np.median(inputs, 0, keepdims=True), 2, 0)
    extremes[:, np.abs(kernel).sum(1).argmin()] = 0, LARGEST
    return np.concatenate([inputs, extremes]).astype(np.float32)
