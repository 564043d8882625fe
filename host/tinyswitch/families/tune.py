"""Tunes the tables of sub-networks, without labels: they learn to answer as the whole float net does.

The int8 weights stay; what is learned is, for each channel of a linear convolution, a factor on its scale and
a step on its offset. These end the blocks: a tenth of all channels, so that tables of their own cost little
flash, and few images do. Activations are rounded to int8 on the way, as they will be.

Sources: distillation, Hinton et al. 2015, "Distilling the Knowledge in a Neural Network"; rounding passes
gradients on, Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons"; Kingma and
Ba 2015, "Adam".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinyswitch.evaluate.images import fit_frame
from tinyswitch.families.forward import activate, convolve, exact, scores, sweep
from tinyswitch.families.frames import Frames
from tinyswitch.families.ranges import Scale
from tinyswitch.families.shared import Shared
from tinyswitch.families.tables import Table, Tables
from tinyswitch.families.views import along_channels, view
from tinyswitch.nets.net import Layer, Net
from tinyswitch.quantize.calibration import to_real
from tinyswitch.quantize.float_model import apply

STEPS = 300  # more do not help on images that were not tuned with (docs/families.md)
BATCH = 32
RATE = 3e-3  # Adam's, falling to 0 along half a cosine; relative to a channel's scale and deviation
FIRST_DECAY, SECOND_DECAY, TINY = 0.9, 0.99, 1e-8  # Adam's
TEMPERATURE = 2.0  # of the teacher's softmax and the pupil's
VIEWS = 6  # of each image: itself, its mirror image, then cut-outs, every second one mirrored
LEAST_SIDE, MARGIN = 0.7, 1.25  # of a cut-out, relative to the image; of the image cut from, to the net's
SEED = 0
TOLD = 6  # lines of the log

Log = Callable[[str], None]


def tune(
    nets: Sequence[Net],
    whole: Net,
    shared: Shared,
    tables: Tables,
    scales: Mapping[str, Scale],
    images: Frames,
    log: Log,
    steps: int = STEPS,
) -> Tables:
    """``tables`` of ``nets``, one structure at several resolutions, tuned for all of them at once.

    ``scales`` are those of the activations. The teacher is ``whole`` with the exact weights of ``shared``.
    Labels of ``images`` are not looked at. The same arguments give the same tables, but for the order of
    additions on several cores.
    """
    views = Views(images, whole)
    answers = [scores(whole, to_real(part), exact(shared)) for part in np.array_split(views.at(whole), VIEWS)]
    wanted = np.concatenate(answers)
    learner = Learner(nets, shared, tables, scales)
    losses = []
    for number, chosen in zip(range(steps), batches(len(wanted)), strict=False):
        net = nets[number % len(nets)]
        pixels = to_real(views.at(net)[chosen])
        losses.append(learner.learn(net, pixels, wanted[chosen], RATE * falling(number / steps)))
        if (number + 1) % max(1, steps // TOLD) == 0:
            log(f"tuning: step {number + 1} of {steps}, difference {np.mean(losses):.3f}")
            losses.clear()
    return learner.tables()


def is_learned(layer: Layer) -> bool:
    """Whether the layer's table is tuned."""
    return layer.kind == "conv" and layer.batch_norm and not layer.relu6


def falling(part: float) -> float:
    """From 1 at 0 to 0 at 1, along half a cosine."""
    return (1 + np.cos(np.pi * part)) / 2


def batches(count: int) -> Iterator[np.ndarray]:
    """Indices below ``count``, BATCH (or all, if there are fewer) at a time, each once before any again."""
    rng = np.random.default_rng(SEED)
    size = min(BATCH, count)
    while True:
        order = rng.permutation(count)
        yield from order[: count - count % size].reshape(-1, size)


class Views:
    """VIEWS of each image, the same cut-outs at any size that is not above that of ``largest``."""

    def __init__(self, images: Frames, largest: Net):
        rng = np.random.default_rng(SEED)
        side = round(largest.resolution * MARGIN)
        self._images = images
        self._large = images.of_size((side, side, largest.channels))
        self._cuts = rng.uniform(size=(len(images), VIEWS - 2, 3))  # side, top, left
        self._kept: dict[tuple[int, int, int], np.ndarray] = {}

    def at(self, net: Net) -> np.ndarray:
        """(n * VIEWS, h, w, c) uint8, those of an image side by side; kept."""
        if net.input not in self._kept:
            parts = zip(self._images.at(net), self._large, self._cuts, strict=True)
            self._kept[net.input] = np.concatenate([self._of_one(*part, net.input) for part in parts])
        return self._kept[net.input]

    def _of_one(
        self, plain: np.ndarray, large: np.ndarray, cuts: np.ndarray, shape: tuple[int, int, int]
    ) -> np.ndarray:
        cut_outs = [fit_frame(_cut_out(large, *cut), shape) for cut in cuts]
        found = np.stack([plain, plain, *cut_outs])
        found[1::2] = found[1::2, :, ::-1]
        return found


def _cut_out(frame: np.ndarray, size: float, top: float, left: float) -> np.ndarray:
    """A square part of a square ``frame``; all arguments 0..1."""
    whole = len(frame)
    side = max(1, round(whole * (LEAST_SIDE + size * (1 - LEAST_SIDE))))
    y, x = (round(place * (whole - side)) for place in (top, left))
    return frame[y : y + side, x : x + side]


class Learner:
    """What is learned, and how: two numbers a channel, in units of its scale and of batch norm's gamma."""

    def __init__(
        self,
        nets: Sequence[Net],
        shared: Shared,
        tables: Tables,
        scales: Mapping[str, Scale],
    ):
        import tensorflow as tf

        self._given, self._scales = tables, scales
        self._kernels: dict[str, np.ndarray] = {}
        self._units: dict[str, np.ndarray] = {}
        self._learned: dict[str, tuple[tf.Variable, tf.Variable]] = {}
        for layer in nets[0].layers:
            if layer.weights:
                kernel = view(layer, shared[layer.name].values)
                self._kernels[layer.name] = kernel * along_channels(layer, tables[layer.name].scale)
                if is_learned(layer):
                    self._units[layer.name] = np.abs(shared[layer.name].norm.gamma[: layer.output[2]])
                    zeros = tf.zeros(layer.output[2])
                    self._learned[layer.name] = tf.Variable(zeros), tf.Variable(zeros)
        self._variables = [variable for pair in self._learned.values() for variable in pair]
        self._moments = [[tf.Variable(tf.zeros_like(v)) for _ in range(2)] for v in self._variables]
        self._count = 0
        self._steps = {net.name: tf.function(self._step_of(net)) for net in nets}

    def learn(self, net: Net, pixels: np.ndarray, wanted: np.ndarray, rate: float) -> float:
        """One step on ``pixels`` (n, h, w, c) float32 and the teacher's scores (n, classes); the loss."""
        import tensorflow as tf

        self._count += 1
        arguments = (tf.constant(value, tf.float32) for value in (pixels, wanted, rate, self._count))
        return float(self._steps[net.name](*arguments))

    def tables(self) -> Tables:
        """Given ones with what has been learned up to now."""
        result = dict(self._given)
        for name, (factor, step) in self._learned.items():
            table, unit = self._given[name], self._units[name]
            scale = table.scale * np.maximum(1 + factor.numpy().astype(np.float64), 0)
            result[name] = Table(scale, table.offset + unit * step.numpy().astype(np.float64))
        return result

    def _compute(self, layer: Layer, value: Any, shortcut: Any) -> Any:
        """The layer as it will be on the board, but differentiable."""
        if not layer.weights:
            value = apply(layer, value, None, shortcut)
        elif layer.name not in self._learned:
            value = convolve(layer, value, self._kernels[layer.name], self._given[layer.name].offset)
        else:
            factor, step = self._learned[layer.name]
            offset = self._given[layer.name].offset.astype(np.float32)
            value = convolve(layer, value, self._kernels[layer.name]) * (1 + factor)
            value = value + offset + self._units[layer.name].astype(np.float32) * step
        return rounded(activate(layer, value), self._scales[layer.name])

    def _step_of(self, net: Net) -> Callable[..., Any]:
        import tensorflow as tf

        def step(pixels: Any, wanted: Any, rate: Any, count: Any) -> Any:
            with tf.GradientTape() as tape:
                *_, (_, value) = sweep(net, pixels, self._compute)
                loss = difference(wanted, tf.reshape(value, wanted.shape))
            gradients = tape.gradient(loss, self._variables)
            for variable, gradient, moments in zip(self._variables, gradients, self._moments, strict=True):
                _adam(variable, gradient, moments, rate, count)
            return loss

        return step


def rounded(value: Any, scale: Scale) -> Any:
    """``value`` as int8 of ``scale`` holds it; gradients pass within its range."""
    import tensorflow as tf

    low, high = ((q - scale.zero_point) * scale.scale for q in (-128, 127))
    return tf.quantization.fake_quant_with_min_max_args(value, low, high)


def difference(wanted: Any, found: Any) -> Any:
    """Kullback-Leibler divergence of the softened softmax of scores (n, classes), mean over the images."""
    import tensorflow as tf

    goal = tf.nn.softmax(wanted / TEMPERATURE)
    logs = tf.nn.log_softmax(wanted / TEMPERATURE) - tf.nn.log_softmax(found / TEMPERATURE)
    return TEMPERATURE**2 * tf.reduce_mean(tf.reduce_sum(goal * logs, -1))


def _adam(variable: Any, gradient: Any, moments: Sequence[Any], rate: Any, count: Any) -> None:
    import tensorflow as tf

    mean = moments[0].assign(FIRST_DECAY * moments[0] + (1 - FIRST_DECAY) * gradient)
    square = moments[1].assign(SECOND_DECAY * moments[1] + (1 - SECOND_DECAY) * gradient**2)
    deviation = tf.sqrt(square / (1 - SECOND_DECAY**count)) + TINY
    variable.assign_sub(rate * mean / (1 - FIRST_DECAY**count) / deviation)
