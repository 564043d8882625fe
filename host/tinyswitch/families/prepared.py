"""A family's shared weights, and the tables of its sub-networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch import data, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.families import batchnorm, order
from tinyswitch.families.derive import derive
from tinyswitch.families.family import Family, Subnet
from tinyswitch.families.frames import Frames
from tinyswitch.families.ranges import Scale
from tinyswitch.families.shared import Shared, share
from tinyswitch.families.tables import Tables
from tinyswitch.families.tune import tune
from tinyswitch.nets import torchfile, weights
from tinyswitch.nets.net import Net
from tinyswitch.quantize.calibration import to_real

Log = Callable[[str], None]


class Prepared:
    """Shared int8 weights of a family, and tables for any sub-network of it.

    Sub-networks that differ in nothing but resolution get the same tables, measured at the largest of their
    resolutions, as flash is short; those that ask for tuning have some of their own.
    """

    def __init__(self, family: Family, images: Frames, log: Log = print):
        """``images`` to calibrate with; labels are not looked at. Raises TinyswitchError."""
        self.family, self.images, self._log = family, images, log
        log(f"{family.name}: measuring the whole net on {len(images)} images")
        tensors = _tensors(family, log)
        pixels = self.pixels(family.whole)
        tensors = order.prepare(family, tensors, pixels)
        self.statistics = batchnorm.measure(family.net, share(family.net, tensors), pixels)
        constant = {name: found.constant for name, found in self.statistics.items()}
        self.shared: Shared = share(family.net, tensors, constant)
        self._tables: dict[Any, Tables] = {}  # by structure
        self._tuned: dict[Any, Tables] = {}  # the same, of those that ask for it

    def pixels(self, net: Net) -> np.ndarray:
        """The calibration images as ``net`` takes them, float32."""
        return to_real(self.images.at(net))

    def tables(self, subnet: Subnet) -> Tables:
        """Those of ``subnet``, not tuned; kept."""
        key = subnet.structure
        if key not in self._tables:
            net = self._largest(subnet)
            self._tables[key] = batchnorm.calibrate(
                net, self.shared, self.statistics, self.pixels(net), self._given(net)
            )
        return self._tables[key]

    def final_tables(self, subnet: Subnet, scales: Mapping[str, Scale]) -> Tables:
        """The same, tuned under ``scales`` (always the same ones) if ``subnet`` asks for it; kept."""
        if not subnet.tune:
            return self.tables(subnet)
        key = subnet.structure
        if key not in self._tuned:
            alike = [s for s in self.family.subnets if s.structure == key and s.tune]
            self._log(f"{self.family.name}: tuning for {', '.join(s.name for s in alike)}")
            nets, whole = [s.net for s in alike], self.family.net
            self._tuned[key] = tune(
                nets, whole, self.shared, self.tables(subnet), scales, self.images, self._log
            )
        return self._tuned[key]

    def _largest(self, subnet: Subnet) -> Net:
        """``subnet`` at the largest resolution that the family has this structure at."""
        alike = [s.net for s in self.family.subnets if s.structure == subnet.structure]
        if not alike:
            whole = self.family.net
            cuts = subnet.skip, subnet.kernels, subnet.widths, subnet.exit
            return derive(whole, subnet.name, whole.resolution, *cuts)
        return max(alike, key=lambda net: net.resolution)

    def _given(self, net: Net) -> Tables:
        """Tables of the whole net that ``net`` takes over: up to the first cut, and the classifier's."""
        whole = self.family.subnets[0]
        if net.layers == whole.net.layers:
            return {}
        same = batchnorm.unchanged(net, whole.net) | {net.layers[-1].name}
        return {name: table for name, table in self.tables(whole).items() if name in same}


def _tensors(family: Family, log: Log) -> dict[str, np.ndarray]:
    name = family.checkpoint or family.whole.checkpoint
    if name is None:
        raise TinyswitchError(
            f"{family.source or family.name}: no trained weights are known for net {family.whole.name}:"
            ' name them, "checkpoint": "FILE.pth"'
        )
    path = Path(name) if Path(name).is_absolute() else nets.MODELS / name
    if not path.exists():
        path = data.fetch(name, log)
    tensors = torchfile.read(path)
    weights.fold(family.whole, tensors, path)  # raises where they do not belong to the net
    return tensors
