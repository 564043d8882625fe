"""The LSM9DS1's accelerometer (ST, DocID025715 rev. 3), as the other end of an I2C bus."""

from __future__ import annotations

import math
from collections import deque

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.fault import Fault, Faults
from tinyswitch.boards.virtual.nrf52840.playing import Playing

ADDRESS = 0x6B  # table 19, SDO_A/G high
WHO_AM_I, CTRL_REG1_G, CTRL_REG4 = 0x0F, 0x10, 0x1E
CTRL_REG5_XL, CTRL_REG6_XL, CTRL_REG7_XL, CTRL_REG8, CTRL_REG9 = 0x1F, 0x20, 0x21, 0x22, 0x23
STATUS_REG, OUT_X_L_XL, OUT_Z_H_XL, FIFO_CTRL, FIFO_SRC = 0x27, 0x28, 0x2D, 0x2E, 0x2F
RESET = {  # table 21; what isn't here isn't modelled
    WHO_AM_I: 0x68,
    CTRL_REG1_G: 0,
    CTRL_REG4: 0x38,
    CTRL_REG5_XL: 0x38,
    CTRL_REG6_XL: 0,
    CTRL_REG7_XL: 0,
    CTRL_REG8: 0x04,
    CTRL_REG9: 0,
    FIFO_CTRL: 0,
}
WRITABLE = {  # bits; all others must be written as they reset
    CTRL_REG5_XL: 0xC0,  # DEC
    CTRL_REG6_XL: 0xFF,
    CTRL_REG8: 0x45,  # BDU, IF_ADD_INC, SW_RESET
    CTRL_REG9: 0x02,  # FIFO_EN
    FIFO_CTRL: 0xFF,
}
SW_RESET, IF_ADD_INC, FIFO_EN = 0x01, 0x04, 0x02
ODR_HZ = (None, 10.0, 50.0, 119.0, 238.0, 476.0, 952.0)  # table 68, gyroscope off; None: power-down
MICRO_G = (61, 732, 122, 244)  # a step, by FS_XL: 2, 16, 4, 8 g (tables 3 and 67)
PLAYED_MICRO_G = 122
FIFO_SAMPLES = 32
BYPASS, FIFO, CONTINUOUS = 0, 1, 6  # FMODE
XLDA, FTH, OVRN = 0x01, 0x80, 0x40
# Samples without meaning after power-down: 2 at 119 Hz with a bandwidth of 50 Hz (table 11)
UNSETTLED = 2
RECOVERY_CLOCKS = 9  # UM10204, 3.1.16: after these a device that holds the data line has let it go

# absent: nobody answers. hang: holds the data line, until nine clocks have come or the supply has gone.
# stuck: the same, but only the supply helps. silent: doesn't answer. reset: falls back to its reset values.
FAULTS = Faults("sensor", always=("absent",), since=("hang", "stuck", "reset"), between=("silent",))


class Lsm9ds1:
    """Registers, FIFO and I2C interface. ``now``, in all methods, is emulated seconds and never falls.

    It samples at the output data rate, divided by the decimation, from the moment the rate is set; the first
    UNSETTLED samples after power-down are zeros, then the recording begins. It goes on through changes of the
    rate, resets and loss of supply, as the world would, and begins anew when the rate is set after it was set
    to power-down.
    """

    def __init__(self, playing: Playing, fault: Fault | None = None):
        self._playing = playing
        self._fault = fault or Fault()
        self._origin: float | None = None  # when the recording's first sample comes
        self._played = False
        self._powered = False
        self._clocks = 0  # since it has been holding the data line
        self._over = False  # the fault
        self._reset()

    def _reset(self) -> None:
        self.registers = dict(RESET)
        self._fifo: deque[tuple[int, int, int]] = deque()
        self._overrun = False
        self._output = (0, 0, 0)  # in the output registers
        self._fresh = False
        self._next = math.inf  # when the next sample comes
        self._settling = 0  # samples that are zeros
        self._index = 0  # of that sample in the recording
        self._at = self._sub = 0
        self._sub_next = False  # the next byte written is a register's address

    # Supply and faults

    def power(self, on: bool, now: float) -> None:
        """Switches the supply."""
        if on != self._powered:
            self._reset()
        if not on and self._fault.kind in ("hang", "stuck") and now >= self._fault.start:
            self._over = True
        self._powered = on

    def holds_data(self, now: float) -> bool:
        """Whether it pulls the bus's data line low although nobody asked it to."""
        kind = self._fault.kind
        return kind in ("hang", "stuck") and self._powered and now >= self._fault.start and not self._over

    def clock(self, now: float) -> None:
        """A rising edge of the clock line outside of transfers."""
        if not self.holds_data(now):
            self._clocks = 0
            return
        self._clocks += 1
        if self._fault.kind == "hang" and self._clocks >= RECOVERY_CLOCKS:
            self._over = True

    def _answers(self, now: float) -> bool:
        kind, start, end = self._fault.kind, self._fault.start, self._fault.end
        return self._powered and kind != "absent" and not (kind == "silent" and start <= now < end)

    # The bus

    def start(self, address: int, reading: bool, now: float) -> bool:
        """A start condition and an address; whether it acknowledges."""
        self._catch_up(now)
        self._sub_next = not reading
        return address == ADDRESS and self._answers(now)

    def put(self, byte: int, now: float) -> bool:
        """A byte from the master: a register's address, then values; whether it acknowledges."""
        if not self._answers(now):
            return False
        if self._sub_next:
            self._sub, self._sub_next = byte & 0x7F, False
        else:
            self.write(self._sub, byte, now)
            self._increment()
        return True

    def get(self, now: float) -> int:
        """A byte for the master."""
        value = self.read(self._sub, now) if self._answers(now) else 0xFF
        self._increment()
        return value

    def _increment(self) -> None:
        """3.3: multiple reads go around from the last output register to the first."""
        if self.registers[CTRL_REG8] & IF_ADD_INC:
            self._sub = OUT_X_L_XL if self._sub == OUT_Z_H_XL else self._sub + 1

    # Registers

    def read(self, register: int, now: float) -> int:
        """The value of a register; raises Refused for one that isn't modelled."""
        self._catch_up(now)
        if register == STATUS_REG:
            return XLDA if self._fresh or self._fifo else 0
        if register == FIFO_SRC:
            threshold = self.registers[FIFO_CTRL] & 0x1F
            reached = threshold and len(self._fifo) >= threshold
            return (FTH if reached else 0) | (OVRN if self._overrun else 0) | len(self._fifo)
        if OUT_X_L_XL <= register <= OUT_Z_H_XL:
            return self._read_output(register - OUT_X_L_XL)
        if register in self.registers:
            return self.registers[register]
        raise Refused(f"LSM9DS1: register 0x{register:02x} isn't modelled")

    def _read_output(self, offset: int) -> int:
        if offset == 0 and self._fifo:  # a sample leaves the FIFO when its first byte is read
            self._output = self._fifo.popleft()
            self._overrun = False
        self._fresh = False
        step = MICRO_G[self.registers[CTRL_REG6_XL] >> 3 & 3]
        value = round(self._output[offset // 2] * PLAYED_MICRO_G / step)
        return (max(-32768, min(32767, value)) >> 8 * (offset & 1)) & 0xFF

    def write(self, register: int, value: int, now: float) -> None:
        """Raises Refused for what isn't modelled."""
        self._catch_up(now)
        what = f"LSM9DS1: 0x{value:02x} written to register 0x{register:02x}"
        if register not in RESET:
            raise Refused(f"{what}, which isn't modelled")
        if unknown := (value ^ RESET[register]) & ~WRITABLE.get(register, 0):
            raise Refused(f"{what}: bits 0x{unknown:02x} aren't modelled")
        if register == CTRL_REG6_XL and value >> 5 >= len(ODR_HZ):
            raise Refused(f"{what}: there is no such rate")
        if register == FIFO_CTRL and value >> 5 not in (BYPASS, FIFO, CONTINUOUS):
            raise Refused(f"{what}: that FIFO mode isn't modelled")
        if register == CTRL_REG8 and value & SW_RESET:
            self._reset()
            return
        before = self.rate_hz()
        self.registers[register] = value
        if register in (FIFO_CTRL, CTRL_REG9) and self._mode() == BYPASS:
            self._fifo.clear()
            self._overrun = False
        if register in (CTRL_REG5_XL, CTRL_REG6_XL) and self.rate_hz() != before:
            self._begin(before is None, now)

    def rate_hz(self) -> float | None:
        """Samples a second that come out; None in power-down."""
        rate = ODR_HZ[self.registers[CTRL_REG6_XL] >> 5]
        return rate and rate / (1 << (self.registers[CTRL_REG5_XL] >> 6))

    def _mode(self) -> int:
        return self.registers[FIFO_CTRL] >> 5 if self.registers[CTRL_REG9] & FIFO_EN else BYPASS

    # Sampling

    def playing(self, now: float) -> bool:
        """Whether it samples, and the recording still has something new."""
        self._catch_up(now)
        rate = self.rate_hz()
        return rate is not None and self._next < math.inf and self._index < self._playing.count(rate)

    def has_played(self) -> bool:
        """Whether it has ever sampled."""
        return self._played

    def _begin(self, from_off: bool, now: float) -> None:
        """The rate has changed."""
        rate = self.rate_hz()
        if rate is None:
            self._origin, self._next = None, math.inf
            return
        self._played = True
        if self._origin is None:
            self._origin = now + (UNSETTLED + 1) / rate
        if from_off:
            self._settling = UNSETTLED
        self._index = math.floor((now - self._origin) * rate + 1e-6) + 1
        self._next = self._origin + self._index / rate

    def _catch_up(self, now: float) -> None:
        """Takes the samples that have become due."""
        fault = self._fault
        if fault.kind == "reset" and not self._over and now >= fault.start:
            self._over = True
            self._reset()
        rate = self.rate_hz()
        while rate is not None and self._next <= now:
            self._take(rate)
            self._index += 1
            self._next = self._origin + self._index / rate

    def _take(self, rate: float) -> None:
        if self._settling:
            self._settling -= 1
            sample = (0, 0, 0)
        else:
            sample = self._playing.sample(rate, self._index)
        mode = self._mode()
        if mode == BYPASS:
            self._output, self._fresh = sample, True
        elif len(self._fifo) < FIFO_SAMPLES:
            self._fifo.append(sample)
        elif mode == CONTINUOUS:
            self._fifo.popleft()
            self._fifo.append(sample)
            self._overrun = True
