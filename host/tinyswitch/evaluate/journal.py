"""Files that survive an interruption: JSON lines that are appended, JSON files that appear whole."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyswitch.data import write_file
from tinyswitch.errors import TinyswitchError


def write_json(path: Path, value: Any) -> None:
    """Writes ``value``; a reader sees the old file or the new one, never a part. Raises TinyswitchError."""
    write_file(path, (json.dumps(value, indent=1) + "\n").encode())


def not_written(path: Path, error: OSError) -> TinyswitchError:
    """What to tell the user when ``path`` cannot be written."""
    return TinyswitchError(f"{path}: not written: {error.strerror or error}")


class Journal:
    """A file of JSON lines, each written at once as it comes. A context manager.

    A last line that an interruption left unfinished is dropped. A private journal belongs to one process at
    a time, and any other damaged line is an error. A ``shared`` one is a cache that several may append to:
    what cannot be read there is passed over.
    """

    def __init__(self, path: Path, *, shared: bool = False):
        self.path = path
        self._shared = shared
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise not_written(path, error) from None
        if not shared:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._file)
                raise TinyswitchError(f"{path}: another run is writing it; wait or choose another") from None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def read(self) -> list[dict[str, Any]]:
        """Every record so far; call it before the first ``append``, since it mends the end of the file."""
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            if self._shared:  # another process may be in the middle of this line
                os.write(self._file, b"\n")
            else:
                os.ftruncate(self._file, whole)
        records = []
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            record = self._parse(number, line)
            if record is not None:
                records.append(record)
        return records

    def _parse(self, number: int, line: bytes) -> dict[str, Any] | None:
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict):
            return record
        if self._shared:
            return None
        raise TinyswitchError(f"{self.path}: line {number} is damaged; delete that line to go on")

    def clear(self) -> None:
        """Begins anew."""
        os.ftruncate(self._file, 0)

    def append(self, record: dict[str, Any]) -> None:
        """Writes one line. If that fails (a full disk), the file keeps whole lines only; TinyswitchError."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(0, "no space left on the disk")
        except OSError as error:
            if not self._shared:
                os.ftruncate(self._file, size)
            raise not_written(self.path, error) from None


def facts_of(out: Path, identity: Mapping[str, Any], fault: str) -> dict[str, Any]:
    """What ``out``/run.json says of the results beside it, which go on if ``identity`` is part of it.

    Raises TinyswitchError for a file that cannot be read, with ``fault`` as what may be wrong with it, and
    for another run's.
    """
    file = out / "run.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        found = {key: facts[key] for key in identity}
    except (OSError, ValueError, KeyError, TypeError):
        raise TinyswitchError(
            f"{file}: {fault}, so the results beside it cannot be continued; "
            f"choose another --out, or delete {out}"
        ) from None
    for key, value in identity.items():
        if found[key] != value:
            raise TinyswitchError(
                f"{out}: holds results of {key} {found[key]}, this is {value}; "
                "choose another --out, or delete it"
            )
    return facts
