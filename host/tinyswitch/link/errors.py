"""What can go wrong between host and board."""

from __future__ import annotations

from tinyswitch.errors import TinyswitchError


class LinkError(TinyswitchError):
    """The board answered with an error (``code`` of docs/link.md), or broke the protocol (None)."""

    def __init__(self, text: str, code: int | None = None):
        super().__init__(text)
        self.code = code


class LinkLost(LinkError):
    """No answer: the port vanished, nobody listens, or what listens speaks something else."""


class BoardReset(LinkLost):
    """The board restarted in the middle; ``cause`` says why, with the report of its fault handler."""

    def __init__(self, text: str, cause: str):
        super().__init__(text)
        self.cause = cause
