"""What a sub-network is worth, fast: for searches that look at many."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.families.family import Family, Subnet
from tinyswitch.families.forward import scores, with_tables
from tinyswitch.families.frames import Frames
from tinyswitch.quantize.calibration import to_real
from tinyswitch.quantize.quiet import quiet


class Evaluator:
    """Top-1 of any sub-network of a family: int8 weights, batch norm calibrated anew, activations in float.

    Each structure is calibrated once, at the largest resolution that the family has it at, else the whole
    net's; the int8 model is usually within a point of the figure. No table is tuned.
    """

    def __init__(
        self, family: Family, calibration: Frames, evaluation: Frames, log: Callable[[str], None] = print
    ):
        """``calibration`` needs no labels, ``evaluation`` a label for each image. Raises TinyswitchError."""
        if None in evaluation.labels or not len(evaluation):
            raise TinyswitchError(f"{evaluation.name or family.name}: images to measure with need labels")
        with quiet():
            import tensorflow  # noqa: F401  (its messages are of no use to anybody)

            from tinyswitch.families.prepared import Prepared
        self._prepared = Prepared(family, calibration, log)
        self._evaluation = evaluation
        self._labels = np.array(evaluation.labels)

    def on(self, evaluation: Frames) -> Evaluator:
        """The same, calibrated with the same images, measured on others that have labels."""
        other = copy.copy(self)
        other._evaluation, other._labels = evaluation, np.array(evaluation.labels)
        return other

    def accuracy(self, subnet: Subnet) -> float:
        """Share of the evaluation images that ``subnet`` gets right; it need not be one of the family's."""
        compute = with_tables(self._prepared.shared, self._prepared.tables(subnet))
        answers = scores(subnet.net, to_real(self._evaluation.at(subnet.net)), compute)
        return float((answers.argmax(axis=1) == self._labels).mean())
