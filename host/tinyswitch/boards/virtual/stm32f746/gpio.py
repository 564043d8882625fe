"""General-purpose I/O (RM0385, 6.4). What is at a pin asks the port how it is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.peripheral import Peripheral, Register

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine

ALL = 0xFFFFFFFF
PORTS = "ABCDEFGHIJK"

# MODER, OSPEEDR and PUPDR after reset, where they aren't 0: the debugger's pins
RESET = {
    "A": {"MODER": 0xA8000000, "OSPEEDR": 0x0C000000, "PUPDR": 0x64000000},
    "B": {"MODER": 0x00000280, "OSPEEDR": 0x000000C0, "PUPDR": 0x00000100},
}


class Gpio(Peripheral):
    """One port. ``outside``: by pin, the level that what is wired to it makes; None, or no entry: none.
    ``watchers``: called after a change of what the pins do."""

    registers: ClassVar = {
        0x00: Register("MODER", 0, ALL),
        0x04: Register("OTYPER", 0, 0xFFFF),
        0x08: Register("OSPEEDR", 0, ALL),
        0x0C: Register("PUPDR", 0, ALL),
        0x10: Register("IDR"),
        0x14: Register("ODR", 0, 0xFFFF),
        0x18: Register("BSRR", 0, ALL, readable=False),
        0x20: Register("AFRL", 0, ALL),
        0x24: Register("AFRH", 0, ALL),
    }

    def __init__(self, machine: Machine, port: str):
        number = PORTS.index(port)
        self._port = port
        self.outside: dict[int, Callable[[], int | None]] = {}
        self.watchers: list[Callable[[], None]] = []
        self.name = f"GPIO{port}"
        self.base = 0x40020000 + 0x400 * number
        self.clock = ("AHB1ENR", number)
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self.values.update(RESET.get(self._port, {}))

    def write_MODER(self, value: int) -> None:
        self.values["MODER"] = value
        self._changed()

    def write_ODR(self, value: int) -> None:
        self.values["ODR"] = value & 0xFFFF
        self._changed()

    def write_BSRR(self, value: int) -> None:
        self.values["ODR"] = (self.values["ODR"] & ~(value >> 16) | value) & 0xFFFF
        self._changed()

    def _changed(self) -> None:
        for watcher in self.watchers:
            watcher()

    def read_IDR(self) -> int:
        return sum(self._level(pin) << pin for pin in range(16))

    def _level(self, pin: int) -> int:
        """An output reads as driven; an input as what is outside makes it, or pulled up, else low."""
        if self.mode(pin) == 1:
            return self.values["ODR"] >> pin & 1
        outside = self.outside[pin]() if pin in self.outside else None
        return int(self.values["PUPDR"] >> 2 * pin & 3 == 1) if outside is None else outside

    def mode(self, pin: int) -> int:
        """0 input, 1 output, 2 alternate function, 3 analog."""
        return self.values["MODER"] >> 2 * pin & 3

    def driven_high(self, pin: int) -> bool:
        """Whether ``pin`` is an output that is high."""
        return self.mode(pin) == 1 and bool(self.values["ODR"] >> pin & 1)

    def alternate(self, pin: int) -> int | None:
        """Number of the alternate function that has ``pin``; None if none has."""
        if self.mode(pin) != 2:
            return None
        return self.values["AFRH" if pin >= 8 else "AFRL"] >> 4 * (pin & 7) & 0xF
