"""ADC1 and the common register of all converters (RM0385, 15.13): converts the internal reference."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

ADON, SWSTART, EOC, STRT, TSVREFE = 1 << 0, 1 << 30, 1 << 1, 1 << 4, 1 << 23
REFERENCE_CHANNEL = 17
SAMPLING = (3, 15, 28, 56, 84, 112, 144, 480)  # ADC clocks, by SMP
CONVERSION = 12  # ADC clocks after sampling, at 12 bits

# Data sheet DS10916: ADC characteristics, embedded internal reference voltage
CLOCK_MAX = 36_000_000
START_SECONDS, REFERENCE_START_SECONDS, REFERENCE_SAMPLING_SECONDS = 3e-6, 10e-6, 10e-6
FULL_SCALE = 4095
CALIBRATION_MV = 3300
CALIBRATION = 1502  # a typical chip's VREFINT_CAL: 1.21 V of 3.3 V, in 4096ths


class Adc(Peripheral):
    """The reference converts to what it is at the machine's ``supply_mv``, without noise. A conversion before
    the converter or the reference is ready stops the machine."""

    name = "ADC"
    base = 0x40012000
    clock = ("APB2ENR", 8)
    registers: ClassVar = {
        0x00: Register("SR", 0, EOC | STRT),
        0x04: Register("CR1"),
        0x08: Register("CR2", 0, ADON | SWSTART),
        0x0C: Register("SMPR1", 0, 0x07FFFFFF),
        0x2C: Register("SQR1"),
        0x34: Register("SQR3", 0, 0x1F),
        0x4C: Register("DR"),
        0x304: Register("CCR", 0, 3 << 16 | TSVREFE),
    }

    def reset(self) -> None:
        super().reset()
        self._on_at = self._reference_on_at = 0.0  # emulated seconds
        self._done_at: float | None = None  # of the conversion that goes on

    def _finish(self) -> None:
        """The conversion's end, if it has come."""
        if self._done_at is not None and self.machine.seconds() >= self._done_at:
            self._done_at = None
            self.values["DR"] = min(FULL_SCALE, round(CALIBRATION * CALIBRATION_MV / self.machine.supply_mv))
            self.values["SR"] |= EOC

    def read_SR(self) -> int:
        self._finish()
        return self.values["SR"]

    def write_SR(self, value: int) -> None:
        """A 0 clears a flag, a 1 leaves it."""
        self._finish()
        self.values["SR"] &= value

    def read_DR(self) -> int:
        self._finish()
        self.values["SR"] &= ~EOC
        return self.values["DR"]

    def write_CCR(self, value: int) -> None:
        if value & TSVREFE and not self.values["CCR"] & TSVREFE:
            self._reference_on_at = self.machine.seconds() + REFERENCE_START_SECONDS
        self.values["CCR"] = value

    def write_CR2(self, value: int) -> None:
        self._finish()
        if value & SWSTART:
            self._begin()
        if not value & ADON:
            self._done_at = None
        elif not self.values["CR2"] & ADON:
            self._on_at = self.machine.seconds() + START_SECONDS
        self.values["CR2"] = value & ~SWSTART  # cleared as the conversion begins

    def _begin(self) -> None:
        now, hz = self.machine.seconds(), self._hz()
        if not self.values["CR2"] & ADON or now < self._on_at:
            raise Refused("ADC_CR2: SWSTART less than 3 us after ADON")
        if hz > CLOCK_MAX:
            raise Refused(f"ADC_CCR: the converter's clock is {hz} Hz, over {CLOCK_MAX} Hz")
        channel = self.values["SQR3"]
        if channel != REFERENCE_CHANNEL:
            raise Refused(f"ADC_SQR3: channel {channel} isn't modelled, only {REFERENCE_CHANNEL}")
        if not self.values["CCR"] & TSVREFE or now < self._reference_on_at:
            raise Refused("ADC_CR2: SWSTART less than 10 us after ADC_CCR.TSVREFE: the reference isn't ready")
        sampling = SAMPLING[self.values["SMPR1"] >> 3 * (channel - 10) & 7]
        if sampling / hz < REFERENCE_SAMPLING_SECONDS:
            raise Refused(f"ADC_SMPR1: {sampling} clocks of {hz} Hz sample the reference for less than 10 us")
        self._done_at = now + (sampling + CONVERSION) / hz
        self.values["SR"] |= STRT

    def _hz(self) -> int:
        return self.machine.clocks.pclk2_hz // (2 * (self.values["CCR"] >> 16 & 3) + 2)
