"""From what the user names to files: models, images, output folders, numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tinyswitch import data, families, nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.images import Dataset, find_images
from tinyswitch.evaluate.journal import write_json
from tinyswitch.families import Family, record
from tinyswitch.families.record import Row
from tinyswitch.nets import Net

if TYPE_CHECKING:
    from tinyswitch.firmware import Entry

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "build" / "models"  # converted nets
FAMILIES = ROOT / "build" / "families"
STAMP = "made.json"  # beside a family's record: what it is made of
CACHE = ROOT / "build" / "litert"  # LiteRT's answers
AT_HAND = ("shipped", "here")  # availability of weights
IMAGES = "imagenet-sample"  # of the data root


@dataclass(frozen=True)
class Choice:
    """The models a user names: ``--net``, ``--models`` or ``--family``; see MODEL_OPTIONS of tasks.py."""

    net: str | None = None
    models: str | None = None
    family: str | None = None

    @property
    def given(self) -> bool:
        return bool(self.net or self.models or self.family)


def models(choice: Choice, log: Callable[[str], None]) -> list[Path]:
    """The ``.tflite`` files that are meant; nets and families are converted if need be."""
    if sum(map(bool, (choice.net, choice.models, choice.family))) != 1:
        raise TinyswitchError(
            "give one of --net NAME, --models FILE.tflite and --family NAME; the nets are "
            f"{', '.join(nets.names())}; the families {', '.join(families.names())}"
        )
    if choice.family:
        return [path for path, _ in family_members(choice.family, log)]
    return (
        [converted(name, log) for name in _split(choice.net)] if choice.net else _files(choice.models or "")
    )


def entries(choice: Choice, board: str, log: Callable[[str], None]) -> list[Entry]:
    """The same as entries of a model table: with the accuracy and the cost on ``board`` that are known."""
    from tinyswitch.firmware import Entry

    if not choice.family or choice.net or choice.models:
        return [Entry(path) for path in models(choice, log)]
    return [Entry(path, row.accuracy, row.cost(board)) for path, row in family_members(choice.family, log)]


def family_members(text: str, log: Callable[[str], None]) -> list[tuple[Path, Row]]:
    """Model and record of each sub-network of ``FAMILY`` or ``FAMILY:SUBNET,SUBNET``, made if need be."""
    name, _, wanted = text.partition(":")
    family = families.load(name)
    chosen = [family.subnet(word) for word in _split(wanted)] or list(family.subnets)
    folder = made_family(family, log)
    rows = {row.name: row for row in record.read(folder).subnets}
    return [(folder / rows[subnet.name].file, rows[subnet.name]) for subnet in chosen]


def made_family(family: Family, log: Callable[[str], None]) -> Path:
    """The folder with the family's models: shipped, or in build/families and made again if it has changed."""
    shipped = family.source.with_suffix("") if family.source else None
    if shipped and (shipped / record.FILE).exists():
        return shipped
    folder = FAMILIES / family.name
    stamp = _family_made_of(family)
    if not (folder / record.FILE).exists() or _stamp_of(folder) != stamp:
        from tinyswitch.families.making import make  # loads TensorFlow

        make(family, None, folder, log)
        note_family(family, folder)
    return folder


def note_family(family: Family, folder: Path) -> None:
    """Remembers that the models in ``folder`` are the family's with its own weights and images."""
    write_json(folder / STAMP, _family_made_of(family))


def _stamp_of(folder: Path) -> str | None:
    stamp = folder / STAMP
    return stamp.read_text().strip().strip('"') if stamp.exists() else None


def _family_made_of(family: Family) -> str:
    """Identifies the family, its checkpoint if the project ships it, and the code that makes it."""
    content = hashlib.sha256(repr(replace(family, source=None)).encode())
    shipped = nets.MODELS / (family.checkpoint or family.whole.checkpoint or "")
    if shipped.is_file():
        content.update(shipped.read_bytes())
    _update_with_sources(content, ("nets", "quantize", "families"))
    return content.hexdigest()


def _update_with_sources(content: hashlib._Hash, packages: Sequence[str]) -> None:
    root = Path(nets.__file__).parents[1]
    for source in sorted(file for package in packages for file in (root / package).glob("*.py")):
        if not source.name.startswith("search"):  # of sub-networks: makes none
            content.update(source.read_bytes())


def measured(choice: Choice, log: Callable[[str], None]) -> Iterator[Path]:
    """As ``models``, to measure with: weights do not matter. Nothing named: all nets.

    A net is converted when its turn comes.
    """
    for name in _split(choice.net) if choice.net else [] if choice.given else nets.names():
        yield converted(name, log, at_hand=True)
    if choice.models or choice.family:
        yield from models(replace(choice, net=None), log)


def _files(files: str) -> list[Path]:
    paths = [Path(files)] if Path(files).exists() else [Path(name) for name in _split(files)]
    for path in paths:
        if not path.is_file():
            raise TinyswitchError(f"{path}: no such file; --models takes .tflite files, separated by commas")
        if paths.count(path) > 1:
            raise TinyswitchError(f"{path}: named twice in --models")
    return paths


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
    _update_with_sources(content, ("nets", "quantize"))
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


def model_folder(given: str | None, several: bool, *parts: str) -> Path:
    """For the model that ``parts`` end with; of ``several``, each has a folder of its own in ``--out``."""
    return Path(given) / parts[-1] if given and several else run_folder(given, *parts)


def run_folder(given: str | None, *parts: str) -> Path:
    """``--out``, else runs/BOARD-MODEL."""
    return Path(given) if given else ROOT / "runs" / "-".join(parts)
