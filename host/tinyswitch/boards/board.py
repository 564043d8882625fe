"""What a board is to the host: a serial port that speaks the link protocol, and a few facts for reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import serial

BAUD = 115200  # every board starts at this speed


class Board(ABC):
    """A board that can be opened: ``with connect(...) as board: client = Client(board.open())``.

    The context manager only closes what was opened.
    """

    name: str  # "stm32f746" | "nano33ble" | ... ; tinyswitch.boards.names
    kind: str  # "real" | "virtual" | "native"
    cycle_model: str  # one sentence for reports: how its cycle counter advances
    counts_instructions: bool = False  # True: a cycle is exactly one instruction

    @property
    def label(self) -> str:
        """The board's name, and of which kind it is."""
        return self.name if self.name == self.kind else f"{self.name} ({self.kind})"

    @abstractmethod
    def open(self) -> serial.Serial:
        """Starts the board where it has to be started, and opens its link at 115,200 baud.

        Raises :class:`~tinyswitch.errors.TinyswitchError` that names the port or the program.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of the port and of whatever was started; harmless if it isn't open."""

    def failure(self) -> str | None:
        """One line on why the board stopped by itself; None while it runs or where nobody can know."""
        return None

    def beside(self) -> Sequence[Board]:
        """Boards of the same kind and firmware that may share the work: none, unless a board is a process."""
        return ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
