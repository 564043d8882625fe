"""What a chip is to the machine, and how the user can set up the board around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.peripheral import Peripheral

SUPPLY_MV = 3300  # unless told otherwise


@dataclass(frozen=True)
class Options:
    """What the user sets: the ``--`` options of ``python -m tinyswitch.boards.virtual``.

    ``supply_mv``: the chip's supply voltage. For boards with a motion sensor: ``motion``, the recording that
    is played into it; ``motion_fast``, time need not be the wall's meanwhile; ``sensor_fault``, what is wrong
    with it. For boards with microphones: ``audio``, the WAV file that they hear; ``audio_fast``, as
    ``motion_fast``; ``codec_fault``, what is wrong with their codec. For boards with a display:
    ``screenshot``, the PNG file that its picture is written to, at the start, at SIGUSR1 and at the end.
    """

    supply_mv: int = SUPPLY_MV
    motion: Path | None = None
    motion_fast: bool = False
    sensor_fault: str | None = None
    audio: Path | None = None
    audio_fast: bool = False
    codec_fault: str | None = None
    screenshot: Path | None = None


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
    """One microcontroller: its memories and peripherals, as a folder beside this file describes them.

    ``peripherals`` makes all of them for a machine; one of them, the clock controller, sets
    ``machine.clocks`` to itself. ``boots``: where the vector table may be; the first of these places at which
    the firmware has something is taken. ``handover``: makes of a machine that was reset what a bootloader
    leaves, if the firmware isn't at the first of ``boots``. ``supply_limits``: least and most, mV.
    ``motion_sensor``, ``microphones``, ``display``: the board has them, so that the options about them make
    sense.
    """

    name: str
    cpu: int  # unicorn.arm_const.UC_CPU_ARM_*
    single_precision: bool  # the FPU has no double-precision arithmetic
    memories: tuple[Memory, ...]
    boots: tuple[int, ...]
    peripherals: Callable[[Machine], list[Peripheral]]
    supply_limits: tuple[int, int]
    handover: Callable[[Machine], None] | None = None
    motion_sensor: bool = False
    microphones: bool = False
    display: bool = False
