"""Top-1 of int8 models, by LiteRT's reference kernels, which every board equals bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tinyswitch.evaluate.images import to_model_input
from tinyswitch.evaluate.reference import Reference, Source, decode
from tinyswitch.evaluate.summary import ranking


def top1(
    model: Path,
    sources: Sequence[Source],
    labels: Sequence[int | None],
    cache: Path,
    progress: Callable[[], None] = lambda: None,
) -> tuple[float | None, int]:
    """(share of right answers, number of images that have a label); None where none has.

    ``sources``: image files, or pixels (h, w, c) uint8 of the model's size. ``cache``: folder where answers
    are kept, see reference.Reference. ``progress`` is called once an image, from a thread. Raises
    TinyswitchError for a model that LiteRT refuses and for a file that is no image.
    """
    labelled = [(s, label) for s, label in zip(sources, labels, strict=True) if label is not None]
    if not labelled:
        return None, 0
    with Reference(model, cache) as reference:
        frames = [s if isinstance(s, Path) else to_model_input(s, reference.input) for s, _ in labelled]
        digests = reference.digests(frames, lambda: None)
        reference.start(frames, digests, progress)
        scores = reference.outputs[0]
        answers = [ranking(decode(reference.answer(key)[0], scores))[0] for key in digests]
    right = sum(answer == label for answer, (_, label) in zip(answers, labelled, strict=True))
    return right / len(labelled), len(labelled)
