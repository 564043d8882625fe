"""SAI2 (RM0385, 33.5): block A makes the clocks of the audio codec, block B receives its I2S frames."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register
from tinyswitch.boards.virtual.stm32f746.dma import SAI2_B_CHANNEL, Stream
from tinyswitch.boards.virtual.stm32f746.rcc import Rcc
from tinyswitch.boards.virtual.stm32f746.wm8994 import Wm8994

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.stm32f746.gpio import Gpio

MODE, DS, CKSTR, SYNCEN, SAIEN, DMAEN, MCKDIV = 3, 7 << 5, 1 << 9, 3 << 10, 1 << 16, 1 << 17, 0xF << 20
MASTER_RX, SLAVE_RX, DS_16, SYNC_INTERNAL = 1, 3, 4 << 5, 1 << 10
FFLUSH, OVRUDR, FREQ = 1 << 3, 1 << 0, 1 << 3
FRAME_BITS, SLOTS = 64, 4
I2S_FRAME = FRAME_BITS - 1 | 31 << 8 | 1 << 16 | 1 << 18  # FRL, FSALL, FSDEF, FSOFF; FSPOL 0
MASTER_CLOCKS = 256  # a frame takes that many of the master clock (NODIV 0)
FIFO_SAMPLES = 8
BDR_OFFSET = 0x40
FAST_SECONDS = 5.0  # of emulated time after the host's last byte in which time may run away from the wall's
FUNCTION = 10  # of the pins (DS10916's table of alternate functions)
PINS_A, PINS_B = (("I", 4), ("I", 5), ("I", 7)), (("G", 10),)  # clocks; data (UM1907)


class Sai2(Peripheral):
    """Frames of four slots of 16 bits; a frame's samples are there at its end. Block A receives nothing, as
    nothing drives its data pin here, but overruns."""

    name = "SAI2"
    base = 0x40015C00
    clock = ("APB2ENR", 23)
    _CR1 = MODE | DS | CKSTR | SYNCEN | SAIEN | DMAEN | MCKDIV
    registers: ClassVar = {
        0x00: Register("GCR"),
        0x04: Register("ACR1", 0x40, _CR1),
        0x08: Register("ACR2"),
        0x0C: Register("AFRCR", 0x7, 0x00077FFF),
        0x10: Register("ASLOTR", 0, 0xFFFF0FDF),
        0x18: Register("ASR", FREQ),
        0x1C: Register("ACLRFR", 0, OVRUDR, readable=False),
        0x24: Register("BCR1", 0x40, _CR1),
        0x28: Register("BCR2", 0, FFLUSH),
        0x2C: Register("BFRCR", 0x7, 0x00077FFF),
        0x30: Register("BSLOTR", 0, 0xFFFF0FDF),
        0x38: Register("BSR", FREQ),
        0x3C: Register("BCLRFR", 0, OVRUDR, readable=False),
        BDR_OFFSET: Register("BDR"),
    }

    def __init__(self, machine: Machine, rcc: Rcc, ports: dict[str, Gpio], dma: Stream, codec: Wm8994):
        self._rcc, self._ports, self._dma, self._codec = rcc, ports, dma, codec
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self._start: int | None = None  # machine time at which the first frame began; None: block A is off
        self._done = 0  # frames since
        self._rate = self._master_hz = Fraction(0)
        self._fifo = bytearray()
        self._overrun = {"A": False, "B": False}

    # Frames

    def _running(self) -> bool:
        """Whether block B receives."""
        return self._start is not None and bool(self.values["BCR1"] & SAIEN)

    def _end_of(self, frame: int) -> int:
        """Machine time at which frame number ``frame`` is over."""
        assert self._start is not None
        cycles, frames = self._cycles_to_frames()
        return self._start - (-(frame + 1) * cycles // frames)

    def _cycles_to_frames(self) -> tuple[int, int]:
        """So many processor cycles are so many frames, exactly."""
        return self._rate.denominator * self.machine.clocks.core_hz, self._rate.numerator

    def _takes(self) -> bool:
        return bool(self.values["BCR1"] & DMAEN) and self._dma.enabled_for(
            SAI2_B_CHANNEL, self.base + BDR_OFFSET
        )

    def next_event(self) -> int | None:
        """The frame with which the stream has something to tell."""
        if not self._running() or not self._takes() or not self._dma.wants_interrupts():
            return None
        slots = len(self._enabled())
        frames = -(-self._dma.to_the_next_flag() // slots) if slots else 0
        return self._end_of(self._done + frames - 1) if frames else None

    def advance(self) -> None:
        if self._start is None:
            return
        cycles, frames = self._cycles_to_frames()
        count = (self.machine.now() - self._start) * frames // cycles - self._done
        if count <= 0:
            return
        self._done += count
        heard = self._codec.frames(count, self._master_hz, self.machine.seconds())
        self._overrun["A"] |= self._done * len(self._enabled()) > FIFO_SAMPLES
        if self._running():
            self._receive(heard[:, self._enabled()].astype("<i2").tobytes())

    def _enabled(self) -> list[int]:
        return [slot for slot in range(SLOTS) if self.values["BSLOTR"] >> 16 + slot & 1]

    def _receive(self, data: bytes) -> None:
        data = bytes(self._fifo) + data
        self._fifo.clear()
        if self._takes():
            data = data[self._dma.transfer(data) :]
        if len(data) > 2 * FIFO_SAMPLES:
            self._overrun["B"] = True
        self._fifo += data[: 2 * FIFO_SAMPLES]

    def has_input(self) -> bool:
        """Whether a sound is played that need not keep to the wall's clock."""
        machine = self.machine
        if not machine.options.audio_fast or not self._running() or not self._codec.playing():
            return False
        return machine.line.ended or machine.seconds() < machine.heard_at + FAST_SECONDS

    # Registers

    def _write_control(self, block: str, value: int) -> None:
        self.advance()
        name = f"{block}CR1"
        was = self.values[name]
        if was & SAIEN and (was ^ value) & ~(SAIEN | DMAEN):
            raise Refused(f"SAI2_{name}: only SAIEN and DMAEN may be changed while the block is enabled")
        if value & SAIEN and not was & SAIEN:
            self._check(block, value)
        self.values[name] = value
        if block == "A":
            self._follow_master(was, value)
        self.machine.timer_changed()

    def _follow_master(self, was: int, value: int) -> None:
        if value & SAIEN and not was & SAIEN:
            kernel = self._rcc.sai2_hz()
            if kernel is None:
                raise Refused("SAI2_ACR1: enabled without a clock: see RCC_DCKCFGR1.SAI2SEL and PLLI2SON")
            divider = value >> 20 & 0xF
            self._master_hz = kernel / (2 * divider) if divider else kernel
            self._rate = self._master_hz / MASTER_CLOCKS
            self._start, self._done = self.machine.now(), 0
        elif not value & SAIEN:
            self._start = None

    def _check(self, block: str, value: int) -> None:
        """Refuses what isn't modelled, and what would make noise of the codec's frames."""
        wanted = (MASTER_RX if block == "A" else SLAVE_RX | SYNC_INTERNAL) | DS_16 | CKSTR
        if value & (MODE | SYNCEN | DS | CKSTR) != wanted:
            raise Refused(f"SAI2_{block}CR1: only 0x{wanted:08x} is modelled as MODE, SYNCEN, DS and CKSTR")
        if self.values[f"{block}FRCR"] != I2S_FRAME:
            raise Refused(f"SAI2_{block}FRCR: only 0x{I2S_FRAME:08x}, the frame of I2S, is modelled")
        slots = self.values[f"{block}SLOTR"]
        if slots & 0xFFFF != (SLOTS - 1) << 8 or slots >> 16 + SLOTS:
            raise Refused(f"SAI2_{block}SLOTR: only four slots of 16 bits are modelled")
        for port, pin in PINS_A if block == "A" else PINS_B:
            if self._ports[port].alternate(pin) != FUNCTION:
                raise Refused(
                    f"SAI2_{block}CR1: enabled while P{port}{pin} isn't set to alternate function 10"
                )
        if block == "B" and self._start is not None:
            raise Refused("SAI2_BCR1: the slave must be enabled before its master")

    def write_ACR1(self, value: int) -> None:
        self._write_control("A", value)

    def write_BCR1(self, value: int) -> None:
        self._write_control("B", value)

    def _set_up(self, name: str, value: int) -> None:
        if self.values[f"{name[0]}CR1"] & SAIEN:
            raise Refused(f"SAI2_{name} can't be written while the block is enabled")
        self.values[name] = value

    def write_AFRCR(self, value: int) -> None:
        self._set_up("AFRCR", value)

    def write_BFRCR(self, value: int) -> None:
        self._set_up("BFRCR", value)

    def write_ASLOTR(self, value: int) -> None:
        self._set_up("ASLOTR", value)

    def write_BSLOTR(self, value: int) -> None:
        self._set_up("BSLOTR", value)

    def write_BCR2(self, value: int) -> None:
        self.advance()
        if value & FFLUSH:
            self._fifo.clear()

    def read_ASR(self) -> int:
        self.advance()
        return OVRUDR if self._overrun["A"] else 0

    def read_BSR(self) -> int:
        self.advance()
        level = -(-len(self._fifo) // 4)  # FLVL: quarters of the FIFO, begun
        level += len(self._fifo) == 2 * FIFO_SAMPLES
        return (OVRUDR if self._overrun["B"] else 0) | (FREQ if self._fifo else 0) | level << 16

    def write_ACLRFR(self, value: int) -> None:
        self.advance()
        self._overrun["A"] &= not value & OVRUDR

    def write_BCLRFR(self, value: int) -> None:
        self.advance()
        self._overrun["B"] &= not value & OVRUDR

    def read_BDR(self) -> int:
        self.advance()
        value = int.from_bytes(self._fifo[:2], "little")
        del self._fifo[:2]
        return value
