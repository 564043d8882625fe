"""Sub-networks at random, mixed from the settings that a family's own use."""

from __future__ import annotations

import numpy as np

from tinyswitch.families import Family
from tinyswitch.families.derive import derive
from tinyswitch.nets.net import Net


def mixed(family: Family, count: int, seed: int) -> list[Net]:
    """``count`` nets: resolution, skipped blocks, kernels, widths and exit, each of some sub-network."""
    rng = np.random.default_rng(seed)
    whole, subnets = family.net, family.subnets

    def pick(values: list) -> object:
        return values[int(rng.integers(len(values)))]

    return [
        derive(
            whole,
            f"mixed-{index}",
            pick([subnet.resolution for subnet in subnets]),
            pick([subnet.skip for subnet in subnets]),
            pick([subnet.kernels for subnet in subnets]),
            pick([subnet.widths for subnet in subnets]),
            pick([subnet.exit for subnet in subnets]),
        )
        for index in range(count)
    ]
