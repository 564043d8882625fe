"""Policies: which of several options to run with what there is. The code is the firmware's.

``firmware/switcher/policy.h`` says what each policy does; here are its structs in units for people.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinyswitch.errors import TinyswitchError
from tinyswitch.switcher.library import CBudget, COption, CPolicy, CState, policy_library

KINDS = ("fixed", "ram", "deadline", "priority", "energy", "cascade")  # by number
REASONS = (  # by number
    "best",
    "fixed",
    "RAM",
    "deadline",
    "energy",
    "hold",
    "nothing fits",
    "first",
    "escalate",
    "certain",
)
BATTERY_UNKNOWN = 0xFFFF
MOST_OPTIONS = 0xFFFE
_U32 = 0xFFFFFFFF
_U16 = 0xFFFF


@dataclass(frozen=True)
class Policy:
    """One policy with its parameters. Raises TinyswitchError for what there is not."""

    kind: str  # one of KINDS
    option: int = 0  # fixed: index of the option
    threshold: float = 0.5  # cascade: escalates while the two best scores differ by less; real output units
    up_frames: int = 3  # decisions in a row in which a better option must fit, 0..255
    safety: float = 0.05  # of the predicted time, added to it
    margin: float = 0.10  # added besides before a better option is taken

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TinyswitchError(f"policy {self.kind!r} is unknown; there are {', '.join(KINDS)}")
        for name, value, most in (
            ("option", self.option, _U16),
            ("threshold", self.threshold, _U16 / 256),
            ("up_frames", self.up_frames, 255),
            ("safety", self.safety, 10),
            ("margin", self.margin, 10),
        ):
            if not 0 <= value <= most:  # NaN neither
                raise TinyswitchError(
                    f"policy {self.kind}: {name} is {value}; it must be within 0 and {most:g}"
                )

    @property
    def number(self) -> int:
        """Of the kind, as on the link."""
        return KINDS.index(self.kind)


@dataclass(frozen=True)
class Option:
    """Something to choose. Cycles and clock of the budget may be in any unit, as long as it is the same."""

    ram_bytes: int
    cycles: int = 0  # of one inference that nothing interrupts; 0: unknown, estimated
    macs: int = 0  # multiply-accumulates of one inference; 0: unknown
    accuracy: float | None = None  # top-1, a fraction
    energy: int = 0  # class 0..15


@dataclass(frozen=True)
class Budget:
    """What there is left for inference."""

    ram_bytes: int
    clock_hz: int = 1_000_000  # cycles a second
    deadline_us: int = 0  # 0: none
    cpu: float = 1.0  # share of the processor that is left, as measured; 0..1
    battery: float | None = None  # charge, 0..1; None: unknown
    cpu_high: float | None = None  # share that work of higher priority leaves; None: as ``cpu``
    ram_low_bytes: int = 0  # further bytes, held by work of lower priority


@dataclass(frozen=True)
class Choice:
    """What a policy chose."""

    option: int  # index
    reason: str  # one of REASONS
    fits: bool  # False: nothing does, and this is the smallest; or "fixed" names one that does not

    @property
    def escalate(self) -> bool:
        """The same input is to be given to this option too."""
        return self.reason == "escalate"


class Chooser:
    """A policy over options, with its memory from one decision to the next."""

    def __init__(self, policy: Policy, options: Sequence[Option]):
        """Raises TinyswitchError if there are no options, or the policy names one that is not there."""
        if not 0 < len(options) <= MOST_OPTIONS:
            raise TinyswitchError(f"{len(options)} models to choose from; give 1 to {MOST_OPTIONS}")
        if policy.kind == "fixed" and policy.option >= len(options):
            raise TinyswitchError(f"policy fixed: no option {policy.option}; give 0 to {len(options) - 1}")
        self.policy, self.options = policy, tuple(options)
        self._library = policy_library()
        self._policy = CPolicy(
            policy.number,
            policy.up_frames,
            policy.option,
            round(policy.threshold * 256),
            round(policy.safety * 1000),
            round(policy.margin * 1000),
        )
        self._options = (COption * len(options))(*map(_option, options))
        self._state = CState()

    def choose(self, budget: Budget) -> Choice:
        """For the next frame."""
        return _choice(
            self._library.ts_policy_choose(
                self._policy, self._options, len(self.options), _budget(budget), self._state
            )
        )

    def escalate(self, budget: Budget, current: int, margin: float, used_us: int = 0) -> Choice:
        """After ``current`` has answered the frame with ``margin`` between its two best scores (real output
        units), ``used_us`` into the deadline: which option shall look at it again, if ``escalate`` is set."""
        return _choice(
            self._library.ts_policy_escalate(
                self._policy,
                self._options,
                len(self.options),
                _budget(budget),
                current,
                _clip(margin * 256, _U32),
                _clip(used_us, _U32),
            )
        )

    def cycles(self, index: int) -> int:
        """Of one inference with that option; estimated if they are unknown."""
        return self._library.ts_policy_cycles(self._options, len(self.options), index)


def predict_us(cycles: int, clock_hz: int, cpu: float) -> int:
    """Microseconds that ``cycles`` take with a share ``cpu`` of a clock; 2^32 - 1: longer, or never."""
    return policy_library().ts_policy_predict_us(_clip(cycles, _U32), _clip(clock_hz, _U32), _permille(cpu))


def _clip(value: float, most: int) -> int:
    return 0 if math.isnan(value) else int(min(max(value, 0), most))


def _permille(share: float) -> int:
    return _clip(round(share * 1000), 1000)


def _option(option: Option) -> COption:
    accuracy = 0 if option.accuracy is None else max(1, _clip(round(option.accuracy * 10_000), 10_000))
    return COption(
        _clip(option.ram_bytes, _U32),
        _clip(option.cycles, _U32),
        _clip(option.macs, _U32),
        accuracy,
        _clip(option.energy, 15),
    )


def _budget(budget: Budget) -> CBudget:
    return CBudget(
        _clip(budget.ram_bytes, _U32),
        _clip(budget.ram_low_bytes, _U32),
        _clip(budget.clock_hz, _U32),
        _clip(budget.deadline_us, _U32),
        _permille(budget.cpu),
        _permille(budget.cpu if budget.cpu_high is None else budget.cpu_high),
        BATTERY_UNKNOWN if budget.battery is None else _permille(budget.battery),
    )


def _choice(found: ctypes.Structure) -> Choice:
    return Choice(found.option, REASONS[found.reason], bool(found.fits))
