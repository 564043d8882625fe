"""What can be cut from a net, as parameters that Optuna draws."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyswitch.errors import TinyswitchError
from tinyswitch.families.derive import block_numbers, expanded_channels, is_residual, kernel_of
from tinyswitch.families.family import WIDTH_STEP, Family, Subnet, parse_subnet
from tinyswitch.nets.net import Net

if TYPE_CHECKING:
    from optuna import Trial

DIMENSIONS = ("resolution", "skip", "kernel", "width", "exit")
SMALLEST = 3  # at less than this part of the net's resolution nothing is expected
SMALLEST_KERNEL = 3
EIGHTHS = range(4, 9)  # of an expansion's channels
Spec = dict[str, Any]  # a sub-network as in a family's file

Value = int | bool


@dataclass(frozen=True)
class Space:
    """Parameters and the values that each may take, the whole net's first."""

    net: Net
    choices: Mapping[str, tuple[Value, ...]]

    @classmethod
    def of(cls, net: Net, dimensions: Collection[str] = DIMENSIONS) -> Space:
        """Everything elastic in ``net``, in some of DIMENSIONS. TinyswitchError if there is nothing."""
        for name in dimensions:
            if name not in DIMENSIONS:
                raise TinyswitchError(f"no dimension {name!r} to explore; there are {', '.join(DIMENSIONS)}")
        found: dict[str, tuple[Value, ...]] = {}
        if "resolution" in dimensions:
            found["resolution"] = _resolutions(net)
        if "exit" in dimensions:
            found["exit"] = (-1, *sorted(net.exits, reverse=True))  # -1: none
        for number in block_numbers(net):
            if "skip" in dimensions and is_residual(net, number):
                found[f"skip.{number}"] = (False, True)
            if "kernel" in dimensions:
                found[f"kernel.{number}"] = _kernels(net, number)
            if "width" in dimensions:
                found[f"width.{number}"] = _widths(net, number)
        choices = {name: values for name, values in found.items() if len(values) > 1}
        if not choices:
            raise TinyswitchError(f"{net.name}: nothing of it is elastic in {', '.join(dimensions)}")
        return cls(net, choices)

    def draw(self, trial: Trial) -> Spec:
        """The sub-network that ``trial`` is to try."""
        _ = (
            trial.relative_params
        )  # asks the sampler: NSGA-II then counts a given start as one of its population
        return self.spec({name: trial.suggest_categorical(name, v) for name, v in self.choices.items()})

    def spec(self, values: Mapping[str, Value]) -> Spec:
        """What the parameters ask for; nothing of blocks that are left out, nothing that is as in the net."""
        stop = int(values.get("exit", -1))
        last = stop if stop >= 0 else max(block_numbers(self.net))
        spec: Spec = {}
        if values.get("resolution", self.net.resolution) != self.net.resolution:
            spec["resolution"] = int(values["resolution"])
        skipped = [n for n in block_numbers(self.net) if n <= last and values.get(f"skip.{n}")]
        if skipped:
            spec["skip"] = skipped
        for kind in ("kernel", "width"):
            cut = {
                str(n): int(values[key])
                for n in block_numbers(self.net)
                if (key := f"{kind}.{n}") in self.choices and n <= last and n not in skipped
                if values.get(key, self.choices[key][0]) != self.choices[key][0]
            }
            if cut:
                spec[kind] = cut
        if stop >= 0:
            spec["exit"] = stop
        return spec

    def values(self, subnet: Subnet) -> dict[str, Value] | None:
        """The parameters that ask for ``subnet``; None if none do."""
        found: dict[str, Value] = {name: values[0] for name, values in self.choices.items()}
        wanted: dict[str, Value] = {"resolution": subnet.resolution}
        wanted |= {f"skip.{number}": True for number in subnet.skip}
        wanted |= {f"kernel.{number}": taps for number, taps in subnet.kernels.items()}
        wanted |= {f"width.{number}": channels for number, channels in subnet.widths.items()}
        if subnet.exit is not None:
            wanted["exit"] = subnet.exit
        for name, value in wanted.items():
            if value not in self.choices.get(name, (self.net.resolution,) if name == "resolution" else ()):
                return None
        return found | {name: value for name, value in wanted.items() if name in found}

    def starts(self, family: Family) -> list[dict[str, Value]]:
        """Where to begin: the declared sub-networks, then each one cut that is the same all over the net."""
        whole = {name: values[0] for name, values in self.choices.items()}
        found = [values for subnet in family.subnets if (values := self.values(subnet))]
        found += [whole | {"resolution": size} for size in self.choices.get("resolution", ())]
        found += [whole | {name: True} for name in self.choices if name.startswith("skip.")]
        for kind in ("kernel", "width"):
            names = [name for name in self.choices if name.startswith(f"{kind}.")]
            if names:
                found.append(whole | {name: self.choices[name][1] for name in names})
        return [values for place, values in enumerate(found) if values not in found[:place]]


def subnet_of(family: Family, spec: Spec, name: str = "trial") -> Subnet:
    """The sub-network that ``spec`` describes."""
    return parse_subnet(family.source or Path(family.name), family.net, name, spec)


def _resolutions(net: Net) -> tuple[int, ...]:
    """Steps of the total stride: the last map then loses a row and a column at each."""
    stride = 1
    for layer in net.layers:
        stride *= layer.stride
    return tuple(range(net.resolution, max(stride, -(-net.resolution // SMALLEST)) - 1, -stride))


def _kernels(net: Net, number: int) -> tuple[int, ...]:
    whole = kernel_of(net, number)
    return tuple(range(whole, min(whole, SMALLEST_KERNEL) - 1, -2))


def _widths(net: Net, number: int) -> tuple[int, ...]:
    whole = expanded_channels(net, number)
    if whole is None:
        return ()
    rounded = {min(whole, -(-whole * eighth // 8 // WIDTH_STEP) * WIDTH_STEP) for eighth in EIGHTHS}
    return tuple(sorted(rounded, reverse=True))


def spec_of(subnet: Subnet, family: Family) -> Spec:
    """``subnet`` as in a family's file, everything written out; the inverse of ``subnet_of``."""
    spec: Spec = {}
    if subnet.resolution != family.net.resolution:
        spec["resolution"] = subnet.resolution
    if subnet.skip:
        spec["skip"] = sorted(subnet.skip)
    for name, cut in (("kernel", subnet.kernels), ("width", subnet.widths)):
        left = {str(number): cut[number] for number in sorted(cut) if number not in subnet.skip}
        if left:
            spec[name] = left
    if subnet.exit is not None:
        spec["exit"] = subnet.exit
    return spec
