"""How an upload fails: in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
