"""I2C3 (RM0385, 30.7): master of the bus to the audio codec, 7-bit addresses, polled."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register
from tinyswitch.boards.virtual.stm32f746 import wm8994

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.stm32f746.gpio import Gpio

PE = 1 << 0
SADD, RD_WRN, START, NBYTES, AUTOEND = 0x3FF, 1 << 10, 1 << 13, 0xFF << 16, 1 << 25
TXE, TXIS, RXNE, NACKF, STOPF, TC, BUSY = 1 << 0, 1 << 1, 1 << 2, 1 << 4, 1 << 5, 1 << 6, 1 << 15
CLEARABLE = NACKF | STOPF
CLOCK_PIN, DATA_PIN, FUNCTION = 7, 8, 4  # of port H (UM1907, and DS10916's table of alternate functions)
MAX_HZ = 400_000  # of the codec's interface (WM8994 data sheet, control interface timing)
BYTE_BITS = 9


class I2c3(Peripheral):
    """Each byte takes its nine clocks. A wait for a flag is skipped: the time passes when ISR is read."""

    name = "I2C3"
    base = 0x40005C00
    clock = ("APB1ENR", 23)
    registers: ClassVar = {
        0x00: Register("CR1", 0, PE),
        0x04: Register("CR2", 0, SADD | RD_WRN | START | NBYTES | AUTOEND),
        0x10: Register("TIMINGR", 0, 0xF0FFFFFF),
        0x18: Register("ISR", TXE),
        0x1C: Register("ICR", 0, CLEARABLE, readable=False),
        0x24: Register("RXDR"),
        0x28: Register("TXDR", 0, 0xFF),
    }

    def __init__(self, machine: Machine, port: Gpio, codec: wm8994.Wm8994):
        self._port, self._codec = port, codec
        port.outside[DATA_PIN] = self._data
        port.watchers.append(self._follow)
        self._clock = True
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self._release()

    def _release(self) -> None:
        self._flags = 0
        self._left = 0  # bytes of the transfer, the present one included
        self._step = ""  # what goes on: address, send, receive or stop
        self._due = 0  # when it is over, machine time
        self._byte = 0  # being sent

    # The lines

    def _data(self) -> int | None:
        """Level of the data line, where the codec decides it."""
        return 0 if self._codec.holds_data(self.machine.seconds()) else None

    def _follow(self) -> None:
        """The port has changed: a clock that software makes reaches the codec."""
        level = self._port.mode(CLOCK_PIN) != 1 or bool(self._port.values["ODR"] >> CLOCK_PIN & 1)
        if level and not self._clock:
            self._codec.clock(self.machine.seconds())
        self._clock = level

    def _bit(self) -> float:
        """Processor cycles that a clock of the bus takes."""
        timing = self.values["TIMINGR"]
        counts = (timing & 0xFF) + (timing >> 8 & 0xFF) + 2
        return counts * ((timing >> 28) + 1) * self.machine.clocks.core_hz / self.machine.clocks.pclk1_hz

    def _begin(self, step: str, bits: int, start: int | None = None) -> None:
        self._step = step
        self._due = (self.machine.now() if start is None else start) + round(bits * self._bit())

    # What goes on

    def _finish(self) -> None:
        """Ends what is due by now, and begins what follows without software."""
        while self._step and self._due <= self.machine.now():
            self.machine.catch_up()  # what the codec does until now, it does as it was set
            step, self._step, now = self._step, "", self.machine.seconds()
            if step == "address":
                self._answered(self._codec_starts(now))
            elif step == "send":
                if self._codec.takes(self._byte, now):
                    self._next()
                else:
                    self._refused()
            elif step == "receive":
                self.values["RXDR"] = self._codec.gives()
                self._flags |= RXNE
            else:
                self._flags |= STOPF

    def _codec_starts(self, now: float) -> bool:
        address = (self.values["CR2"] & SADD) >> 1
        return address == wm8994.ADDRESS and self._codec.starts(bool(self.values["CR2"] & RD_WRN), now)

    def _answered(self, answered: bool) -> None:
        if not answered:
            self._refused()
        elif self.values["CR2"] & RD_WRN:
            self._begin("receive", BYTE_BITS, self._due)
        else:
            self._flags |= TXIS

    def _refused(self) -> None:
        """The hardware sends the stop condition by itself."""
        self._flags |= NACKF
        self._begin("stop", 1, self._due)

    def _next(self) -> None:
        """A byte is done."""
        self._left -= 1
        if self._left:
            if self.values["CR2"] & RD_WRN:
                self._begin("receive", BYTE_BITS)
            else:
                self._flags |= TXIS
        elif self.values["CR2"] & AUTOEND:
            self._begin("stop", 1)
        else:
            self._flags |= TC

    # Registers

    def write_CR1(self, value: int) -> None:
        if not value & PE:
            self._release()
        self.values["CR1"] = value

    def write_TIMINGR(self, value: int) -> None:
        if self.values["CR1"] & PE:
            raise Refused("I2C3_TIMINGR can only be written while PE is 0")
        self.values["TIMINGR"] = value

    def write_CR2(self, value: int) -> None:
        self._finish()
        if self._step or self._flags & (TXIS | RXNE):
            raise Refused("I2C3_CR2: written while a transfer goes on")
        self.values["CR2"] = value & ~START
        if value & START:
            self._check(value)
            self._flags &= ~TC
            self._left = value >> 16 & 0xFF
            if not self._codec.holds_data(self.machine.seconds()):  # else it waits for a free bus
                self._begin("address", 1 + BYTE_BITS)

    def _check(self, value: int) -> None:
        clocks = self.machine.clocks
        if not self.values["CR1"] & PE:
            raise Refused("I2C3_CR2: START while PE is 0")
        if not value & NBYTES:
            raise Refused("I2C3_CR2: a transfer of 0 bytes isn't modelled")
        if clocks.core_hz > MAX_HZ * self._bit():
            raise Refused(
                f"I2C3_TIMINGR: a clock of {clocks.core_hz / self._bit():.0f} Hz is over {MAX_HZ} Hz"
            )
        for pin in (CLOCK_PIN, DATA_PIN):
            if self._port.alternate(pin) != FUNCTION or not self._port.values["OTYPER"] >> pin & 1:
                raise Refused(f"I2C3_CR2: START while PH{pin} isn't an open drain of alternate function 4")

    def read_ISR(self) -> int:
        if self._step:
            self.machine.poll_until_event(self._due)
        self._finish()
        busy = self._step or self._left or self._codec.holds_data(self.machine.seconds())
        return self._flags | TXE | (BUSY if busy else 0)

    def write_ICR(self, value: int) -> None:
        self._finish()
        self._flags &= ~value

    def read_RXDR(self) -> int:
        self._finish()
        if self._flags & RXNE:
            self._flags &= ~RXNE
            self._next()
        return self.values["RXDR"]

    def write_TXDR(self, value: int) -> None:
        self._finish()
        if not self._flags & TXIS:
            raise Refused("I2C3_TXDR: written while TXIS is 0")
        self._flags &= ~TXIS
        self._byte = value
        self._begin("send", BYTE_BITS)
