"""Virtual boards: the firmware's own ELF in an emulator. docs/virtual-board.md says what is modelled."""

from __future__ import annotations

import sys
from pathlib import Path

from tinyswitch.boards.pty import PtyBoard
from tinyswitch.boards.virtual.chip import SUPPLY_MV


class VirtualBoard(PtyBoard):
    """The STM32F746 with the firmware ``elf``, in a process of its own, its USART1 on a pseudo-terminal.

    :meth:`failure` says, once it has stopped by itself, what the firmware did wrong: the address, the program
    counter and the function.
    """

    name = "stm32f746"
    kind = "virtual"
    cycle_model = "virtual board: one cycle per instruction executed; not a timing of the real chip"
    counts_instructions = True

    def __init__(self, elf: Path, supply_mv: int = SUPPLY_MV):
        """``supply_mv``: the chip's supply voltage, which the firmware can measure."""
        super().__init__(
            [sys.executable, "-m", "tinyswitch.boards.virtual", elf, "--supply-mv", str(supply_mv)]
        )
