"""Checks of values read from a net's file; every failure is one line: file, key, value, what is allowed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tinyswitch.errors import TinyswitchError

KERNELS = range(1, 16, 2)  # odd: padding by kernel // 2 on both sides keeps the size at stride 1
STRIDES = range(1, 5)
CHANNELS = range(1, 65536)
RESOLUTIONS = range(1, 2049)
BN_EPS = (1e-9, 1.0)  # added to a variance, which may be 0


def show(value: Any, limit: int = 60) -> str:
    """``value`` as JSON on one line, cut after ``limit`` characters."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def bad(file: Path, key: str, value: Any, allowed: str) -> TinyswitchError:
    """The error for a value that the file must not have."""
    return TinyswitchError(f"{file}: {key} is {show(value)}; allowed: {allowed}")


def integer(file: Path, key: str, value: Any, allowed: range) -> int:
    """``value`` if it is an integer in ``allowed``."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        odd = "odd, " if allowed.step == 2 else ""
        raise bad(file, key, value, f"{odd}{allowed[0]} to {allowed[-1]}")
    return value


def number(file: Path, key: str, value: Any, low: float, high: float) -> float:
    """``value`` as float if it is a number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise bad(file, key, value, f"{low:g} to {high:g}")
    return float(value)


def mapping(file: Path, key: str, value: Any) -> dict[str, Any]:
    """``value`` if it is a JSON object."""
    if not isinstance(value, dict):
        raise bad(file, key, value, "an object {...}")
    return value


def get(file: Path, key: str, parent: dict[str, Any], name: str) -> Any:
    """``parent[name]``; ``key`` is where ``parent`` stands in the file, '' for the top."""
    if name not in parent:
        where = f"{key}.{name}" if key else name
        raise TinyswitchError(f"{file}: {where} is missing")
    return parent[name]


def suggest(name: str, known: Iterable[str]) -> str:
    """' - did you mean ...?' for the nearest of ``known``, or ''."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
