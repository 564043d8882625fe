"""Training of a family: each step trains the largest sub-network, the smallest and some between together.

The sandwich rule with in-place distillation: Yu and Huang, "Universally Slimmable Networks and Improved
Training Techniques", 2019; with resolution, depth and kernel as Cai et al., "Once-for-All", 2020; small
images first as Tan and Le, "EfficientNetV2: Smaller Models and Faster Training", 2021.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tinyswitch import data
from tinyswitch.families import Family
from tinyswitch.families.derive import derive
from tinyswitch.nets.net import Net
from tinyswitch.training.mixing import mixed
from tinyswitch.training.recipes import Recipe
from tinyswitch.training.split import Split
from tinyswitch.training.supernet import SuperNet, batch_norm, to_input

EXIT = 0.3  # weight of the loss of an exit that the largest passes; its own loss has 1
SMALLER = 0.5  # of the loss of each other sub-network

Gradients = list[tf.Tensor]  # in the order of the model's variables


@dataclass(frozen=True)
class Nets:
    """What is trained together."""

    largest: Net
    smallest: Net
    between: list[Net]

    def at_most(self, resolution: int) -> Nets:
        """The same on images of no more than ``resolution`` pixels a side."""
        between = [_at_most(net, resolution) for net in self.between]
        return Nets(_at_most(self.largest, resolution), _at_most(self.smallest, resolution), between)


def _at_most(net: Net, resolution: int) -> Net:
    if net.resolution <= resolution:
        return net
    return replace(derive(net, f"{net.name}-at-{resolution}", resolution), exits=net.exits)


class Trainer:
    """One training of one family, epoch by epoch."""

    def __init__(self, family: Family, recipe: Recipe, epochs: int, images: int, elastic: bool):
        """``images``: their number, for the learning rate. Not ``elastic``: the largest is trained alone."""
        self.family, self.recipe, self.elastic = family, recipe, elastic
        self.model = SuperNet(family.net, recipe.seed)
        self.epoch_steps = images // recipe.batch
        self.optimizer = _optimizer(self.model, recipe, epochs * self.epoch_steps)
        smallest = min(family.subnets, key=lambda subnet: subnet.net.macs)
        others = (subnet.net for subnet in family.subnets[1:] if subnet is not smallest)
        named = [net for net in others if not _passed(family.net, net)]
        self._nets = Nets(family.net, smallest.net, [*named, *mixed(family, recipe.mixed, recipe.seed)])
        self._coarse = self._nets.at_most(recipe.coarse_resolution) if recipe.coarse else self._nets
        self._coarse_epochs = round(epochs * recipe.coarse)
        self._norm = batch_norm(family.net.bn_eps)
        self._functions: dict[str, Callable[..., Any]] = {}
        what = json.dumps([asdict(recipe), epochs, images, elastic, repr(family.subnets)])
        self._key = hashlib.sha256(what.encode()).hexdigest()

    def epoch(self, split: Split, number: int, advance: Callable[[float], None]) -> float:
        """Trains on every image once; returns the largest's share of right answers. ``number``: from 0.

        ``advance`` is called after each step with that share so far.
        """
        rng = np.random.default_rng([self.recipe.seed, number])
        order = rng.permutation(len(split.train_labels))
        nets = self._coarse if number < self._coarse_epochs else self._nets
        right = count = 0
        for start in range(0, self.epoch_steps * self.recipe.batch, self.recipe.batch):
            chosen = order[start : start + self.recipe.batch]
            frames = self.recipe.augmentation.apply(split.train_frames[chosen], rng)
            right += self._step(nets, frames, split.train_labels[chosen], rng)
            count += len(chosen)
            advance(right / count)
        return right / count

    def _step(self, nets: Nets, frames: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> int:
        """One update of the weights; returns how many of ``frames`` the largest had right."""
        images, truth = tf.constant(frames), tf.constant(labels.astype(np.int32))
        gradients, goal, right = self._traced(f"largest {nets.largest.name}", self._largest, nets.largest)(
            images, truth
        )
        parts = [gradients]
        if self.elastic:
            parts.append(self._traced(nets.smallest.name, self._smaller, nets.smallest)(images, goal))
            share = self.recipe.share
            count = min(self.recipe.between, len(nets.between))
            for index in rng.choice(len(nets.between), count, replace=False):
                net, some = nets.between[index], slice(int(rng.integers(share)), None, share)
                parts.append(self._traced(net.name, self._smaller, net)(images[some], goal[some]))
        self._traced("update", self._update)(parts)
        return int(right)

    def _traced(self, key: str, function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
        """``function`` with its ``first`` arguments, as a graph; made once."""
        if key not in self._functions:
            self._functions[key] = tf.function(lambda *rest: function(*first, *rest))
        return self._functions[key]

    def _largest(
        self, net: Net, images: tf.Tensor, labels: tf.Tensor
    ) -> tuple[Gradients, tf.Tensor, tf.Tensor]:
        """Gradients; what the smaller ones learn, half labels, half the largest's answer; number right."""
        low = self.recipe.label_smoothing / net.classes
        targets = tf.one_hot(labels, net.classes, 1 - self.recipe.label_smoothing + low, low)
        with tf.GradientTape() as tape:
            scores = self.model.scores(net, to_input(images, net.resolution), self._norm)
            own = scores.pop(net.layers[-1].name)
            goal = tf.stop_gradient((targets + tf.nn.softmax(own)) / 2)
            loss = _cross_entropy(targets, own)
            for exit_scores in scores.values():
                loss += EXIT * _cross_entropy(goal, exit_scores)
        right = tf.reduce_sum(tf.cast(tf.argmax(own, 1, tf.int32) == labels, tf.int32))
        return self._gradients(tape, loss), goal, right

    def _smaller(self, net: Net, images: tf.Tensor, goal: tf.Tensor) -> Gradients:
        with tf.GradientTape() as tape:
            scores = self.model.scores(net, to_input(images, net.resolution), self._norm)
            loss = SMALLER * _cross_entropy(goal, scores[net.layers[-1].name])
        return self._gradients(tape, loss)

    def _gradients(self, tape: tf.GradientTape, loss: tf.Tensor) -> Gradients:
        values = [variable.value for variable in self.model.trainable_variables]
        return tape.gradient(loss, values, unconnected_gradients="zero")

    def _update(self, parts: list[Gradients]) -> None:
        total = [tf.add_n(list(own)) for own in zip(*parts, strict=True)]
        self.optimizer.apply_gradients(zip(total, self.model.trainable_variables, strict=True))

    def keep(self, file: Path, spent: dict[str, Any]) -> None:
        """Writes the state after an epoch, with ``spent``, any JSON."""
        content = io.BytesIO()
        arrays = {f"v{i}": variable.numpy() for i, variable in enumerate(self._variables())}
        np.savez(content, key=self._key, spent=json.dumps(spent), **arrays)
        data.write_file(file, content.getvalue())

    def restore(self, file: Path) -> dict[str, Any] | None:
        """Takes up the state in ``file``, returns its ``spent``; None if it is not of this training."""
        try:
            with np.load(file) as kept:
                if str(kept["key"]) != self._key:
                    return None
                for index, variable in enumerate(self._variables()):
                    variable.assign(kept[f"v{index}"])
                return json.loads(str(kept["spent"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def _variables(self) -> list[Any]:
        return [*self.model.trainable_variables, *self.optimizer.variables]


def _passed(whole: Net, net: Net) -> bool:
    """Whether ``net`` is nothing but an exit that the largest passes, and trains."""
    return net.layers[:-2] == whole.layers[: len(net.layers) - 2]


def _optimizer(model: SuperNet, recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    rising = round(steps * recipe.warm_up)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - rising, warmup_target=recipe.learning_rate, warmup_steps=rising
    )
    decay = recipe.weight_decay
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if len(v.shape) < 2])
    optimizer.build(model.trainable_variables)
    return optimizer


def _cross_entropy(targets: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, scores))
