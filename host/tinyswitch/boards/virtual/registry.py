"""The virtual boards by name."""

from __future__ import annotations

from tinyswitch.boards.virtual.chip import Chip
from tinyswitch.boards.virtual.nrf52840 import NRF52840
from tinyswitch.boards.virtual.stm32f746 import STM32F746

CHIPS: dict[str, Chip] = {"stm32f746": STM32F746, "nano33ble": NRF52840, "nano33ble-bare": NRF52840}
