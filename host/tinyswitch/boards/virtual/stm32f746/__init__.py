"""The STM32F746 (RM0385): memories, and the peripherals that this project's firmware uses."""

from __future__ import annotations

import sys

import numpy as np
from unicorn import arm_const

from tinyswitch.boards.virtual.chip import Chip, Memory, Options
from tinyswitch.boards.virtual.cortexm.core import Core
from tinyswitch.boards.virtual.machine import Machine
from tinyswitch.boards.virtual.peripheral import Peripheral
from tinyswitch.boards.virtual.stm32f746.adc import CALIBRATION, Adc
from tinyswitch.boards.virtual.stm32f746.dma import Dma2
from tinyswitch.boards.virtual.stm32f746.flash import Flash
from tinyswitch.boards.virtual.stm32f746.fmc import Fmc
from tinyswitch.boards.virtual.stm32f746.gpio import PORTS, Gpio
from tinyswitch.boards.virtual.stm32f746.i2c import I2c3
from tinyswitch.boards.virtual.stm32f746.iwdg import Iwdg
from tinyswitch.boards.virtual.stm32f746.ltdc import Ltdc
from tinyswitch.boards.virtual.stm32f746.pwr import Pwr
from tinyswitch.boards.virtual.stm32f746.rcc import Rcc
from tinyswitch.boards.virtual.stm32f746.sai import Sai2
from tinyswitch.boards.virtual.stm32f746.tim import Tim7
from tinyswitch.boards.virtual.stm32f746.usart import Usart1
from tinyswitch.boards.virtual.stm32f746.wm8994 import FAULTS, Wm8994

FLASH_BYTES, RAM_BYTES, ITCM_BYTES = 1 << 20, 320 << 10, 16 << 10
FACTORY, FACTORY_BYTES = 0x1FF0F000, 4 << 10  # only the calibration values; the boot program isn't there
VREFINT_CAL = 0x1FF0F44A  # data sheet DS10916
CORE = Core(interrupts=98, priority_bits=4, systick_divider=8, systick_sleeps=False, m7=True)


def _codec(options: Options) -> Wm8994:
    """Raises TinyswitchError if what is to be played isn't a WAV file, or the fault unknown."""
    fault = FAULTS.parse(options.codec_fault) if options.codec_fault else None
    if options.audio is None:
        return Wm8994(np.empty(0, np.int16), fault)
    from tinyswitch.keywords import wav  # here: it takes as long as all the rest of the virtual board

    sound = wav.read(options.audio)
    wav.say([sound], lambda line: print(line, file=sys.stderr))
    return Wm8994(sound.samples, fault)


def _peripherals(machine: Machine) -> list[Peripheral]:
    flash, pwr = Flash(machine), Pwr(machine)
    rcc = Rcc(machine, flash, pwr)
    dma = Dma2(machine)
    ports = {port: Gpio(machine, port) for port in PORTS}
    codec = _codec(machine.options)
    return [
        rcc,
        flash,
        pwr,
        Iwdg(machine),
        Tim7(machine),
        Adc(machine),
        *ports.values(),
        dma,
        Usart1(machine, dma.streams[2]),
        I2c3(machine, ports["H"], codec),
        Sai2(machine, rcc, ports, dma.streams[7], codec),
        Fmc(machine, ports),
        Ltdc(machine, rcc, ports),
        *CORE.peripherals(machine),
    ]


STM32F746 = Chip(
    name="STM32F746",
    cpu=arm_const.UC_CPU_ARM_CORTEX_M7,
    single_precision=True,
    memories=(
        Memory("flash", (0x08000000, 0x00200000), FLASH_BYTES, writable=False),
        Memory("DTCM, SRAM1 and SRAM2", (0x20000000,), RAM_BYTES, writable=True),
        Memory("ITCM RAM", (0x00000000,), ITCM_BYTES, writable=True),
        Memory(
            "factory values",
            (FACTORY,),
            FACTORY_BYTES,
            writable=False,
            factory=((VREFINT_CAL - FACTORY, CALIBRATION.to_bytes(2, "little")),),
        ),
    ),
    boots=(0x08000000,),
    peripherals=_peripherals,
    supply_limits=(1710, 3600),  # DS10916, general operating conditions
    display=True,
    microphones=True,
)
