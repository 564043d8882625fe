"""Checks of values read from a net's file; every failure is one line: file, key, value, what is allowed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tinyswitch.errors import TinyswitchError

KERNELS = range(1, 16, 2)  # odd: padding by kernel // 2 on both sides keeps the size at stride 1
STRIDES = range(1, 5)
CHANNELS = range(1, 65536)
RESOLUTIONS = range(1, 2049)
MAX_BYTES = 2**20  # of a file
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


def find(name_or_path: str | Path, what: str, folder: Path, known: Sequence[str]) -> Path:
    """The .json file that is meant: a path, or one of the names ``known`` of files in ``folder``.

    Raises TinyswitchError, which calls it ``what`` ("net"), for another name.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".json") or "/" in text or "\\" in text:
        return Path(name_or_path)
    if text not in known:
        raise TinyswitchError(
            f"{folder}: no {what} {show(text)}{suggest(text, known)}"
            f"; there are: {', '.join(known) or 'none'}; or give a file NAME.json"
        )
    return folder / f"{text}.json"


def read_object(file: Path, what: str) -> dict[str, Any]:
    """The JSON object in ``file``; TinyswitchError, which calls it ``what`` ("a net"), if it is none."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise TinyswitchError(f"{file}: larger than {MAX_BYTES} bytes; not {what}")
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=lambda pairs: _unique(file, pairs))
    except OSError as error:
        raise TinyswitchError(f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise TinyswitchError(f"{file}: not text in UTF-8 (byte {error.start}); {what} is JSON") from None
    except json.JSONDecodeError as error:
        raise TinyswitchError(
            f"{file}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise TinyswitchError(f"{file}: not JSON: {error}") from None
    return mapping(file, "the file", content)


def _unique(file: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise TinyswitchError(f"{file}: {show(name)} is there twice")
        found[name] = value
    return found


def suggest(name: str, known: Iterable[str]) -> str:
    """' - did you mean ...?' for the nearest of ``known``, or ''."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
