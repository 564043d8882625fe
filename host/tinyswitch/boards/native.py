"""The firmware compiled for this machine: same engine, same link, as a process."""

from __future__ import annotations

from pathlib import Path

from tinyswitch.boards.pty import PtyBoard


class NativeBoard(PtyBoard):
    """Runs the program at ``elf``; its clock is this machine's, in nanoseconds."""

    name = "native"
    kind = "native"
    cycle_model = "cycles are nanoseconds of this machine's clock; they say nothing about a microcontroller"

    def __init__(self, elf: Path):
        super().__init__([elf])
