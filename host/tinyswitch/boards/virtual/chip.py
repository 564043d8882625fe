"""What a chip is to the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.peripheral import Peripheral

SUPPLY_MV = 3300  # unless told otherwise


@dataclass(frozen=True)
class Memory:
    """``bases``: every address range at which the same bytes appear; sizes in bytes. ``factory``: offsets and
    what the chip has there when it is new."""

    name: str
    bases: tuple[int, ...]
    size: int
    writable: bool
    factory: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True)
class Chip:
    """One microcontroller: its memories and peripherals, as a board file beside this one describes them.

    ``peripherals`` makes all of them for a machine; one of them, the clock controller, sets
    ``machine.clocks`` to itself. ``boot``: where the vector table is at reset.
    """

    name: str
    cpu: int  # unicorn.arm_const.UC_CPU_ARM_*
    single_precision: bool  # the FPU has no double-precision arithmetic
    memories: tuple[Memory, ...]
    boot: int
    peripherals: Callable[[Machine], list[Peripheral]]
