"""``record.json`` beside a family's models: how they were made, what they are worth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tinyswitch.data import write_file
from tinyswitch.errors import TinyswitchError

FILE = "record.json"


@dataclass(frozen=True)
class Row:
    """One sub-network."""

    name: str
    file: str  # its model, beside the record
    resolution: int
    macs: int
    accuracy: float | None  # top-1 of the int8 model as a fraction; None: not measured
    accuracy_images: int
    channels: int  # all that have an entry in a table
    own_channels: int  # of these, those of tables that no sub-network before it has
    table_bytes: int  # of these, 8 a channel
    cycles: dict[str, int] = field(default_factory=dict)  # board -> of one inference, on a real one
    instructions: dict[str, int] = field(default_factory=dict)  # board -> of one inference, on a virtual one

    def cost(self, board: str) -> int | None:
        """What one inference takes on ``board``: cycles, else instructions, its virtual board's cycles."""
        return self.cycles.get(board, self.instructions.get(board))


@dataclass(frozen=True)
class Record:
    """The content of the file."""

    family: str
    net: str
    subnets: tuple[Row, ...]
    weights_bytes: int  # int8, once for all
    shared: dict[str, Any]  # see proof.Proof
    calibration: dict[str, Any]
    accuracy: dict[str, Any]
    versions: dict[str, str] = field(
        default_factory=lambda: {n: version(n) for n in ("tensorflow", "ai-edge-litert", "numpy")}
    )
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())


def write(folder: Path, record: Record) -> Path:
    """Writes ``folder``/record.json and returns its path; raises TinyswitchError."""
    path = folder / FILE
    write_file(path, (json.dumps(asdict(record), indent=1) + "\n").encode())
    return path


def read(folder: Path) -> Record:
    """The record in ``folder``; raises TinyswitchError where there is none, or it is damaged."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(Row(**row) for row in content.pop("subnets"))
        return Record(subnets=rows, **content)
    except OSError as error:
        raise TinyswitchError(
            f"{path}: {error.strerror or error}; make the family first: invoke family --name NAME"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TinyswitchError(f"{path}: not the record of a family: {reason}") from None


def note(folder: Path, board: str, unit: str, ticks: Mapping[str, int]) -> Record:
    """Adds what one inference takes on ``board``, by the sub-network's name; returns the new record.

    ``unit``: cycles (of a real board) or instructions (of a virtual one), which are kept apart.
    """
    record = read(folder)
    known = {row.name for row in record.subnets}
    for name in ticks:
        if name not in known:
            raise TinyswitchError(f"{folder / FILE}: no sub-network {name!r}; there are: {', '.join(known)}")
    rows = tuple(
        replace(row, **{unit: getattr(row, unit) | {board: ticks[row.name]}}) if row.name in ticks else row
        for row in record.subnets
    )
    record = replace(record, subnets=rows)
    write(folder, record)
    return record
