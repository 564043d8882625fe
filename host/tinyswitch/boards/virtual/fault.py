"""What can be wrong with a device that is wired to a chip, as options say it: ``absent``, ``hang@3``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from tinyswitch.errors import TinyswitchError

_TEXT = re.compile(r"([a-z]+)(?:@([\d.]+)(?:-([\d.]+))?)?")


@dataclass(frozen=True)
class Fault:
    """``kind``, from ``start`` to ``end``, in emulated seconds since the board was switched on."""

    kind: str = "none"
    start: float = 0.0
    end: float = math.inf


@dataclass(frozen=True)
class Faults:
    """The kinds of fault that a device knows, and what each means."""

    device: str
    always: Collection[str]  # KIND
    since: Collection[str]  # KIND@S
    between: Collection[str]  # KIND@S-T

    def parse(self, text: str) -> Fault:
        """Raises TinyswitchError, with what there is, for others."""
        match = _TEXT.fullmatch(text)
        kind, *times = match.groups() if match else ("", None, None)
        try:
            start, end = (None if time is None else float(time) for time in times)
        except ValueError:  # several points
            kind, start, end = "", None, None
        if start is None and kind in self.always:
            return Fault(kind)
        if start is not None and end is None and kind in self.since:
            return Fault(kind, start)
        if start is not None and end is not None and start < end and kind in self.between:
            return Fault(kind, start, end)
        raise TinyswitchError(f"{self.device} fault {text!r}: it must be {self._forms()}; S < T, in seconds")

    def _forms(self) -> str:
        *forms, last = [
            *self.always,
            *(f"{kind}@S" for kind in self.since),
            *(f"{kind}@S-T" for kind in self.between),
        ]
        return f"{', '.join(forms)} or {last}"
