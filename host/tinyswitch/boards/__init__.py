"""Boards: real, virtual and native, reached through a serial port and nothing else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tinyswitch.boards import names
from tinyswitch.boards.board import Board
from tinyswitch.boards.native import NativeBoard
from tinyswitch.boards.real import RealBoard, find, find_arduino
from tinyswitch.errors import TinyswitchError

if TYPE_CHECKING:
    from tinyswitch.firmware import Build

__all__ = ["Board", "connect"]


def connect(board: str, port: str, build: Build) -> Board:
    """The board named ``board`` at ``port``: ``auto``, ``virtual`` or a path; not yet opened.

    ``auto`` is the board that is plugged in, else the virtual one that runs ``build``'s firmware. A native
    board has no port. Raises TinyswitchError for a board or a port that there cannot be.
    """
    if board == names.NATIVE:
        if port not in ("auto", "virtual"):
            raise TinyswitchError(f"--port {port}: a native board is a program and has none; leave it out")
        return NativeBoard(build.elf)
    if board not in names.EMBEDDED:
        raise TinyswitchError(f"--board {board}: no such board; there are {names.listed()}")
    if port == "auto":
        port = _plugged_in(board) or "virtual"
    if port == "virtual":
        from tinyswitch.boards.virtual import VirtualBoard  # loads the emulator

        return VirtualBoard(build.elf, board)
    return RealBoard(board, port)


def _plugged_in(board: str) -> str | None:
    """The port of the only real board; None, with a notice, if there is none."""
    ports = find(board)
    if len(ports) > 1:
        raise TinyswitchError(f"several boards are plugged in; give one as --port: {', '.join(ports)}")
    if not ports:
        print(f"{_why_none(board)}: using the virtual board", file=sys.stderr)
        return None
    return ports[0]


def _why_none(board: str) -> str:
    if board.startswith("nano33ble") and find_arduino():
        return (
            f"{board}: its link is on the pins TX and RX, not on USB; give the serial adapter there as --port"
        )
    return "no board is plugged in"
