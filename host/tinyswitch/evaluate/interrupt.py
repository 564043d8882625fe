"""Ctrl-C as something to tell the user."""

from tinyswitch.errors import TinyswitchError


class Interrupted(TinyswitchError):
    """The user stopped it; the text says what is kept."""

    exit_code = 130  # what a shell gives a program ended by SIGINT

    def __init__(self, done: int, count: int, where: str | None = None, what: str = "answered"):
        kept = f", kept in {where}; the same command goes on" if where else ""
        super().__init__(f"interrupted: {done} of {count} {what}{kept}")
