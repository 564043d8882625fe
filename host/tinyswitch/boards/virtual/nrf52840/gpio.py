"""General-purpose I/O (nRF52840 PS v1.1, 6.9): two ports, and what is wired to their pins."""

from __future__ import annotations

from collections.abc import Callable

from tinyswitch.boards.virtual.peripheral import Peripheral, Register

ALL = 0xFFFFFFFF
DIR, INPUT, PULL_DOWN, PULL_UP = 1 << 0, 1 << 1, 1, 3
OPEN_DRAIN = (6, 7)  # PIN_CNF.DRIVE: S0D1, H0D1
CONFIG = DIR | INPUT | 3 << 2 | 7 << 8
CONFIG_RESET = INPUT  # an input whose buffer is disconnected


class _Gpio(Peripheral):
    """SENSE, LATCH and the drive strengths of a 1 are not modelled."""

    pins: int
    first: int  # offset of OUT: the ports' registers lie in one page

    def __init__(self, machine):
        """``watchers`` are called after each change of OUT, DIR or PIN_CNF, and at reset. ``outside``: what
        is wired to a pin gives 0, 1, or None for nothing, so that the pin's pull decides."""
        self.watchers: list[Callable[[], None]] = []
        self.outside: dict[int, Callable[[], int | None]] = {}
        mask = (1 << self.pins) - 1
        at = self.first
        self.registers = {
            at + 0x00: Register("OUT", 0, mask),
            at + 0x04: Register("OUTSET", 0, mask),
            at + 0x08: Register("OUTCLR", 0, mask),
            at + 0x0C: Register("IN"),
            at + 0x10: Register("DIR", 0, mask),
            at + 0x14: Register("DIRSET", 0, mask),
            at + 0x18: Register("DIRCLR", 0, mask),
            **{at + 0x1FC + 4 * i: Register(f"PIN_CNF{i}", CONFIG_RESET, CONFIG) for i in range(self.pins)},
        }
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self._tell()

    def _tell(self) -> None:
        for watcher in self.watchers:
            watcher()

    def config(self, pin: int) -> int:
        """PIN_CNF of a pin, its DIR as in the register DIR."""
        return self.values[f"PIN_CNF{pin}"]

    def driven(self, pin: int) -> int | None:
        """The level that the pin drives; None: it is an input, or open drain and 1."""
        config, level = self.config(pin), self.values["OUT"] >> pin & 1
        if not config & DIR or (level and config >> 8 & 7 in OPEN_DRAIN):
            return None
        return level

    def level(self, pin: int) -> int:
        """The level at the pin. Where the pin and something outside drive it, low wins."""
        outside = self.outside.get(pin)
        levels = [v for v in (self.driven(pin), outside() if outside else None) if v is not None]
        return min(levels) if levels else int(self.config(pin) >> 2 & 3 == PULL_UP)

    def read_IN(self) -> int:
        """A pin whose input buffer is disconnected reads 0."""
        self.machine.catch_up()
        return sum(self.level(i) << i for i in range(self.pins) if not self.config(i) & INPUT)

    def write(self, offset: int, size: int, value: int) -> None:
        self.machine.catch_up()
        super().write(offset, size, value)
        name = self._find(offset, size)[0].name
        if name.startswith("PIN_CNF"):
            pin = int(name.removeprefix("PIN_CNF"))
            self.values["DIR"] = self.values["DIR"] & ~(1 << pin) | (value & DIR) << pin
        elif name.startswith("DIR"):
            for i in range(self.pins):
                old = self.values[f"PIN_CNF{i}"]
                self.values[f"PIN_CNF{i}"] = old & ~DIR | self.values["DIR"] >> i & 1
        self._tell()

    def write_OUTSET(self, value: int) -> None:
        self.values["OUT"] |= value

    def write_OUTCLR(self, value: int) -> None:
        self.values["OUT"] &= ~value

    def write_DIRSET(self, value: int) -> None:
        self.values["DIR"] |= value

    def write_DIRCLR(self, value: int) -> None:
        self.values["DIR"] &= ~value

    def read_OUTSET(self) -> int:
        return self.values["OUT"]

    read_OUTCLR = read_OUTSET

    def read_DIRSET(self) -> int:
        return self.values["DIR"]

    read_DIRCLR = read_DIRSET


class P0(_Gpio):
    name = "P0"
    base = 0x50000000
    size = 0x800
    pins = 32
    first = 0x504


class P1(_Gpio):
    name = "P1"
    base = 0x50000800
    size = 0x800
    pins = 16
    first = 0x004  # 0x504 from 0x50000300 on
