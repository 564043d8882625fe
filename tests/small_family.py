"""A small family: its net, with residual blocks, an exit and expansions, its weights and images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fake_board import write_images
from tinyswitch import families
from tinyswitch.families import Family
from tinyswitch.nets import torchfile
from tinyswitch.nets.weights import random_tensors

RESOLUTION, CHANNELS, CLASSES = 24, 3, 4
LINES = [
    "conv k3 s2 c8",
    "block k3 s1 c8",
    "block k5 s1 e24 c8 add",
    f"exit c{CLASSES}",
    "block k7 s2 e32 c16",
    "block k3 s1 e40 c16 add",
    "pool",
    f"dense c{CLASSES}",
]
DEAD = [3, 11]  # channels of block 2's expansion that never fire, with the weights of ``write``


def write_net(file: Path) -> Path:
    """The net alone."""
    file.write_text(json.dumps({"resolution": RESOLUTION, "channels": CHANNELS, "layers": LINES}))
    return file


def write_family(file: Path, net: Path, subnets: Mapping[str, Any], **more: Any) -> Path:
    """A family's file; ``more``: its other keys."""
    file.write_text(json.dumps({"net": str(net), "subnets": subnets, **more}))
    return file


def write(folder: Path, subnets: Mapping[str, Any], images: int = 16) -> Family:
    """The family in ``folder``/small.json, with weights, and with labelled images in ``folder``/images."""
    checkpoint = folder / "net.pth"
    file = write_family(
        folder / "small.json", write_net(folder / "net.json"), subnets, checkpoint=str(checkpoint)
    )
    family = families.load(file)
    # with this seed no channel but those of DEAD is at 0 or at 6 for all pixels of the images
    tensors = random_norms(random_tensors(family.whole, 1), 46)
    tensors["blocks.2.mobile_inverted_conv.inverted_bottleneck.bn.bias"][DEAD] = -100
    with checkpoint.open("wb") as content:
        torchfile.write(tensors, content)
    write_images(folder / "images", images, classes=CLASSES, size=30)
    return family


def random_norms(tensors: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Batch norm of some effect, gammas of either sign, in ``tensors``, which are changed."""
    rng = np.random.default_rng(seed)
    for name, tensor in tensors.items():
        shape = tensor.shape
        new = {
            "bn.weight": rng.uniform(0.6, 1.6, shape) * rng.choice([1, 1, -1], shape),
            "bn.bias": rng.normal(0.4, 0.5, shape),
            "running_mean": rng.normal(0, 0.2, shape),
            "running_var": rng.uniform(0.5, 1.5, shape),
        }.get(".".join(name.split(".")[-2:]) if name.endswith(("weight", "bias")) else name.split(".")[-1])
        if new is not None:
            tensors[name] = new.astype(np.float32)
    return tensors
