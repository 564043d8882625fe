"""What else a board has to do, over time: a CSV file that is played while images are streamed.

docs/dynamic.md says what the columns mean.
"""

from __future__ import annotations

import csv
import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tinyswitch.errors import TinyswitchError

FOLDER = Path(__file__).resolve().parents[4] / "models" / "traces"
DEFAULT = FOLDER / "mixed.csv"
TIME = "time_s"
MOST_CPU = 0.95
# Column: lowest and highest value
LIMITS = {
    TIME: (0.0, 1e6),
    "cpu": (0.0, MOST_CPU),
    "ram_kb": (0.0, 4e6),
    "ram": (0.0, 1.0),
    "deadline_ms": (0.0, 4e6),
    "deadline": (0.0, 1000.0),
    "battery": (0.0, 1.0),
}
EITHER = (("ram_kb", "ram"), ("deadline_ms", "deadline"))  # two units of one thing


@dataclass(frozen=True)
class Unit:
    """What the relative columns are relative to."""

    seconds: float  # that the largest sub-network takes without other load: column deadline
    ram_bytes: int  # that the largest needs beyond the smallest: column ram


@dataclass(frozen=True)
class Load:
    """What is in force at a time, in the board's units."""

    cpu: float = 0.0  # share of the processor that other work takes
    ram_bytes: int = 0  # RAM that other work takes
    deadline_us: int = 0  # of a frame; 0: none
    battery: float | None = None  # charge, 0..1; None: unknown


@dataclass(frozen=True)
class Row:
    """One line of a trace, empty cells filled with what was before."""

    time_s: float
    cpu: float = 0.0
    ram_kb: float = 0.0
    ram: float = 0.0
    deadline_ms: float = 0.0
    deadline: float = 0.0
    battery: float | None = None

    def load(self, unit: Unit) -> Load:
        """The same in the board's units."""
        ram = round(self.ram_kb * 1000) + round(self.ram * unit.ram_bytes)
        deadline_us = self.deadline_ms * 1e3 + self.deadline * unit.seconds * 1e6
        return Load(self.cpu, ram, math.ceil(deadline_us), self.battery)


@dataclass(frozen=True)
class Trace:
    """Rows in ascending time. Before the first there is no load; the last holds on."""

    path: Path
    rows: tuple[Row, ...]
    digest: str  # of the file's content

    @property
    def end_s(self) -> float:
        """When the last row begins."""
        return self.rows[-1].time_s

    def frames(self, fps: float) -> int:
        """Frames from its begin to that of the last row."""
        return int(self.end_s * fps) + 1

    @property
    def has_deadline(self) -> bool:
        """Whether there is one at any time."""
        return any(row.deadline_ms or row.deadline for row in self.rows)

    def at(self, time_s: float) -> Row:
        """What is in force at a time."""
        place = bisect_right(self.rows, time_s, key=lambda row: row.time_s)
        return self.rows[place - 1] if place else Row(0.0)

    def within(self, begin_s: float, end_s: float) -> Iterator[Row]:
        """Rows that begin after ``begin_s`` and before ``end_s``."""
        return (row for row in self.rows if begin_s < row.time_s < end_s)


def read(path: Path) -> Trace:
    """The trace in ``path``; lines that begin with # are comments.

    Raises TinyswitchError, one line, with file, line and value: for what cannot be read, a column that is
    unknown or missing, a value that is no number or out of range, time that does not go on, and no rows.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise TinyswitchError(f"{path}: {error.strerror or error}; --trace takes a CSV file") from None
    except UnicodeDecodeError:
        raise TinyswitchError(f"{path}: not a CSV file in UTF-8") from None
    lines = _lines(path, text)
    _, names = next(lines, (0, []))
    _check_names(path, names)
    rows: list[Row] = []
    row = Row(0.0)
    before: int | None = None
    for line, cells in lines:
        row = replace(row, **_values(path, line, names, cells))
        if rows and row.time_s <= rows[-1].time_s:
            raise TinyswitchError(
                f"{path}: line {line}: {TIME} {row.time_s:g} does not come after {rows[-1].time_s:g} of line "
                f"{before}: a trace runs forwards"
            )
        rows.append(row)
        before = line
    if not rows:
        raise TinyswitchError(f"{path}: no rows below the header; give at least one")
    return Trace(path, tuple(rows), hashlib.sha256(content).hexdigest()[:32])


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """(number, cells) of each line that is neither empty nor a comment."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            yield number, [cell.strip() for cell in next(csv.reader([line], strict=True))]
        except csv.Error as error:
            raise TinyswitchError(f"{path}: line {number}: not CSV: {error}") from None


def _check_names(path: Path, names: list[str]) -> None:
    known = ", ".join(LIMITS)
    for name in names:
        if name not in LIMITS:
            raise TinyswitchError(f"{path}: unknown column {name!r}; there are {known}")
        if names.count(name) > 1:
            raise TinyswitchError(f"{path}: column {name!r} is there twice")
    if TIME not in names:
        raise TinyswitchError(f"{path}: no column {TIME!r}; its first line must name the columns: {known}")
    for one, other in EITHER:
        if one in names and other in names:
            raise TinyswitchError(f"{path}: columns {one!r} and {other!r} say the same thing; keep one")


def _values(path: Path, line: int, names: list[str], cells: list[str]) -> dict[str, float]:
    if len(cells) != len(names):
        raise TinyswitchError(f"{path}: line {line}: {len(cells)} cells, the header has {len(names)}")
    found = {name: _number(path, line, name, cell) for name, cell in zip(names, cells, strict=True) if cell}
    if TIME not in found:
        raise TinyswitchError(f"{path}: line {line}: {TIME} is empty; every row needs its time")
    return found


def _number(path: Path, line: int, name: str, cell: str) -> float:
    low, high = LIMITS[name]
    try:
        value = float(cell)
    except ValueError:
        raise TinyswitchError(f"{path}: line {line}: {name} {cell!r} is not a number") from None
    if not low <= value <= high:  # NaN neither
        raise TinyswitchError(f"{path}: line {line}: {name} {cell} is not within {low:g} and {high:g}")
    return value
