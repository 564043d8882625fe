"""The virtual boards by name."""

from __future__ import annotations

from importlib import import_module

from tinyswitch.boards.virtual.chip import Chip

_CHIPS = {  # board: package beside this file, its chip
    "stm32f746": ("stm32f746", "STM32F746"),
    "nano33ble": ("nrf52840", "NRF52840"),
    "nano33ble-bare": ("nrf52840", "NRF52840"),
}
NAMES = tuple(_CHIPS)


def chip(board: str) -> Chip:
    """The chip of a board of NAMES; loads no other's peripherals."""
    package, name = _CHIPS[board]
    return getattr(import_module(f"tinyswitch.boards.virtual.{package}"), name)
