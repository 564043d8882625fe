"""What a family is: a net and the sub-networks to be cut from it; ``models/families/NAME.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tinyswitch import nets
from tinyswitch.errors import TinyswitchError
from tinyswitch.families.derive import block_numbers, derive, expanded_channels, is_residual, kernel_of
from tinyswitch.nets import check
from tinyswitch.nets.net import Net

FOLDER = nets.MODELS / "families"
KEYS = ("net", "checkpoint", "order", "width", "subnets")
ORDERS = ("checkpoint", "importance")  # of the channels of an expansion, of which the first are kept
SUBNET_KEYS = ("resolution", "skip", "kernel", "width", "exit", "tune")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,46}")  # also that of a file and of a ts_model
MAX_SUBNETS = 64
WIDTH_STEP = 8  # a share of the channels is rounded up to a multiple: kernels take four at a time


@dataclass(frozen=True)
class Subnet:
    """One sub-network. What the specification leaves out is as in the whole net."""

    name: str
    net: Net  # derived: layers named as in the whole net, those that are skipped missing
    resolution: int
    skip: frozenset[int] = frozenset()  # residual blocks left out, by their numbers in the checkpoint
    kernels: Mapping[int, int] = field(default_factory=dict)  # block -> taps of its depthwise kernel's centre
    widths: Mapping[int, int] = field(default_factory=dict)  # block -> channels kept of its expansion
    exit: int | None = None  # block behind which the net ends, with a head of its own
    tune: bool = False  # whether its tables are to be tuned for it; tinyswitch.families.tune

    @property
    def structure(self) -> tuple[Any, ...]:
        """What it is cut to besides its resolution; equal for sub-networks that can share their tables."""
        return self.skip, tuple(sorted(self.kernels.items())), tuple(sorted(self.widths.items())), self.exit


@dataclass(frozen=True)
class Family:
    """A net, its checkpoint, and the sub-networks cut from it, the largest first."""

    name: str
    net: Net  # the largest sub-network's
    whole: Net  # the checkpoint's, whose expansions may be wider
    subnets: tuple[Subnet, ...]
    checkpoint: str | None = None  # as in a net's file; None: the net's own
    order: str = "checkpoint"  # one of ORDERS; tinyswitch.families.order
    source: Path | None = None  # the file it was read from

    def subnet(self, name: str) -> Subnet:
        """The sub-network of that name; raises TinyswitchError with those that there are."""
        known = {subnet.name: subnet for subnet in self.subnets}
        if name not in known:
            raise TinyswitchError(
                f"{self.name}: no sub-network {check.show(name)}{check.suggest(name, known)}; there are: "
                f"{', '.join(known)}"
            )
        return known[name]


def names() -> list[str]:
    """Names of the families in models/families, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def load(name_or_path: str | Path) -> Family:
    """The family of that name in models/families, or in that .json file (docs/families.md).

    Raises TinyswitchError, one line, with file, key, value and what is allowed: for a file that is no family,
    and for sub-networks that ask for what the net does not have.
    """
    file = check.find(name_or_path, "family", FOLDER, names())
    content = check.read_object(file, "a family")
    for key in content:
        if key not in KEYS:
            hint = check.suggest(key, KEYS)
            raise TinyswitchError(f"{file}: unknown key {check.show(key)}; allowed: {', '.join(KEYS)}{hint}")
    net_name = check.get(file, "", content, "net")
    if not isinstance(net_name, str):
        raise check.bad(file, "net", net_name, "the name of a net, or a file NAME.json")
    whole = nets.load(net_name)
    order = content.get("order", ORDERS[0])
    if order not in ORDERS:
        raise check.bad(file, "order", order, ", ".join(ORDERS))
    widths = _widths(file, "width", whole, content.get("width", {}))
    net = replace(derive(whole, whole.name, whole.resolution, widths=widths), exits=whole.exits)
    checkpoint = content.get("checkpoint")
    if not isinstance(checkpoint, str | None):
        raise check.bad(file, "checkpoint", checkpoint, "a path in models/ or the data root")
    subnets = _subnets(file, net, check.mapping(file, "subnets", check.get(file, "", content, "subnets")))
    return Family(file.stem, net, whole, subnets, checkpoint, order, file)


def _subnets(file: Path, net: Net, content: dict[str, Any]) -> tuple[Subnet, ...]:
    if not 1 <= len(content) <= MAX_SUBNETS:
        raise check.bad(file, "subnets", len(content), f"1 to {MAX_SUBNETS} sub-networks")
    found = tuple(parse_subnet(file, net, name, value) for name, value in content.items())
    first = found[0]
    if first.resolution != net.resolution or first.structure != (frozenset(), (), (), None):
        raise TinyswitchError(
            f"{file}: subnets.{first.name}: the first sub-network is the whole net, whose weights the others"
            " share; allowed: {} and tune"
        )
    return found


def parse_subnet(file: Path, net: Net, name: str, value: Any) -> Subnet:
    """The sub-network ``name`` that ``value``, a JSON object, specifies; ``file`` is for messages."""
    key = f"subnets.{name}"
    if not NAME.fullmatch(name):
        raise TinyswitchError(
            f"{file}: subnets: {check.show(name)} is no name; allowed: 1 to 47 letters, digits, '.', '_', '-'"
        )
    wanted = check.mapping(file, key, value)
    for other in wanted:
        if other not in SUBNET_KEYS:
            raise TinyswitchError(
                f"{file}: {key}: unknown key {check.show(other)}; allowed: {', '.join(SUBNET_KEYS)}"
                f"{check.suggest(other, SUBNET_KEYS)}"
            )
    resolution = wanted.get("resolution", net.resolution)
    check.integer(file, f"{key}.resolution", resolution, range(1, net.resolution + 1))
    skip = _skip(file, f"{key}.skip", net, wanted.get("skip", []))
    kernels = _kernels(file, f"{key}.kernel", net, wanted.get("kernel", {}))
    widths = _widths(file, f"{key}.width", net, wanted.get("width", {}))
    stop = wanted.get("exit")
    if stop is not None and stop not in net.exits:
        known = ", ".join(map(str, net.exits)) or "none"
        raise check.bad(file, f"{key}.exit", stop, f"a block of {net.name} with an exit: {known}")
    tune = wanted.get("tune", False)
    if not isinstance(tune, bool):
        raise check.bad(file, f"{key}.tune", tune, "true, false")
    derived = derive(net, name, resolution, skip, kernels, widths, stop)
    return Subnet(name, derived, resolution, skip, kernels, widths, stop, tune)


def _block(file: Path, key: str, net: Net, value: Any) -> int:
    blocks = block_numbers(net)
    if isinstance(value, bool) or not isinstance(value, int) or value not in blocks:
        raise check.bad(file, key, value, f"a block of {net.name}: {min(blocks)} to {max(blocks)}")
    return value


def _skip(file: Path, key: str, net: Net, value: Any) -> frozenset[int]:
    if not isinstance(value, list):
        raise check.bad(file, key, value, "a list of blocks")
    skipped = frozenset(_block(file, key, net, number) for number in value)
    for number in sorted(skipped):
        if not is_residual(net, number):
            able = ", ".join(str(n) for n in block_numbers(net) if is_residual(net, n)) or "none"
            raise check.bad(file, key, number, f"residual blocks of {net.name}: {able}")
    return skipped


def _kernels(file: Path, key: str, net: Net, value: Any) -> dict[int, int]:
    """Block -> taps, where they differ from the whole net's."""
    if not isinstance(value, dict):
        check.integer(file, key, value, check.KERNELS)
        return {n: value for n in block_numbers(net) if kernel_of(net, n) > value}
    found = {}
    for text, taps in value.items():
        number = _numbered(file, key, net, text)
        check.integer(file, f"{key}.{text}", taps, range(1, kernel_of(net, number) + 1, 2))
        if taps < kernel_of(net, number):
            found[number] = taps
    return found


def _widths(file: Path, key: str, net: Net, value: Any) -> dict[int, int]:
    """Block -> channels of its expansion, where they differ from the whole net's."""
    if not isinstance(value, dict):
        share = check.number(file, key, value, 0.01, 1.0)
        able = {n: expanded_channels(net, n) for n in block_numbers(net)}
        rounded = {n: -(-round(c * share) // WIDTH_STEP) * WIDTH_STEP for n, c in able.items() if c}
        return {n: c for n, c in rounded.items() if c < (able[n] or 0)}
    found = {}
    for text, channels in value.items():
        number = _numbered(file, key, net, text)
        whole = expanded_channels(net, number)
        if whole is None:
            raise check.bad(file, key, number, f"blocks of {net.name} with an expansion; this one has none")
        check.integer(file, f"{key}.{text}", channels, range(1, whole + 1))
        if channels < whole:
            found[number] = channels
    return found


def _numbered(file: Path, key: str, net: Net, text: str) -> int:
    return _block(file, key, net, int(text) if text.isdecimal() and len(text) < 6 else text)
