"""What the sub-networks of a trained net are worth, each with batch norm's statistics estimated anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tinyswitch.families import Family
from tinyswitch.nets.net import Net
from tinyswitch.training.recipes import Recipe
from tinyswitch.training.split import Split
from tinyswitch.training.supernet import Moments, SuperNet, fixed_norm, recording_norm, to_input

BATCH = 500


@dataclass(frozen=True)
class Figures:
    """Of the sub-networks of one trained net."""

    accuracy: dict[str, float]  # sub-network -> share of the held-out images
    moments: Moments  # of the largest


def measure(model: SuperNet, family: Family, split: Split, recipe: Recipe) -> Figures:
    """Accuracy of each sub-network; statistics from training images, changed as in training.

    With images as they are, CIFAR-10's largest lost 1.9 points when moved images had come with black borders.
    """
    rng = np.random.default_rng(recipe.seed)
    count = min(recipe.statistics, len(split.train_labels))
    frames = split.train_frames[np.sort(rng.permutation(len(split.train_labels))[:count])]
    frames = recipe.augmentation.apply(rng.permutation(frames), rng)
    own = {subnet.name: moments(model, subnet.net, frames) for subnet in family.subnets}
    test = split.held_out_frames, split.held_out_labels
    found = {subnet.name: accuracy(model, subnet.net, own[subnet.name], *test) for subnet in family.subnets}
    return Figures(found, own[family.subnets[0].name])


def moments(model: SuperNet, net: Net, frames: np.ndarray) -> Moments:
    """Layer -> mean and variance in front of its batch norm over ``frames`` (n, s, s, c) uint8.

    The mean over batches, each of which runs on its own statistics, as in training.
    """

    @tf.function
    def run(images: tf.Tensor) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        found: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}
        model.scores(net, to_input(images, net.resolution), recording_norm(net.bn_eps, found))
        return found

    parts = [run(batch) for batch in np.array_split(frames, -(-len(frames) // BATCH))]
    return {
        name: tuple(np.mean([part[name][k].numpy() for part in parts], axis=0) for k in (0, 1))
        for name in parts[0]
    }


def accuracy(model: SuperNet, net: Net, own: Moments, frames: np.ndarray, labels: np.ndarray) -> float:
    """Share of ``frames`` (n, s, s, c) uint8 that the sub-network, with batch norm's ``own``, has right."""

    @tf.function
    def run(images: tf.Tensor) -> tf.Tensor:
        scores = model.scores(net, to_input(images, net.resolution), fixed_norm(net.bn_eps, own))
        return tf.argmax(scores[net.layers[-1].name], 1)

    right = 0
    for start in range(0, len(labels), BATCH):
        answers = run(frames[start : start + BATCH]).numpy()
        right += int((answers == labels[start : start + BATCH]).sum())
    return right / len(labels)
