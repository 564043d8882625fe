"""What a board's display shows, as a picture."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinyswitch.errors import TinyswitchError

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine


@dataclass(frozen=True)
class Picture:
    """``pixels``: rows from the top, pixels from the left, a byte each for red, green and blue."""

    width: int
    height: int
    pixels: bytes

    def save(self, path: Path) -> None:
        """Writes a PNG file, at once: whoever waits for the file never sees half of it.

        Raises TinyswitchError if it cannot be written.
        """
        from PIL import Image  # takes a while

        try:
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
            with os.fdopen(handle, "wb") as file:
                Image.frombytes("RGB", (self.width, self.height), self.pixels).save(file, "PNG")
            os.replace(name, path)
        except OSError as error:
            raise TinyswitchError(f"{path}: {error.strerror}; name a file in a folder to write to") from None


def shown(machine: Machine) -> Picture:
    """What the display of a board that has one shows now."""
    return next(p for p in machine.peripherals if hasattr(p, "picture")).picture()


@contextlib.contextmanager
def screenshots(machine: Machine, path: Path | None) -> Iterator[None]:
    """While this lasts, SIGUSR1 has the display's picture written to ``path``. It is also written at the
    beginning, which says that the signal may come, and at the end."""
    if path is None:
        yield
        return

    def write(*_: object) -> None:
        try:
            shown(machine).save(path)
        except TinyswitchError as error:  # must not end the emulation
            print(error, file=sys.stderr, flush=True)

    signal.signal(signal.SIGUSR1, write)
    write()
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        write()
