"""Which images a search looks at, and which only its report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyswitch.errors import TinyswitchError
from tinyswitch.families import frames
from tinyswitch.families.evaluate import Evaluator
from tinyswitch.families.family import Family, Subnet
from tinyswitch.families.frames import Frames
from tinyswitch.quantize.quiet import quiet

SEARCH, REPORT = "search", "report"
SEED = 0  # of the draw of the halves


@dataclass(frozen=True)
class Halves:
    """Images to calibrate with, to search with, and to report on. Picklable."""

    calibration: Frames
    search: Frames
    report: Frames

    @classmethod
    def find(cls, family: Family, folder: Path | None, limit: int | None) -> Halves:
        """The images of ``folder``, or those of the net's data; ``limit``: of both halves together.

        Where the same images serve to calibrate, those to be reported on are kept out of that, too. Raises
        TinyswitchError where there are none, or fewer than two with a label.
        """
        with quiet():  # what comes with TensorFlow brings it along
            calibration, measured = frames.find(family.net, folder)
        labelled = [place for place, label in enumerate(measured.labels) if label is not None][:limit]
        if len(labelled) < 2:
            raise TinyswitchError(
                f"{measured.name}: {len(labelled)} images with labels; a search needs two, better hundreds"
            )
        for place in labelled:
            if measured.labels[place] >= family.net.classes:
                raise TinyswitchError(
                    f"{measured.name}: label {measured.labels[place]} is not among the {family.net.classes}"
                    f" classes of {family.net.name}"
                )
        # Drawn, since classes may take turns: every second image would be one of every second class.
        drawn = np.random.default_rng(SEED).permutation(labelled)
        half = len(drawn) - len(drawn) // 2
        search, report = (_some(measured, sorted(part)) for part in (drawn[:half], drawn[half:]))
        same = calibration.name == measured.name
        return cls(search.evenly(frames.COUNT) if same else calibration, search, report)

    @property
    def counts(self) -> dict[str, int]:
        """Images of each kind."""
        return {kind: len(getattr(self, kind)) for kind in ("calibration", SEARCH, REPORT)}

    @property
    def facts(self) -> dict[str, Any]:
        """What identifies them on any machine."""
        return {
            "images": len(self.search),
            "content": _digest([*self.calibration.sources, *self.search.sources]),
        }


def _some(images: Frames, chosen: Iterable[int]) -> Frames:
    chosen = list(chosen)
    return Frames((images.sources[i] for i in chosen), (images.labels[i] for i in chosen), images.name)


def _digest(sources: Iterable[Path | np.ndarray]) -> str:
    content = hashlib.sha256()
    for source in sources:
        content.update(source.name.encode() if isinstance(source, Path) else source.tobytes())
    return content.hexdigest()[:16]


class ImageJudge:
    """Top-1 over either half (search.Judge)."""

    def __init__(self, family: Family, halves: Halves):
        with quiet():
            search = Evaluator(family, halves.calibration, halves.search, log=lambda _: None)
        self._evaluators = {SEARCH: search, REPORT: search.on(halves.report)}

    def accuracy(self, subnet: Subnet, half: str) -> float:
        """Top-1 as a fraction."""
        return self._evaluators[half].accuracy(subnet)
