"""Nets: architectures read from JSON, and their trained weights read from checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinyswitch.errors import TinyswitchError
from tinyswitch.nets import check, compact, published
from tinyswitch.nets.net import Layer, Net

__all__ = ["MODELS", "Layer", "Net", "Row", "load", "names", "table"]

MODELS = Path(__file__).resolve().parents[3] / "models"  # what the repository ships


def names() -> list[str]:
    """Names of the nets in models/nets, sorted."""
    return sorted(file.stem for file in (MODELS / "nets").glob("*.json"))


def load(name_or_path: str | Path) -> Net:
    """The net of that name in models/nets, or in that .json file, in either form (docs/nets.md).

    Raises TinyswitchError, one line, with file, key, value and what is allowed.
    """
    file = check.find(name_or_path, "net", MODELS / "nets", names())
    content = check.read_object(file, "a net")
    if "layers" in content:
        return compact.read(file, file.stem, content)
    if "blocks" in content or "first_conv" in content:
        return published.read(file, file.stem.removesuffix("_imagenet"), content)
    raise TinyswitchError(
        f'{file}: not a net: neither "layers" (compact form) nor "blocks" (published form) is there'
    )


@dataclass(frozen=True)
class Row:
    """One line of ``invoke nets``."""

    name: str
    resolution: int
    macs: int
    parameters: int
    checkpoint: str  # "models/..." (shipped), "here" (in the data root or downloaded), "download", "-"


def table() -> list[Row]:
    """The nets in models/nets, largest last."""
    from tinyswitch import data

    nets = sorted((load(name) for name in names()), key=lambda net: net.macs)
    return [
        Row(net.name, net.resolution, net.macs, net.parameters, data.availability(net.checkpoint))
        for net in nets
    ]
