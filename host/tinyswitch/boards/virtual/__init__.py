"""Virtual boards: the firmware's own ELF in an emulator. docs/virtual-board.md says what is modelled."""

from __future__ import annotations

import sys
from pathlib import Path

from tinyswitch.boards.pty import PtyBoard
from tinyswitch.boards.virtual.chip import Options


class VirtualBoard(PtyBoard):
    """The board ``name`` with the firmware ``elf``, in a process of its own, its link on a pseudo-terminal.

    :meth:`failure` says, once it has stopped by itself, what the firmware did wrong: the address, the program
    counter and the function.
    """

    kind = "virtual"
    cycle_model = "virtual board: one cycle per instruction executed; not a timing of the real chip"
    counts_instructions = True

    def __init__(self, elf: Path, name: str = "stm32f746", options: Options | None = None):
        """``name``: a key of :data:`tinyswitch.boards.virtual.registry.CHIPS`."""
        self.name = name
        super().__init__(
            [sys.executable, "-m", "tinyswitch.boards.virtual", "--board", name, *_words(options), elf]
        )


def _words(options: Options | None) -> list[str]:
    """The command line that says ``options``."""
    if options is None:
        return []
    words = ["--supply-mv", str(options.supply_mv)]
    if options.motion:
        words += ["--motion", str(options.motion)]
    if options.motion_fast:
        words += ["--motion-fast"]
    if options.sensor_fault:
        words += ["--sensor-fault", options.sensor_fault]
    if options.audio:
        words += ["--audio", str(options.audio)]
    if options.audio_fast:
        words += ["--audio-fast"]
    if options.codec_fault:
        words += ["--codec-fault", options.codec_fault]
    return words
