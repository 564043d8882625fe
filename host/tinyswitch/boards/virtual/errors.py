"""What ends an emulation."""

from __future__ import annotations


class Halt(Exception):
    """The firmware did something that the chip does not allow or this model does not know; one line."""


class EndOfInput(Exception):
    """The host has closed the line and the firmware has nothing left to do: an orderly end."""


class Refused(Exception):
    """Raised by a peripheral about the access in progress; the machine adds address, pc and function."""
