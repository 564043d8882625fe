"""Puts a firmware on a board with an ST-LINK: by OpenOCD, or by copying it to the board's USB drive."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import openocd
from failure import FlashError, told
from serial.tools import list_ports

DRIVE_SECONDS = 8  # the ST-LINK writes, then shows the drive again; FAIL.TXT says that it did not work


def flash(
    *,
    elf: Path,
    image: Path,
    openocd_board: str,
    openocd_package: str | None,
    drive: str,
    port: str | None,
    mounts: Path = Path("/proc/mounts"),
) -> None:
    """Uploads by the first way there is; ends the process with a message when there is none or it fails.

    ``port``: serial port of the board to use, if several are connected.
    """
    with told():
        if openocd.is_there():
            _by_openocd(elf, openocd_board, openocd_package, port)
        else:
            _by_drive(image, _mount_point(drive, mounts))


def _by_openocd(elf: Path, board: str, package: str | None, port: str | None) -> None:
    arguments = ["-f", board]
    serial = _serial_number(port)
    if serial:
        arguments += ["-c", f"adapter serial {serial}"]
    worked, output = openocd.run(elf, arguments, package)
    print(output)
    if not worked:
        raise FlashError(
            f"{openocd.reason(output)}; is the board connected (USB ST-LINK) and its port not in use?"
        )


def _serial_number(port: str | None) -> str | None:
    """The ST-LINK's serial number, which tells one connected board from another."""
    for known in list_ports.comports():
        if port and os.path.realpath(port) == os.path.realpath(known.device):
            return known.serial_number
    return None


def _mount_point(drive: str, mounts: Path) -> Path:
    """Where the drive labelled ``drive`` is mounted; automounters name the folder after the label."""
    for line in mounts.read_text().splitlines():
        # white space in a path is written \040 there
        folder = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[1]))
        if folder.name.startswith(drive):
            return folder
    raise FlashError(
        f"no OpenOCD on the PATH and no drive {drive} mounted; "
        "sudo apt-get install openocd, or mount the board's USB drive"
    )


def _by_drive(image: Path, folder: Path) -> None:
    """The ST-LINK programs the file as it arrives, so it goes there in one piece under its final name."""
    data = image.read_bytes()
    try:
        with open(folder / image.name, "wb", buffering=0) as file:
            written = file.write(data)
            if written != len(data):
                raise FlashError(f"{folder}: only {written} of {len(data)} bytes fit")
            os.fsync(file.fileno())
    except OSError as error:
        raise FlashError(f"{folder}: {error.strerror}; unplug the board and try again") from None
    print(f"Copied {len(data)} bytes to {folder}")
    failure = folder / "FAIL.TXT"
    deadline = time.monotonic() + DRIVE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.5)
        if failure.is_file():
            raise FlashError(f"{folder}: the ST-LINK says: {failure.read_text(errors='replace').strip()}")
