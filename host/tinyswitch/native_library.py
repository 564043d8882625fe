"""C files of the firmware as a shared library for Python: compiled at first use and when they change."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tinyswitch.errors import TinyswitchError
from tinyswitch.firmware.project import ROOT

FOLDER = ROOT / "build" / "native"
# Without contraction: a fused multiply-add would round differently from one board to the next.
CFLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-ffp-contract=off", "-shared", "-fPIC")


def load(name: str, sources: Sequence[Path]) -> ctypes.CDLL:
    """The library of ``sources`` (.c files), which is kept as build/native/NAME-HASH.so.

    The hash is of the sources, the headers in their folders and the flags. Raises TinyswitchError if there is
    no C compiler, it fails, or the folder cannot be written.
    """
    target = FOLDER / f"{name}-{_hash(sources)}.so"
    if not target.exists():
        _make(target, sources)
    return ctypes.CDLL(str(target))


def _hash(sources: Sequence[Path]) -> str:
    headers = {header for source in sources for header in source.parent.glob("*.h")}
    content = [path.read_bytes() for path in (*sources, *sorted(headers))]
    return hashlib.sha256(b"\0".join([*content, " ".join(CFLAGS).encode()])).hexdigest()[:16]


def _make(target: Path, sources: Sequence[Path]) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise TinyswitchError(f"{sources[0]}: no C compiler (cc) on PATH; install gcc or clang")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / target.name
            _compile(compiler, sources, made)
            made.replace(target)  # at once: another process may be doing the same
    except OSError as error:
        raise TinyswitchError(f"{target}: {error.strerror or error}; make the folder writable") from None


def _compile(compiler: str, sources: Sequence[Path], target: Path) -> None:
    command = [compiler, *CFLAGS, *map(str, sources), "-o", str(target)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        first = (run.stderr.strip().splitlines() or ["no message"])[0]
        raise TinyswitchError(f"{sources[0]}: {compiler} failed: {first}")
