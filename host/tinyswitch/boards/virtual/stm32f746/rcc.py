"""Reset and clock control (RM0385, 5.3): clock tree, peripheral clocks, reset causes."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.stm32f746.flash import Flash
    from tinyswitch.boards.virtual.stm32f746.pwr import Pwr

HSI_HZ, HSE_HZ = 16_000_000, 25_000_000  # HSE: the crystal of the STM32F746G-DISCO (UM1907)
HSION, HSIRDY, HSEON, HSERDY, PLLON, PLLRDY = 1 << 0, 1 << 1, 1 << 16, 1 << 17, 1 << 24, 1 << 25
PLLI2SON, PLLI2SRDY, PLLSAION, PLLSAIRDY = 1 << 26, 1 << 27, 1 << 28, 1 << 29
RMVF, LSION, LSIRDY = 1 << 24, 1 << 0, 1 << 1
RESET_FLAGS = 0xFE000000
POWER_UP = 0x0E000000  # BORRSTF, PINRSTF, PORRSTF
PINRSTF = 1 << 26
CAUSES = {"software": 1 << 28 | PINRSTF, "watchdog": 1 << 29 | PINRSTF}  # every reset pulls NRST too
PLL_M, PLL_N, PLL_P, PLL_SRC, PLL_Q = 0x3F, 0x1FF << 6, 3 << 16, 1 << 22, 0xF << 24
PLLI2SDIVQ, SAI2SEL, SAI2SEL_PLLI2S = 0x1F, 3 << 22, 1 << 22
PLL_R, PLLSAIDIVR = 7 << 28, 3 << 16

# Limits of the data sheet (DS10916, table 17, and RM0385, table 5, 2.7 V to 3.6 V)
CORE_MAX, CORE_MAX_NO_OVER_DRIVE, PCLK1_MAX, PCLK2_MAX = 216_000_000, 180_000_000, 54_000_000, 108_000_000
HZ_PER_WAIT_STATE = 30_000_000
VCO_IN, VCO_OUT = (950_000, 2_100_000), (100_000_000, 432_000_000)


class Rcc(Peripheral):
    """Oscillators and the PLL are ready at once. Clocks beyond the chip's limits stop the machine."""

    name = "RCC"
    base = 0x40023800
    registers: ClassVar = {
        0x00: Register(
            "CR",
            HSION | HSIRDY | 0x80,
            HSION | 0xF8 | HSEON | 7 << 17 | PLLON | PLLI2SON | PLLSAION,
            0x2A00FF02,
        ),
        0x04: Register("PLLCFGR", 0x24003010, PLL_M | PLL_N | PLL_P | PLL_SRC | PLL_Q),
        0x08: Register("CFGR", 0, 0x3 | 0xF << 4 | 7 << 10 | 7 << 13, 0xC),
        0x30: Register("AHB1ENR", 0x00100000, 0x7FF | 1 << 20 | 1 << 22),  # ports A to K, DTCM, DMA2
        0x38: Register("AHB3ENR", 0, 1 << 0),
        0x40: Register("APB1ENR", 0x00000400, 1 << 5 | 1 << 10 | 1 << 23 | 1 << 28),
        0x44: Register("APB2ENR", 0, 1 << 4 | 1 << 8 | 1 << 14 | 1 << 23 | 1 << 26),
        0x74: Register("CSR", POWER_UP, LSION | RMVF, RESET_FLAGS | LSIRDY),
        0x84: Register("PLLI2SCFGR", 0x24003000, PLL_N | 3 << 16 | PLL_Q | 7 << 28),
        0x88: Register("PLLSAICFGR", 0x24003000, PLL_N | 3 << 16 | PLL_Q | PLL_R),
        0x8C: Register("DCKCFGR1", 0, PLLI2SDIVQ | SAI2SEL | PLLSAIDIVR),
    }

    def __init__(self, machine: Machine, flash: Flash, pwr: Pwr):
        self._flash, self._pwr = flash, pwr
        self._causes = POWER_UP
        self.core_hz = HSI_HZ
        super().__init__(machine)
        machine.clocks = self

    def reset(self) -> None:
        if self.values:  # not the first time, at power-up
            self.machine.clock_changes()
        super().reset()
        self.core_hz = self.pclk1_hz = self.pclk2_hz = HSI_HZ

    def note_reset(self, cause: str) -> None:
        """The chip was reset because of ``cause``, a key of CAUSES; flags stay until RMVF."""
        self._causes |= CAUSES[cause]

    def enabled(self, register: str, bit: int) -> bool:
        return bool(self.values[register] >> bit & 1)

    def read_CR(self) -> int:
        on = self.values["CR"]
        return on | (on & (HSION | HSEON | PLLON | PLLI2SON | PLLSAION)) << 1

    def write_CR(self, value: int) -> None:
        source = self.values["CFGR"] & 3
        needed = (HSION, HSEON, PLLON)[source]
        if not value & needed:
            raise Refused("RCC_CR: switches off the clock that the processor runs on")
        if value & PLLON and not self.values["CR"] & PLLON:
            self._pll_hz(value)
        if value & PLLI2SON and not self.values["CR"] & PLLI2SON:
            self._vco_hz(value, "PLLI2SCFGR")
        if value & PLLSAION and not self.values["CR"] & PLLSAION:
            self._vco_hz(value, "PLLSAICFGR")
        self.values["CR"] = value & ~(HSIRDY | HSERDY | PLLRDY | PLLI2SRDY | PLLSAIRDY)

    def write_PLLCFGR(self, value: int) -> None:
        if self.values["CR"] & (PLLON | PLLI2SON | PLLSAION):
            raise Refused("RCC_PLLCFGR: can only be written while the PLLs are off")
        self.values["PLLCFGR"] = value

    def write_PLLI2SCFGR(self, value: int) -> None:
        if self.values["CR"] & PLLI2SON:
            raise Refused("RCC_PLLI2SCFGR: can only be written while the PLLI2S is off")
        self.values["PLLI2SCFGR"] = value

    def write_PLLSAICFGR(self, value: int) -> None:
        if self.values["CR"] & PLLSAION:
            raise Refused("RCC_PLLSAICFGR: can only be written while the PLLSAI is off")
        self.values["PLLSAICFGR"] = value

    def write_DCKCFGR1(self, value: int) -> None:
        if (value ^ self.values["DCKCFGR1"]) & PLLI2SDIVQ and self.values["CR"] & PLLI2SON:
            raise Refused("RCC_DCKCFGR1: PLLI2SDIVQ can only be written while the PLLI2S is off")
        if (value ^ self.values["DCKCFGR1"]) & PLLSAIDIVR and self.values["CR"] & PLLSAION:
            raise Refused("RCC_DCKCFGR1: PLLSAIDIVR can only be written while the PLLSAI is off")
        self.values["DCKCFGR1"] = value

    def pixel_hz(self) -> Fraction | None:
        """The LTDC's pixel clock, output R of the PLLSAI divided; None while that is off."""
        if not self.values["CR"] & PLLSAION:
            return None
        r = (self.values["PLLSAICFGR"] & PLL_R) >> 28
        divider = 2 << ((self.values["DCKCFGR1"] & PLLSAIDIVR) >> 16)
        return self._vco_hz(self.values["CR"], "PLLSAICFGR") / max(r, 2) / divider

    def sai2_hz(self) -> Fraction | None:
        """Clock of SAI2; None while its source is off. Only PLLI2S is modelled as its source."""
        setting = self.values["DCKCFGR1"]
        if setting & SAI2SEL != SAI2SEL_PLLI2S or not self.values["CR"] & PLLI2SON:
            return None
        q = (self.values["PLLI2SCFGR"] & PLL_Q) >> 24
        return self._vco_hz(self.values["CR"], "PLLI2SCFGR") / max(q, 2) / ((setting & PLLI2SDIVQ) + 1)

    def _pll_hz(self, control: int) -> int:
        """Output of the main PLL; refuses what it cannot do."""
        p = 2 * ((self.values["PLLCFGR"] & PLL_P) >> 16) + 2
        return int(self._vco_hz(control, "PLLCFGR") / p)

    def _vco_hz(self, control: int, register: str) -> Fraction:
        """The oscillator of the PLL that ``register`` sets up; all share the source and its divider M."""
        setting = self.values["PLLCFGR"]
        if setting & PLL_SRC and not control & HSEON:
            raise Refused("RCC_CR: the PLL's source is the HSE, which is off")
        source = Fraction(HSE_HZ if setting & PLL_SRC else HSI_HZ)
        m, n = setting & PLL_M, (self.values[register] & PLL_N) >> 6
        if m < 2 or not VCO_IN[0] <= source / m <= VCO_IN[1]:
            raise Refused(f"RCC_PLLCFGR: PLLM {m} gives the PLL no input of 1 to 2 MHz")
        vco = source * n / m
        if not VCO_OUT[0] <= vco <= VCO_OUT[1]:
            raise Refused(f"RCC_{register}: factor {n} takes the VCO out of 100 to 432 MHz")
        return vco

    def read_CFGR(self) -> int:
        value = self.values["CFGR"]
        return value | (value & 3) << 2  # SWS follows SW

    def write_CFGR(self, value: int) -> None:
        source = value & 3
        if source == 3 or not self.values["CR"] & (HSION, HSEON, PLLON)[source]:
            raise Refused(f"RCC_CFGR: SW {source} chooses a clock that isn't running")
        system = (HSI_HZ, HSE_HZ)[source] if source < 2 else self._pll_hz(self.values["CR"])
        core = system >> _ahb_shift(value >> 4 & 0xF)
        pclk1, pclk2 = core >> _apb_shift(value >> 10 & 7), core >> _apb_shift(value >> 13 & 7)
        self._check(core, pclk1, pclk2)
        self.machine.clock_changes()
        self.core_hz, self.pclk1_hz, self.pclk2_hz = core, pclk1, pclk2
        self.values["CFGR"] = value & ~0xC
        self.machine.timer_changed()

    def _check(self, core: int, pclk1: int, pclk2: int) -> None:
        limit = CORE_MAX if self._pwr.over_drive else CORE_MAX_NO_OVER_DRIVE
        if core > limit:
            raise Refused(f"RCC_CFGR: {core} Hz is over {limit} Hz, the most with this over-drive setting")
        if pclk1 > PCLK1_MAX or pclk2 > PCLK2_MAX:
            raise Refused(f"RCC_CFGR: PCLK1 {pclk1} Hz or PCLK2 {pclk2} Hz is over its limit")
        needed = (core - 1) // HZ_PER_WAIT_STATE
        if self._flash.latency < needed:
            raise Refused(f"RCC_CFGR: {core} Hz needs {needed} flash wait states, not {self._flash.latency}")

    def read_CSR(self) -> int:
        lsi = self.values["CSR"] & LSION
        return self._causes | lsi | lsi << 1

    def write_CSR(self, value: int) -> None:
        self.values["CSR"] = value & LSION
        if value & RMVF:
            self._causes = 0


def _ahb_shift(prescaler: int) -> int:
    """log2 of the divisor that HPRE means: 1, then 2 to 16 and 64 to 512."""
    return 0 if prescaler < 8 else (1, 2, 3, 4, 6, 7, 8, 9)[prescaler - 8]


def _apb_shift(prescaler: int) -> int:
    """log2 of the divisor that PPRE1 or PPRE2 means."""
    return 0 if prescaler < 4 else prescaler - 3
