"""Boards on a USB cable."""

from __future__ import annotations

import errno
import os
import stat

import serial
from serial.tools import list_ports

from tinyswitch.boards.board import BAUD, Board
from tinyswitch.errors import TinyswitchError

# ST-LINK/V2-1 and V3 of the discovery boards, as (vendor, product)
USB_IDS = ((0x0483, 0x374B), (0x0483, 0x3752), (0x0483, 0x374E))
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


def find() -> list[str]:
    """Paths of the ports that belong to a supported board, by USB id."""
    return sorted(p.device for p in list_ports.comports() if (p.vid, p.pid) in USB_IDS)


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
