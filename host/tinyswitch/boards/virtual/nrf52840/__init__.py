"""The nRF52840 on the Arduino Nano 33 BLE Sense (product specification v1.1): memories, and the peripherals
that this project's firmware uses."""

from __future__ import annotations

from unicorn import arm_const

from tinyswitch.boards.virtual.chip import Chip, Memory
from tinyswitch.boards.virtual.cortexm.core import Core
from tinyswitch.boards.virtual.cortexm.exceptions import IRQ0
from tinyswitch.boards.virtual.machine import Machine
from tinyswitch.boards.virtual.nrf52840.clock import Clock
from tinyswitch.boards.virtual.nrf52840.gpio import P0, P1
from tinyswitch.boards.virtual.nrf52840.nordic import RAM, RAM_BYTES
from tinyswitch.boards.virtual.nrf52840.nvmc import Nvmc
from tinyswitch.boards.virtual.nrf52840.ppi import Ppi
from tinyswitch.boards.virtual.nrf52840.saadc import Saadc
from tinyswitch.boards.virtual.nrf52840.sensors import Sensors
from tinyswitch.boards.virtual.nrf52840.timer import INSTANCES, Timer
from tinyswitch.boards.virtual.nrf52840.twim import Twim1
from tinyswitch.boards.virtual.nrf52840.uarte import Uarte0
from tinyswitch.boards.virtual.nrf52840.usbd import IRQ as USBD_IRQ
from tinyswitch.boards.virtual.nrf52840.usbd import Usbd
from tinyswitch.boards.virtual.nrf52840.wdt import Wdt
from tinyswitch.boards.virtual.peripheral import Peripheral

FLASH_BYTES, PAGE = 1 << 20, 4 << 10
CODE_RAM = 0x00800000  # the RAM as the instruction bus sees it (4.2.3)
FICR, UICR = 0x10000000, 0x10001000
APPLICATION = 0x10000  # behind the Arduino bootloader
# SysTick's clock is the processor's, which stands in sleep
CORE = Core(interrupts=48, priority_bits=3, systick_divider=None, systick_sleeps=True, m7=False)


def _word(offset: int, value: int) -> tuple[int, bytes]:
    return offset, value.to_bytes(4, "little")


FACTORY = (  # 4.4: FICR of an nRF52840-QIAA
    _word(0x010, PAGE),  # CODEPAGESIZE
    _word(0x014, FLASH_BYTES // PAGE),  # CODESIZE
    _word(0x060, 0x7E57AB1E),  # DEVICEID, random on the chip
    _word(0x064, 0x00031415),
    _word(0x100, 0x52840),  # INFO.PART
    _word(0x104, 0x41414430),  # INFO.VARIANT: AAD0
    _word(0x108, 0x2004),  # INFO.PACKAGE: QI
    _word(0x10C, RAM_BYTES >> 10),  # INFO.RAM
    _word(0x110, FLASH_BYTES >> 10),  # INFO.FLASH
)


def _peripherals(machine: Machine) -> list[Peripheral]:
    ppi = Ppi(machine)
    p0, p1 = P0(machine), P1(machine)
    return [
        Clock(machine, ppi),
        p0,
        p1,
        Twim1(machine, ppi, Sensors(machine, p0, p1)),
        Uarte0(machine, ppi),
        *(Timer(machine, ppi, number) for number in range(len(INSTANCES))),
        Saadc(machine, ppi),
        Wdt(machine, ppi),
        Nvmc(machine),
        Usbd(machine),
        ppi,
        *CORE.peripherals(machine),
    ]


def _leave_bootloader(machine: Machine) -> None:
    """The bootloader has started the crystal, and leaves USB on with its interrupt enabled."""
    for peripheral in machine.peripherals:
        if isinstance(peripheral, Clock):
            peripheral.start_crystal()
        elif isinstance(peripheral, Usbd):
            peripheral.leave_on()
    machine.exceptions.enabled.add(IRQ0 + USBD_IRQ)


NRF52840 = Chip(
    name="nRF52840",
    cpu=arm_const.UC_CPU_ARM_CORTEX_M4,
    single_precision=True,
    memories=(
        Memory("flash", (0x00000000,), FLASH_BYTES, writable=False),
        Memory("RAM", (RAM, CODE_RAM), RAM_BYTES, writable=True),
        Memory("FICR", (FICR,), PAGE, writable=False, factory=FACTORY),
        Memory("UICR", (UICR,), PAGE, writable=False),
    ),
    boots=(0x00000000, APPLICATION),
    peripherals=_peripherals,
    supply_limits=(1700, 3600),  # 5.2, operating conditions
    handover=_leave_bootloader,
    motion_sensor=True,
)
