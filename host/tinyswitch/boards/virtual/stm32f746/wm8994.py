"""The audio codec WM8994 (Cirrus Logic, WM8994 data sheet) with the two digital microphones of the
STM32F746G-DISCO on DMICDAT2 (UM1907, Audio), as the other end of an I2C bus and of SAI2's frames."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.fault import Fault, Faults

ADDRESS = 0x1A
ID = 0x8994
POWER_SECONDS = 0.05  # until VMID and what is fed from it are up, with the fast start
RECOVERY_CLOCKS = 9  # UM10204, 3.1.16: after these a device that holds the data line has let it go

SOFTWARE_RESET, POWER_1, POWER_4, ANTIPOP_2 = 0x000, 0x001, 0x004, 0x039
AIF1_CLOCKING_1, CLOCKING_1, AIF1_RATE, AIF1_CONTROL_1 = 0x200, 0x208, 0x210, 0x300
LEFT_VOLUME, RIGHT_VOLUME, FILTERS = 0x404, 0x405, 0x411
LEFT_ROUTING, RIGHT_ROUTING = 0x608, 0x609
VOLUME_UPDATE = 0x100


class _Register(NamedTuple):
    reset: int
    writable: int  # all other bits must be written as they reset


# Data sheet, "Register Map". What isn't here isn't modelled. 0x102 and 0x817 aren't in the data sheet.
REGISTERS = {
    POWER_1: _Register(0x0000, 0x0017),  # MICB1_ENA, VMID_SEL, BIAS_ENA
    POWER_4: _Register(0x0000, 0x0C30),  # AIF1ADC2L_ENA, AIF1ADC2R_ENA, DMIC2L_ENA, DMIC2R_ENA
    ANTIPOP_2: _Register(0x0000, 0x006C),  # VMID_RAMP, VMID_BUF_ENA, STARTUP_BIAS_ENA
    0x102: _Register(0x0000, 0x0003),
    AIF1_CLOCKING_1: _Register(0x0000, 0x0001),  # AIF1CLK_ENA
    CLOCKING_1: _Register(0x0000, 0x000A),  # AIF1DSPCLK_ENA, SYSDSPCLK_ENA
    AIF1_RATE: _Register(0x0083, 0x00FF),  # AIF1_SR, AIF1CLK_RATE
    AIF1_CONTROL_1: _Register(0x4050, 0x4078),  # AIF1ADCR_SRC, AIF1_WL, AIF1_FMT
    LEFT_VOLUME: _Register(0x00C0, 0x01FF),
    RIGHT_VOLUME: _Register(0x00C0, 0x01FF),
    FILTERS: _Register(0x0000, 0x7800),  # AIF1ADC2_HPF_CUT, AIF1ADC2L_HPF, AIF1ADC2R_HPF
    LEFT_ROUTING: _Register(0x0000, 0x0002),  # ADC2L_TO_AIF1ADC2L
    RIGHT_ROUTING: _Register(0x0000, 0x0002),  # ADC2R_TO_AIF1ADC2R
    0x817: _Register(0x0000, 0x0000),
}
RATES_HZ = {0x0: 8_000, 0x3: 16_000, 0x6: 32_000, 0x8: 48_000}  # by AIF1_SR
CLOCKS = {0x1: 128, 0x2: 192, 0x3: 256, 0x4: 384, 0x5: 512}  # AIF1CLK in samples' rate, by AIF1CLK_RATE
TOLERANCE = Fraction(1, 200)
I2S_16_BITS = 0x4010  # AIF1ADCR_SRC right, AIF1_WL 16 bits, AIF1_FMT I2S

# absent: it is unplugged, and without power meanwhile. hang: it holds the data line, until nine clocks have
# come. reset: falls back to its reset values.
FAULTS = Faults("codec", always=("absent",), since=("hang", "reset"), between=("absent",))


class Wm8994:
    """``sound``: int16 [n], what both microphones hear at 16,000 Hz from the first moment on at which they
    are listened to; it stands still while they aren't, and silence follows it. It begins anew if the firmware
    resets a codec whose microphones are on: that is how it begins to listen anew. A reset of the chip doesn't
    reach the codec. ``now``, in all methods, is emulated seconds and never falls.
    """

    def __init__(self, sound: np.ndarray, fault: Fault | None = None):
        self._sound = np.asarray(sound, np.int16)
        self._fault = fault or Fault()
        self._over = False  # the fault
        self._clocks = 0  # while it has been holding the data line
        self.position = 0  # in the sound
        self._reset()

    def _reset(self) -> None:
        self.registers = {address: register.reset for address, register in REGISTERS.items()}
        self._powered_at = math.inf
        self._bytes = bytearray()  # of the transfer that goes on
        self._read_at = 0  # the register that is read
        self._given = 0

    def _pass(self, now: float) -> None:
        """Lets the fault happen, if it is due."""
        if self._over or now < self._fault.start:
            return
        if self._fault.kind == "reset":
            self._over = True
            self._reset()
        elif self._fault.kind == "absent":
            self._reset()
            self._over = now >= self._fault.end

    def _absent(self) -> bool:
        return self._fault.kind == "absent" and not self._over

    # The bus

    def holds_data(self, now: float) -> bool:
        """Whether it keeps the data line low."""
        return self._fault.kind == "hang" and not self._over and now >= self._fault.start

    def clock(self, now: float) -> None:
        """The clock line has risen without a transfer."""
        if self.holds_data(now):
            self._clocks += 1
            self._over = self._clocks >= RECOVERY_CLOCKS

    def starts(self, reading: bool, now: float) -> bool:
        """A start condition and its address; returns whether it answers."""
        self._pass(now)
        if self._absent() and now >= self._fault.start:
            return False
        if not reading:
            self._bytes.clear()
        elif len(self._bytes) == 2:
            self._read_at = int.from_bytes(self._bytes, "big")
        self._given = 0
        return True

    def takes(self, byte: int, now: float) -> bool:
        """One byte to it; returns whether it takes it. Raises Refused for what isn't modelled."""
        self._pass(now)
        if self._absent() and now >= self._fault.start:
            return False
        self._bytes.append(byte)
        if len(self._bytes) == 4:
            self._write(int.from_bytes(self._bytes[:2], "big"), int.from_bytes(self._bytes[2:], "big"), now)
        elif len(self._bytes) > 4:
            raise Refused("WM8994: more than one register in a transfer isn't modelled")
        return True

    def gives(self) -> int:
        """One byte from it."""
        value = ID if self._read_at == SOFTWARE_RESET else self.registers.get(self._read_at)
        if value is None:
            raise Refused(f"WM8994: register 0x{self._read_at:03x} isn't modelled")
        if self._given >= 2:
            raise Refused("WM8994: more than one register in a transfer isn't modelled")
        self._given += 1
        return value >> 8 if self._given == 1 else value & 0xFF

    def _write(self, address: int, value: int, now: float) -> None:
        if address == SOFTWARE_RESET:
            self.position = 0 if self.registers[POWER_4] else self.position
            self._reset()
            return
        register = REGISTERS.get(address)
        if register is None:
            raise Refused(f"WM8994: register 0x{address:03x} isn't modelled")
        if unknown := (value ^ register.reset) & ~register.writable:
            raise Refused(f"WM8994: register 0x{address:03x}: bits 0x{unknown:04x} aren't modelled")
        self.registers[address] = value & ~(VOLUME_UPDATE if address in (LEFT_VOLUME, RIGHT_VOLUME) else 0)
        if address == POWER_1 and not self._powered():
            self._powered_at = math.inf
        elif address == POWER_1:
            self._powered_at = min(self._powered_at, now)
        elif address == POWER_4 and value and now < self._powered_at + POWER_SECONDS:
            raise Refused(
                "WM8994: microphones enabled less than 50 ms after MICB1_ENA, VMID_SEL and BIAS_ENA"
            )

    # The microphones

    def _powered(self) -> bool:
        return self.registers[POWER_1] == 0x0013

    def _clocked(self, master_hz: Fraction) -> bool:
        rate = RATES_HZ.get(self.registers[AIF1_RATE] >> 4, 0)
        wanted = rate * CLOCKS.get(self.registers[AIF1_RATE] & 0xF, 0)
        running = self.registers[AIF1_CLOCKING_1] == 0x0001 and self.registers[CLOCKING_1] == 0x000A
        return running and rate == 16_000 and abs(master_hz - wanted) <= wanted * TOLERANCE

    def _channel(self, enables: int, routing: int, volume: int) -> bool:
        registers = self.registers
        return registers[POWER_4] & enables == enables and bool(registers[routing] and registers[volume])

    def frames(self, count: int, master_hz: Fraction, now: float) -> np.ndarray:
        """The next ``count`` frames on ADCDAT1, int16 [count, 4]: the slots; the microphones are in 1 (left)
        and 3 (right) if everything on their way is on and set for 16 kHz, else there is silence.
        ``master_hz``: MCLK1."""
        self._pass(now)
        slots = np.zeros((count, 4), np.int16)
        if self._absent() and now >= self._fault.start:
            return slots
        if not (
            self._powered() and self._clocked(master_hz) and self.registers[AIF1_CONTROL_1] == I2S_16_BITS
        ):
            return slots
        left = self._channel(0x0820, LEFT_ROUTING, LEFT_VOLUME)
        right = self._channel(0x0410, RIGHT_ROUTING, RIGHT_VOLUME)
        if left or right:
            heard = self._sound[self.position : self.position + count]
            self.position += count
            slots[: len(heard), 1] = heard if left else 0
            slots[: len(heard), 3] = heard if right else 0
        return slots

    def playing(self) -> bool:
        """Whether some of the sound hasn't been heard yet."""
        return self.position < len(self._sound)
