"""General-purpose I/O (RM0385, 6.4): registers only; nothing is connected to the pins but USART1."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.peripheral import Peripheral, Register

ALL = 0xFFFFFFFF


class _Gpio(Peripheral):
    RESET: ClassVar[dict[str, int]] = {}  # MODER, OSPEEDR and PUPDR differ between ports

    def reset(self) -> None:
        super().reset()
        self.values.update(self.RESET)

    def write_BSRR(self, value: int) -> None:
        self.values["ODR"] = (self.values["ODR"] & ~(value >> 16) | value) & 0xFFFF

    def read_IDR(self) -> int:
        """An output reads as driven; an input as pulled up, else low."""
        level = 0
        for pin in range(16):
            mode = self.values["MODER"] >> 2 * pin & 3
            pull = self.values["PUPDR"] >> 2 * pin & 3
            level |= (self.values["ODR"] >> pin & 1 if mode == 1 else int(pull == 1)) << pin
        return level

    def mode(self, pin: int) -> int:
        """0 input, 1 output, 2 alternate function, 3 analog."""
        return self.values["MODER"] >> 2 * pin & 3

    def alternate(self, pin: int) -> int:
        """Number of the alternate function chosen for ``pin``."""
        return self.values["AFRH" if pin >= 8 else "AFRL"] >> 4 * (pin & 7) & 0xF


_REGISTERS = {
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


class GpioA(_Gpio):
    name = "GPIOA"
    base = 0x40020000
    clock = ("AHB1ENR", 0)
    registers: ClassVar = _REGISTERS
    RESET: ClassVar = {"MODER": 0xA8000000, "OSPEEDR": 0x0C000000, "PUPDR": 0x64000000}


class GpioB(_Gpio):
    name = "GPIOB"
    base = 0x40020400
    clock = ("AHB1ENR", 1)
    registers: ClassVar = _REGISTERS
    RESET: ClassVar = {"MODER": 0x00000280, "OSPEEDR": 0x000000C0, "PUPDR": 0x00000100}
