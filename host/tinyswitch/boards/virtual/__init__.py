"""Virtual boards: the firmware's own ELF in an emulator. docs/virtual-board.md says what is modelled."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path

import serial

from tinyswitch.boards.pty import PtyBoard
from tinyswitch.boards.virtual.chip import Options
from tinyswitch.errors import TinyswitchError

SCREENSHOT_SECONDS = 20.0  # between the wish for one and the file


class VirtualBoard(PtyBoard):
    """The board ``name`` with the firmware ``elf``, in a process of its own, its link on a pseudo-terminal.

    :meth:`failure` says, once it has stopped by itself, what the firmware did wrong: the address, the program
    counter and the function.
    """

    kind = "virtual"
    cycle_model = "virtual board: one cycle per instruction executed; not a timing of the real chip"
    counts_instructions = True

    def __init__(self, elf: Path, name: str = "stm32f746", options: Options | None = None):
        """``name``: one of :data:`tinyswitch.boards.virtual.registry.NAMES`."""
        self.name = name
        self._options = options
        super().__init__(
            [sys.executable, "-m", "tinyswitch.boards.virtual", "--board", name, *_words(options), elf]
        )

    def open(self) -> serial.Serial:
        if self._options and self._options.screenshot:
            with contextlib.suppress(OSError):  # the process will say what is wrong with it
                self._options.screenshot.unlink()
        return super().open()

    def screenshot(self) -> Path:
        """Writes what the display shows now to ``options.screenshot``, and returns that.

        Raises TinyswitchError if the board was started without such a place, or cannot write there.
        """
        path = self._options.screenshot if self._options else None
        if path is None or self.process is None:
            raise TinyswitchError(f"{self.name}: no screenshot: open it with Options(screenshot=FILE.png)")
        before = self._next_version(path, None)  # the first: it is listening from now on
        self.process.send_signal(signal.SIGUSR1)
        self._next_version(path, before)
        return path

    def _next_version(self, path: Path, before: tuple[int, int] | None) -> tuple[int, int]:
        end = time.monotonic() + SCREENSHOT_SECONDS
        while (version := _version(path)) in (None, before):
            if self.process.poll() is not None or time.monotonic() > end:
                raise TinyswitchError(f"{path}: {self.failure() or 'the virtual board writes no picture'}")
            time.sleep(0.01)
        return version


def _version(path: Path) -> tuple[int, int] | None:
    """Tells a file at ``path`` from the next that takes its place."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _words(options: Options | None) -> list[str]:
    """The command line that says ``options``."""
    if options is None:
        return []
    words = []
    for name, value in vars(options).items():
        option = f"--{name.replace('_', '-')}"
        if value:
            words += [option] if value is True else [option, str(value)]
    return words
