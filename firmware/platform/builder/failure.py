"""Runs tools that upload; how an upload fails: in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SECONDS = 90  # a tool may take


class FlashError(Exception):
    """One line for the user."""


@contextmanager
def told() -> Iterator[None]:
    """A FlashError ends the process with its line."""
    try:
        yield
    except FlashError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(1)


def run(command: Sequence[str], name: str, way_out: str) -> subprocess.CompletedProcess[str]:
    """Runs a tool, stderr within stdout; raises FlashError if it does not end, OSError if it cannot begin."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FlashError(f"{name} did not finish in {SECONDS} s; {way_out}") from None
