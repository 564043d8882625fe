"""A native board with the test models of link_firmware/, and a line that goes wrong."""

from __future__ import annotations

import atexit
import functools
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import serial

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
WATCH_BAUD = "-Wl,--wrap=board_set_baud"  # for firmware(): its stderr tells every change of speed
INCLUDES = [f"-I{FIRMWARE / folder}" for folder in ("engine", "switcher", "link", "boards")]


@functools.cache
def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc")
    if found is None:
        pytest.skip("no C compiler on the PATH")
    return found


@functools.cache
def build_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tinyswitch-link-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def compile_c(name: str, sources: list[Path], *flags: str) -> Path:
    out = build_folder() / name
    subprocess.run([compiler(), *FLAGS, *flags, *INCLUDES, *map(str, sources), "-o", str(out)], check=True)
    return out


@functools.cache
def firmware(*flags: str, table: str = "model_table") -> Path:
    """The image application for this machine with the models of a file in link_firmware/."""
    sources = [
        FIRMWARE / "engine/engine.c",
        *sorted((FIRMWARE / "switcher").glob("*.c")),
        *sorted((FIRMWARE / "link").glob("*.c")),
        FIRMWARE / "apps/image/main.c",
        *sorted((FIRMWARE / "boards/native").glob("*.c")),
        ROOT / f"tests/link_firmware/{table}.c",
    ]
    if WATCH_BAUD in flags:
        sources.append(ROOT / "tests/link_firmware/watch_baud.c")
    name = f"firmware-{table}" + "".join(re.sub("[^a-z]", "_", f) for f in flags)
    return compile_c(name, sources, "-O2", *flags)


def image(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(limits.min, limits.max + 1, shape).astype(dtype)


Fault = Callable[[random.Random, list[bytes]], list[bytes]]


class FaultyPort:
    """A serial port whose line treats what passes it, in both directions, with ``fault``.

    ``fault`` gets the bytes between zeros of one transfer, zeros included, and returns what becomes of them.
    """

    def __init__(self, port: serial.Serial, fault: Fault, seed: int):
        self._port = port
        self._fault = fault
        self._random = random.Random(seed)
        self.faults = 0
        self.passed = b""

    def __getattr__(self, name: str):
        return getattr(self._port, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("timeout", "write_timeout", "baudrate"):
            setattr(self._port, name, value)
        else:
            super().__setattr__(name, value)

    def _treat(self, data: bytes) -> bytes:
        frames = [part + b"\0" for part in data.split(b"\0")]
        frames[-1] = frames[-1][:-1]
        treated = b"".join(self._fault(self._random, frames))
        self.faults += treated != data
        return treated

    def write(self, data: bytes) -> None:
        self.passed += data
        self._port.write(self._treat(data))

    def read(self, size: int) -> bytes:
        return self._treat(self._port.read(size))
