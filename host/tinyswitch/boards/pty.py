"""Boards that are a process of this machine: its stdin and stdout are the far end of a pseudo-terminal."""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import serial

from tinyswitch.boards.board import BAUD, Board
from tinyswitch.errors import TinyswitchError

STOP_SECONDS = 2.0  # a process may take this long to end once its input has ended
END_SECONDS = 0.5  # between the port's hang-up and the end of the process


class PtyBoard(Board):
    """Runs ``argv``; what it writes to stdout is what pyserial reads, and the other way round.

    The port hangs up when the process ends. stderr is kept for :meth:`failure`.
    """

    def __init__(self, argv: Sequence[str | Path]):
        self.argv = [str(a) for a in argv]
        self.process: subprocess.Popen[bytes] | None = None
        self._port: serial.Serial | None = None
        self._slave: int | None = None
        self._stderr: IO[bytes] | None = None
        self._failure: str | None = None

    def beside(self) -> list[Board]:
        """One more process for each other core."""
        boards = []
        for _ in range((os.cpu_count() or 1) - 1):
            board = copy.copy(self)
            PtyBoard.__init__(board, self.argv)
            boards.append(board)
        return boards

    def open(self) -> serial.Serial:
        self.close()
        self._failure = None
        try:
            import pty  # POSIX only
            import tty
        except ImportError:
            raise TinyswitchError(
                f"{self.name}: a {self.kind} board needs pseudo-terminals, which this system lacks; "
                "use Linux or macOS, or a real board"
            ) from None
        master, self._slave = pty.openpty()
        try:
            # The slave stays open here: while nobody has it open, the process would see its input end.
            tty.setraw(self._slave)
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close())
            self.process = self._start(master)
            self._port = serial.Serial(os.ttyname(self._slave), BAUD)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(master)
        return self._port

    def _start(self, master: int) -> subprocess.Popen[bytes]:
        try:
            # Its own session: Ctrl-C is for the host program, which then closes the board in order.
            return subprocess.Popen(
                self.argv, stdin=master, stdout=master, stderr=self._stderr, start_new_session=True
            )
        except OSError as error:
            raise TinyswitchError(
                f"{self.argv[0]}: cannot be started: {error.strerror}; build it again"
            ) from None

    def close(self) -> None:
        self._failure = self._failure or self._describe_end()
        if self._port is not None:
            self._port.close()
            self._port = None
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None
        if self.process is not None:
            _stop(self.process)
            self.process = None
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def failure(self) -> str | None:
        if self.process is not None:
            # The port hangs up a moment before the process is gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_SECONDS)
            self._failure = self._describe_end()
        return self._failure

    def _describe_end(self) -> str | None:
        """The process's last words, and its exit status; None while it runs."""
        code = self.process.poll() if self.process is not None else None
        if code is None or self._stderr is None:
            return None
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        if lines:
            return lines[-1].strip()
        if code < 0:
            return f"{self.name} board stopped by signal {-code} ({signal.strsignal(-code)})"
        return f"{self.name} board ended with exit status {code}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Its input has ended, so it should end by itself; else it is made to."""
    for make_it in (lambda: None, process.terminate, process.kill):
        make_it()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return
