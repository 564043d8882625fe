"""The firmware's policies over this machine's models: the same C code, by tinyswitch.switcher."""

from __future__ import annotations

from collections.abc import Sequence

from tinyswitch.errors import TinyswitchError
from tinyswitch.evaluate.host_dynamic.answering import Answer
from tinyswitch.evaluate.host_dynamic.monitor import Reading
from tinyswitch.evaluate.host_dynamic.options import HostOption
from tinyswitch.evaluate.host_dynamic.playing import Chosen
from tinyswitch.switcher import KINDS, Budget, Chooser, Option, Policy

CLOCK_HZ = 1_000_000_000  # an option's cycles are nanoseconds
FIXED = "fixed"


class PolicyChooser:
    """One policy over the models (playing.Chooser)."""

    def __init__(self, policy: Policy, options: Sequence[HostOption]):
        self._chooser = Chooser(policy, [_option(option) for option in options])
        # A cascade needs several models for many an image
        self.keep = tuple(range(len(options))) if policy.kind == "cascade" else ()
        self._budget = Budget(0)

    def choose(self, reading: Reading) -> Chosen:
        """For the next batch."""
        self._budget = budget(reading)
        choice = self._chooser.choose(self._budget)
        return Chosen(choice.option, choice.reason, choice.fits)

    def again(self, option: int, answer: Answer, elapsed: float) -> int | None:
        """The next better option, where the policy is a cascade and the answer not certain."""
        choice = self._chooser.escalate(self._budget, option, answer.margin, round(elapsed * 1e6))
        return choice.option if choice.escalate else None


def kinds(text: str) -> list[str]:
    """The policies of ``deadline,ram,...``; TinyswitchError for one that there is not, and for none."""
    words = [word.strip() for word in text.split(",") if word.strip()] or [text]
    for word in words:
        if word not in KINDS:
            raise TinyswitchError(f"--policy {word}: there are {', '.join(KINDS)}")
    return list(dict.fromkeys(words))


def choosers(
    words: Sequence[str], threshold: float, options: Sequence[HostOption]
) -> dict[str, PolicyChooser]:
    """A chooser for each policy, once; for fixed, one for each option, ``fixed:NAME``."""
    found = {}
    for word in dict.fromkeys(words):
        if word == FIXED:
            for place, option in enumerate(options):
                found[f"{FIXED}:{option.name}"] = PolicyChooser(Policy(FIXED, option=place), options)
        else:
            found[word] = PolicyChooser(Policy(word, threshold=threshold), options)
    return found


def budget(reading: Reading) -> Budget:
    """``reading`` in the units of the policies."""
    return Budget(
        ram_bytes=reading.ram_bytes,
        clock_hz=CLOCK_HZ,
        deadline_us=0 if reading.deadline_s is None else max(1, round(reading.deadline_s * 1e6)),
        cpu=reading.cpu,
        battery=reading.battery,
        cpu_high=reading.cpu_high,
    )


def _option(option: HostOption) -> Option:
    return Option(option.ram_bytes, round(option.seconds * CLOCK_HZ), accuracy=option.accuracy)
