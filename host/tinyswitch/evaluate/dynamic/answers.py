"""The frames of every entry, and what LiteRT answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress

from tinyswitch.compiler import Plan
from tinyswitch.evaluate.images import Entry as Image
from tinyswitch.evaluate.images import load_frame, to_model_input
from tinyswitch.evaluate.reference import Reference
from tinyswitch.tensor import TensorInfo


class Answers:
    """Images as each model takes them, with the answers that a board must give."""

    def __init__(self, images: Sequence[Image]):
        self.images = images
        self._inputs: list[TensorInfo] = []  # of each model
        self._expected: list[list[list[str]]] = []  # model, image: encoded outputs

    def compute(self, plans: Sequence[Plan], cache: Path, progress: Progress) -> None:
        """Has LiteRT answer every image with every model, on all cores; what ``cache`` knows is not computed.

        Raises TinyswitchError for an image that is damaged and a model that LiteRT refuses.
        """
        bar = progress.add_task("LiteRT", total=len(plans) * len(self.images))
        sources = [image.path for image in self.images]
        for plan in plans:
            with Reference(plan.source, cache) as reference:
                digests = reference.digests(sources, lambda: None)
                reference.start(sources, digests, lambda: progress.advance(bar))
                self._inputs.append(reference.input)
                self._expected.append([reference.answer(digest) for digest in digests])

    def frame(self, model: int, number: int) -> np.ndarray:
        """The image of frame ``number`` as ``model`` takes it; at their end the images start over."""
        info = self._inputs[model]
        return to_model_input(load_frame(self.image(number).path, info.shape), info)

    def expected(self, model: int, number: int) -> list[str]:
        """LiteRT's outputs for it, as ``reference.encode`` writes them."""
        return self._expected[model][number % len(self.images)]

    def image(self, number: int) -> Image:
        """The image of frame ``number``."""
        return self.images[number % len(self.images)]
