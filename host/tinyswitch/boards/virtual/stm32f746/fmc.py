"""FMC, its SDRAM bank 1 (RM0385, 13.7), and the memory that the STM32F746G-DISCO has there: MT48LC4M32B2,
speed grade -6A, of whose 32 data pins 16 are connected (UM1907)."""

from __future__ import annotations

import ctypes
import random
from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.stm32f746.gpio import Gpio

SDRAM_BASE, SDRAM_BYTES = 0xC0000000, 8 << 20
FUNCTION = 12  # number of the alternate function
PINS = {  # by port: A0 to A11, BA0, BA1, D0 to D15, NBL0, NBL1, SDCLK, SDCKE0, SDNE0, SDNRAS, SDNCAS, SDNWE
    "C": (3,),
    "D": (0, 1, 8, 9, 10, 14, 15),
    "E": (0, 1, *range(7, 16)),
    "F": (*range(6), *range(11, 16)),
    "G": (0, 1, 4, 5, 8, 15),
    "H": (3, 5),
}
RESET_CONTROL, RESET_TIMING = 0x2D0, 0x0FFFFFFF
ORGANISATION, ORGANISATION_MASK = (
    0 | 1 << 2 | 1 << 4 | 1 << 6,
    0x7F,
)  # 8 column bits, 12 row bits, 16 bits, 4 banks
CAS, SDCLK = 3 << 7, 3 << 10
CTB1, NRFS, MRD = 1 << 4, 0xF << 5, 0x1FFF << 9
CLOCK_ON, PRECHARGE, REFRESH, LOAD_MODE = 1, 2, 3, 4
COUNT, BUSY = 0x1FFF << 1, 1 << 5
MODE_MASK, MODE_FIXED = ~0x70 & 0x1FFF, 0x200  # of the memory: single words; the rest is its CAS latency

SDCLK_MAX = 100_000_000  # DS10916, SDRAM waveforms and timings
START_SECONDS, REFRESHES, REFRESH_SECONDS = 100e-6, 2, 64e-3 / 4096  # data sheet of the memory
CL2_MIN, CL3_MIN = 10.0, 6.0  # ns, least clock period with that CAS latency
TIMINGS = {  # by name: lowest bit in SDTR1, least time in ns, least clocks
    "TMRD": (0, 0.0, 2),
    "TXSR": (4, 70.0, 1),
    "TRAS": (8, 42.0, 1),
    "TRC": (12, 60.0, 1),
    "TWR": (16, 12.0, 1),
    "TRP": (20, 18.0, 1),
    "TRCD": (24, 18.0, 1),
}


class Fmc(Peripheral):
    """The memory appears once it has been initialised in the right order, with timings and a refresh rate
    that it can do; it goes, and forgets, at a reset. Commands that are wrong or early stop the machine."""

    name = "FMC"
    base = 0xA0000000
    clock = ("AHB3ENR", 0)
    registers: ClassVar = {
        0x140: Register("SDCR1", RESET_CONTROL, ORGANISATION_MASK | CAS | SDCLK),
        0x144: Register("SDCR2", RESET_CONTROL),
        0x148: Register("SDTR1", RESET_TIMING, RESET_TIMING),
        0x14C: Register("SDTR2", RESET_TIMING),
        0x150: Register("SDCMR", 0, 7 | CTB1 | NRFS | MRD),
        0x154: Register("SDRTR", 0, COUNT),
        0x158: Register("SDSR"),
    }

    def __init__(self, machine: Machine, ports: dict[str, Gpio]):
        self._ports = ports
        self._data: ctypes.Array | None = None
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        if self._data is not None:
            self.machine.cpu.detach(SDRAM_BASE)
            self._data = None
        self._done = 0  # the last command of the initialisation that was given
        self._busy_until = 0
        self._clock_since = 0.0

    # What the settings mean

    def _clock_hz(self) -> float:
        divider = (self.values["SDCR1"] & SDCLK) >> 10
        if divider < 2:
            raise Refused(f"FMC_SDCR1: SDCLK {divider} gives the memory no clock")
        return self.machine.clocks.core_hz / divider

    def _clocks(self, name: str) -> int:
        return (self.values["SDTR1"] >> TIMINGS[name][0] & 0xF) + 1

    def _cas(self) -> int:
        return (self.values["SDCR1"] & CAS) >> 7

    def _check_settings(self) -> None:
        control, hz = self.values["SDCR1"], self._clock_hz()
        if control & ORGANISATION_MASK != ORGANISATION:
            raise Refused("FMC_SDCR1: the memory has 8 column bits, 12 row bits, 16 data bits and 4 banks")
        if hz > SDCLK_MAX:
            raise Refused(f"FMC_SDCR1: a clock of {hz:.0f} Hz is over {SDCLK_MAX} Hz, the FMC's limit")
        period = 1e9 / hz
        if self._cas() < 2 or period < (CL2_MIN if self._cas() == 2 else CL3_MIN):
            raise Refused(f"FMC_SDCR1: the memory has no CAS latency {self._cas()} at {period:.1f} ns")
        for name, (_, least_ns, least_clocks) in TIMINGS.items():
            clocks = self._clocks(name)
            if clocks < least_clocks or clocks * period < least_ns - 1e-6:
                raise Refused(f"FMC_SDTR1: {name} of {clocks} clocks, {clocks * period:.1f} ns, is too short")
        write, row = self._clocks("TWR"), self._clocks("TRC")  # RM0385, FMC_SDTR: the limits of TWR
        if write < self._clocks("TRAS") - self._clocks("TRCD"):
            raise Refused("FMC_SDTR1: TWR is less than TRAS - TRCD")
        if write < row - self._clocks("TRCD") - self._clocks("TRP"):
            raise Refused("FMC_SDTR1: TWR is less than TRC - TRCD - TRP")

    # Registers

    def _set_up(self, name: str, value: int) -> None:
        if self._done:
            raise Refused(f"FMC_{name}: changed after the memory's clock was switched on")
        self.values[name] = value

    def write_SDCR1(self, value: int) -> None:
        self._set_up("SDCR1", value)

    def write_SDTR1(self, value: int) -> None:
        self._set_up("SDTR1", value)

    def read_SDSR(self) -> int:
        """Firmware that reads it while a command is carried out waits for that: the time passes here."""
        if self.machine.now() >= self._busy_until:
            return 0
        self.machine.poll_until(self._busy_until)
        return BUSY

    def write_SDCMR(self, value: int) -> None:
        command = value & 7
        if self.machine.now() < self._busy_until:
            raise Refused("FMC_SDCMR: the command before is still being carried out, see FMC_SDSR.BUSY")
        if not value & CTB1:
            raise Refused("FMC_SDCMR: CTB1 is 0: the command goes to no memory")
        if command != CLOCK_ON and self._done == 0:
            raise Refused(f"FMC_SDCMR: command {command} before the memory has a clock (command 1)")
        if command not in (CLOCK_ON, PRECHARGE, REFRESH, LOAD_MODE):
            raise Refused(f"FMC_SDCMR: command {command} isn't modelled")
        if command not in (self._done, self._done + 1):
            raise Refused(f"FMC_SDCMR: command {command} after {self._done}: the order is 1, 2, 3, 4")
        clocks = (self._switch_on, self._precharge, self._refresh, self._load_mode)[command - 1](value)
        self._busy_until = self.machine.now() + round(clocks * self.machine.clocks.core_hz / self._clock_hz())
        self._done = command
        self.values["SDCMR"] = value

    def _switch_on(self, _value: int) -> int:
        for port, pins in PINS.items():
            for pin in pins:
                if self._ports[port].alternate(pin) != FUNCTION:
                    raise Refused(f"FMC_SDCMR: P{port}{pin} isn't given to the FMC (AF{FUNCTION})")
        self._check_settings()
        self._clock_since = self.machine.seconds()
        return 1

    def _precharge(self, _value: int) -> int:
        waited = self.machine.seconds() - self._clock_since
        if waited < START_SECONDS:
            raise Refused(
                f"FMC_SDCMR: {waited * 1e6:.0f} us after its clock the memory takes no command yet; 100 us"
            )
        return self._clocks("TRP")

    def _refresh(self, value: int) -> int:
        times = ((value & NRFS) >> 5) + 1
        if times < REFRESHES:
            raise Refused(f"FMC_SDCMR: {times} refresh; the memory wants {REFRESHES} at the start")
        return times * self._clocks("TRC")

    def _load_mode(self, value: int) -> int:
        mode = (value & MRD) >> 9
        if mode & MODE_MASK != MODE_FIXED:
            raise Refused(f"FMC_SDCMR: mode register 0x{mode:x}: only single words are modelled")
        if mode >> 4 & 7 != self._cas():
            raise Refused(f"FMC_SDCMR: the memory's CAS latency {mode >> 4 & 7} isn't SDCR1's {self._cas()}")
        return self._clocks("TMRD")

    def write_SDRTR(self, value: int) -> None:
        count = (value & COUNT) >> 1
        if self._done != LOAD_MODE:
            raise Refused("FMC_SDRTR: written before the memory's mode register was (command 4)")
        rows = sum(self._clocks(name) for name in ("TWR", "TRP", "TRC", "TRCD")) + 4
        if count < 41 or count == rows:
            raise Refused(f"FMC_SDRTR: COUNT {count} is below 41, or what RM0385 forbids with these timings")
        if (count + 20) / self._clock_hz() > REFRESH_SECONDS + 1e-12:
            raise Refused(f"FMC_SDRTR: with COUNT {count} not every row is refreshed in 64 ms")
        self.values["SDRTR"] = value
        if self._data is None:
            self._appear()

    def _appear(self) -> None:
        """As random as after power-up, but the same each time."""
        noise = random.Random(self.name).randbytes(SDRAM_BYTES)
        self._data = (ctypes.c_uint8 * SDRAM_BYTES).from_buffer_copy(noise)
        self.machine.cpu.attach(SDRAM_BASE, self._data)
