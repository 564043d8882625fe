"""Boards on a USB cable."""

from __future__ import annotations

import errno
import os
import stat

import serial
from serial.tools import list_ports

from tinyswitch.boards.board import BAUD, Board
from tinyswitch.errors import TinyswitchError

# (vendor, product) of the ports that lead to a board's link: the STM32F746G-DISCO's ST-LINK/V2-1 or V3. The
# Nano 33 BLE Sense has its link on two pins, so there the port is some USB-serial adapter's.
LINK_IDS = {"stm32f746": ((0x0483, 0x374B), (0x0483, 0x3752), (0x0483, 0x374E))}
# its own USB port: the bootloader's, and a sketch's
ARDUINO_IDS = ((0x2341, 0x005A), (0x2341, 0x805A))
BUSY = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)  # the last two: another tinyswitch holds the lock


class RealBoard(Board):
    """A board at a serial port that exists already."""

    kind = "real"
    cycle_model = "cycles are counted by the processor itself (DWT cycle counter)"

    def __init__(self, name: str, path: str):
        self.name = name
        self.path = path
        self._port: serial.Serial | None = None

    def open(self) -> serial.Serial:
        self.close()
        try:
            self._port = serial.Serial(self.path, BAUD, exclusive=True if os.name == "posix" else None)
        except (OSError, ValueError) as error:
            raise TinyswitchError(f"{self.path}: {_explain(self.path, error)}") from None
        return self._port

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None


def find(board: str) -> list[str]:
    """Paths of the ports that lead to a ``board``'s link, by USB id; those of an adapter cannot be known."""
    return _ports(LINK_IDS.get(board, ()))


def find_arduino() -> list[str]:
    """Paths of the Nano 33 BLE Sense's own USB ports, through which its bootloader is reached."""
    return _ports(ARDUINO_IDS)


def _ports(ids: tuple[tuple[int, int], ...]) -> list[str]:
    return sorted(p.device for p in list_ports.comports() if (p.vid, p.pid) in ids)


def _explain(path: str, error: Exception) -> str:
    """Why a port cannot be opened, and the way out."""
    code = getattr(error, "errno", None)
    if code in (errno.EACCES, errno.EPERM):
        return f"no permission; {_permission(path)}"
    if code in BUSY:
        return "busy: another program has opened it (a terminal, another run?); close that one"
    if code == errno.ENOENT or not os.path.exists(path):
        there = ", ".join(p.device for p in list_ports.comports()) or "none"
        return f"no such port (there are: {there}); check the cable, or give another --port"
    # pyserial wraps the errors of setting up a port without their number
    if code in (errno.EISDIR, errno.ENODEV, errno.ENXIO) or "configure" in str(error):
        return "not a serial port; give another --port"
    return f"cannot be opened ({error}); give another --port"


def _permission(path: str) -> str:
    """How to get the right to open a port: mostly by joining its group."""
    try:
        import grp  # POSIX only

        owner = os.stat(path)
        if owner.st_mode & stat.S_IWGRP:
            group = grp.getgrgid(owner.st_gid).gr_name
            return f"'sudo usermod -aG {group} $USER', then log in again"
    except (ImportError, OSError, KeyError):
        pass
    return f"'sudo chmod a+rw {path}' helps until it is unplugged"
