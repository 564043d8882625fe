"""From what the user names to files: models, images, output folders, numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tinyswitch import data, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import Dataset, find_images
from tinyswitch.evaluate.journal import write_json
from tinyswitch.nets import Net

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "build" / "models"  # converted nets
CACHE = ROOT / "build" / "litert"  # LiteRT's answers
AT_HAND = ("shipped", "here")  # availability of weights
IMAGES = "imagenet-sample"  # of the data root


def models(net: str | None, files: str | None, log: Callable[[str], None]) -> list[Path]:
    """The ``.tflite`` files of ``--net NAME,...`` (converted if need be) or ``--models FILE,...``."""
    if bool(net) == bool(files):
        known = ", ".join(nets.names())
        raise TinyswitchError(f"give either --net NAME or --models FILE.tflite; the nets are {known}")
    return [converted(name, log) for name in _split(net)] if net else _files(files or "")


def measured(net: str | None, files: str | None, log: Callable[[str], None]) -> Iterator[Path]:
    """As ``models``, to measure with: weights do not matter. Without ``--net`` and ``--models``, all nets.

    A net is converted when its turn comes.
    """
    given = _files(files) if files else []
    names = nets.names() if not net and not files else _split(net or "")
    for name in names:
        yield converted(name, log, at_hand=True)
    yield from given


def _files(files: str) -> list[Path]:
    paths = [Path(files)] if Path(files).exists() else [Path(name) for name in _split(files)]
    for path in paths:
        if not path.is_file():
            raise TinyswitchError(f"{path}: no such file; --models takes .tflite files, separated by commas")
    return paths


def one_model(net: str | None, files: str | None, log: Callable[[str], None]) -> Path:
    """As ``models``, where only one makes sense."""
    found = models(net, files, log)
    if len(found) != 1:
        raise TinyswitchError(f"{len(found)} models; this task takes one at a time")
    return found[0]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def converted(name: str, log: Callable[[str], None], at_hand: bool = False) -> Path:
    """The int8 model of a net, in ``build/models``; converted again only if what it is made of has changed.

    A net without published weights gets random ones, and its model's name says so; with ``at_hand`` also one
    whose weights would have to be downloaded.
    """
    net = nets.load(name)
    random = net.checkpoint is None or (at_hand and data.availability(net.checkpoint) not in AT_HAND)
    if random:
        reason = "there are no published weights" if net.checkpoint is None else "its weights are not here"
        log(f"{net.name}: {reason}; random ones serve to measure its cost only")
    model = MODELS / f"{net.name}{'-random' if random else ''}.tflite"
    if not _is_current(net, model):
        from tinyswitch.quantize import convert  # loads TensorFlow

        convert(net, "random" if random else None, None, model, log)
        note_conversion(net, model)
    return model


def _is_current(net: Net, model: Path) -> bool:
    stamp = model.with_suffix(".json")
    if not (model.exists() and stamp.exists()):
        return False
    return stamp.read_text().strip() == f'"{_made_of(net, model)}"'


def note_conversion(net: Net, model: Path) -> None:
    """Remembers that ``model`` is the net with its own weights, so that no other file is taken for it."""
    write_json(model.with_suffix(".json"), _made_of(net, model))


def _made_of(net: Net, model: Path) -> str:
    """Identifies the net, its checkpoint if the project ships it, the converting code, and the result."""
    content = hashlib.sha256(repr(net).encode())
    content.update(model.read_bytes())
    shipped = nets.MODELS / (net.checkpoint or "")
    if shipped.is_file():
        content.update(shipped.read_bytes())
    package = Path(nets.__file__).parents[1]
    for source in sorted([*(package / "nets").glob("*.py"), *(package / "quantize").glob("*.py")]):
        content.update(source.read_bytes())
    return content.hexdigest()


def images(folder: str | None, limit: str | None) -> Dataset:
    """The images of ``--images`` (else the data root's), the first ``--limit`` of them."""
    found = Path(folder) if folder else data.local(IMAGES)
    if found is None:
        raise TinyswitchError(
            f"no images: give --images FOLDER, or set {data.VARIABLE} to a folder that has {IMAGES}"
        )
    return find_images(found).first(number("--limit", limit) if limit else None)


def number(option: str, text: str, minimum: int = 1) -> int:
    """The value of an option that is a whole number."""
    try:
        value = int(text)
    except ValueError:
        value = minimum - 1
    if value < minimum:
        raise TinyswitchError(f"{option} {text}: a whole number from {minimum} is needed")
    return value


def run_folder(given: str | None, *parts: str) -> Path:
    """``--out``, else runs/BOARD-MODEL."""
    return Path(given) if given else ROOT / "runs" / "-".join(parts)
