"""Puts a firmware on an Arduino with a USB bootloader that speaks to BOSSA's command-line program."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import failure
import serial
from failure import FlashError, told
from serial.tools import list_ports

TOUCH_BAUD = 1200  # opened at that speed, a port makes an Arduino sketch start the bootloader
TOUCH_SECONDS = 8
POLL_SECONDS = 0.2
TWICE = "press the reset button twice, quickly (the orange LED then pulses), and try again"
RELEASES = "https://github.com/arduino/BOSSA/releases"
UNSUPPORTED = re.compile(r"unsupported", re.IGNORECASE)


def upload(
    *,
    image: Path,
    package: str | None,
    bootloader: Collection[str],
    sketch: Collection[str],
    port: str | None,
) -> None:
    """Writes ``image`` behind the bootloader; ends the process with a message if that cannot be.

    ``package``: folder of PlatformIO's bossac, None: not installed. ``bootloader``, ``sketch``: "VID:PID" of
    the board's own USB port while either runs. ``port``: the one to use, if several boards are connected; a
    port that is no Arduino's is the link's, and says nothing about the board's own.
    """
    with told():
        program = _program(package)
        _write(program, image, _bootloader_port(bootloader, sketch, port))


def _program(package: str | None) -> str:
    own = Path(package) / "bossac" if package else None
    program = str(own) if own and own.is_file() else shutil.which("bossac")
    if program is None:
        raise FlashError(
            f"no bossac on the PATH, and PlatformIO's registry does not answer; get Arduino's: {RELEASES}"
        )
    return program


def _id(port: Any) -> str:
    return f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None else ""


def _ports(ids: Collection[str]) -> list[str]:
    return sorted(p.device for p in list_ports.comports() if _id(p) in ids)


def _bootloader_port(bootloader: Collection[str], sketch: Collection[str], port: str | None) -> str:
    """The port of the bootloader, which is started if a sketch runs."""
    there = _ports([*bootloader, *sketch])
    chosen = [p for p in there if port and os.path.realpath(port) == os.path.realpath(p)] or there
    if not chosen:
        raise FlashError(
            f"no Arduino bootloader on USB: connect the board's own USB port, {TWICE}; "
            "a firmware of this project leaves USB off, so only the button starts the bootloader"
        )
    if len(chosen) > 1:
        raise FlashError(f"several Arduinos are connected; give one as --port: {', '.join(chosen)}")
    if chosen[0] in _ports(bootloader):
        return chosen[0]
    others = set(_ports(bootloader))
    _touch(chosen[0])
    return _wait_for(bootloader, others, chosen[0])


def _touch(port: str) -> None:
    try:
        with serial.Serial(port, TOUCH_BAUD) as line:
            line.dtr = False
    except OSError as error:
        if isinstance(error, PermissionError) or "Permission" in str(error):
            raise FlashError(f"{port}: no permission; {_permission()}") from None
        if "busy" in str(error).lower():
            raise FlashError(f"{port}: busy; close the program that has opened it") from None
        # some boards are gone before the port is set up: the next step notices if this one isn't


def _permission() -> str:
    return "sudo usermod -aG dialout $USER, then log in again"


def _wait_for(ids: Collection[str], others: set[str], port: str) -> str:
    deadline = time.monotonic() + TOUCH_SECONDS
    while time.monotonic() < deadline:
        new = set(_ports(ids)) - others
        if new:
            return new.pop()
        time.sleep(POLL_SECONDS)
    raise FlashError(f"{port}: the bootloader did not appear within {TOUCH_SECONDS} s; {TWICE}")


def _write(program: str, image: Path, port: str) -> None:
    if not os.access(port, os.R_OK | os.W_OK):
        raise FlashError(f"{port}: no permission; {_permission()}")
    # BOSSA puts /dev/ in front of the name; the offset is the bootloader's own affair
    command = [program, "-d", f"--port={Path(port).name}", "-U", "-i", "-e", "-w", str(image), "-R"]
    try:
        done = failure.run(command, "bossac", TWICE)
    except OSError as error:
        raise FlashError(f"{program}: {error.strerror}; get Arduino's: {RELEASES}") from None
    print(done.stdout)
    if done.returncode == 0:
        return
    lines = [line for line in done.stdout.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
    if UNSUPPORTED.search(done.stdout):
        raise FlashError(
            f"{program} does not know the nRF52840 (only Arduino's own does); get that: {RELEASES}"
        )
    raise FlashError(f"bossac: {_told(lines)} ({port}); {TWICE}")


def _told(lines: list[str]) -> str:
    """What bossac says went wrong, among what it shows of its work."""
    wrong = [line for line in lines if re.search(r"no device|fail|error|cannot|could not", line, re.I)]
    return (wrong or lines)[-1].strip()
