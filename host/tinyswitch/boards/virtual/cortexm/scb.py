"""System control block, cache maintenance, FPU control, debug enable (ARM DDI 0403E, B3.2; ARM 100166, 4.1;
PM0253, 4.3 to 4.8)."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.cortexm.exceptions import ASPEN, LSPEN, NMI, PEND_SV, SYS_TICK
from tinyswitch.boards.virtual.counter import DIVIDES_BY_ZERO
from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

ALL = 0xFFFFFFFF
KEY, KEY_READ = 0x05FA, 0xFA05
SYSRESETREQ = 4
CCR_STKALIGN, CCR_BP, CCR_IC, CCR_DC, CCR_DIV_0_TRP = 1 << 9, 1 << 18, 1 << 17, 1 << 16, 1 << 4
CPACR_FPU = 0xF << 20
TRCENA = 1 << 24
SHCSR_ENABLES = 7 << 16


class Scb(Peripheral):
    """A Cortex-M4's: 0xE000ED00 to 0xE000ED8F. ``bits``: of priority, as in the NVIC."""

    name = "SCB"
    base = 0xE000ED00
    size = 0x90
    registers: ClassVar = {
        0x00: Register("CPUID", 0x410FC241),  # Cortex-M4 r0p1
        0x04: Register("ICSR", 0, 0x9E000000, 0x00C1FFFF),
        0x08: Register("VTOR", 0, 0xFFFFFF80),
        0x0C: Register("AIRCR", KEY_READ << 16, ALL),
        0x10: Register("SCR", 0, 0x14),  # SLEEPDEEP would stop clocks: not modelled
        0x14: Register("CCR", CCR_STKALIGN, CCR_DIV_0_TRP),
        0x18: Register("SHPR1", 0, 0x00F0F0F0, narrow=True),
        0x1C: Register("SHPR2", 0, 0xF0000000, narrow=True),
        0x20: Register("SHPR3", 0, 0xF0F000F0, narrow=True),
        0x24: Register("SHCSR", 0, SHCSR_ENABLES, 0xFFFF),
        0x28: Register("CFSR", 0, ALL, narrow=True),
        0x2C: Register("HFSR", 0, ALL),
        0x30: Register("DFSR", 0, 0x1F),
        0x34: Register("MMFAR", 0, ALL),
        0x38: Register("BFAR", 0, ALL),
        0x88: Register("CPACR", 0, CPACR_FPU),
    }

    def __init__(self, machine, bits: int):
        self._mask = 0xFF << 8 - bits & 0xFF
        super().__init__(machine)

    def reset(self) -> None:
        super().reset()
        self.values["VTOR"] = self.machine.boot
        self.machine.cpu.set_trap(DIVIDES_BY_ZERO, False)

    def read_ICSR(self) -> int:
        core = self.machine.exceptions
        active = core.active[-1] if core.active else 0
        candidate = min(core.pending, key=core.priority_of, default=0)
        flags = sum(1 << bit for n, bit in ((NMI, 31), (PEND_SV, 28), (SYS_TICK, 26)) if n in core.pending)
        return flags | candidate << 12 | (0 if len(core.active) > 1 else 1 << 11) | active

    def write_ICSR(self, value: int) -> None:
        core = self.machine.exceptions
        for number, pend, clear in ((NMI, 31, None), (PEND_SV, 28, 27), (SYS_TICK, 26, 25)):
            if value >> pend & 1:
                core.pend(number)
            elif clear and value >> clear & 1:
                core.pending.discard(number)

    def write_VTOR(self, value: int) -> None:
        self.values["VTOR"] = self.machine.exceptions.vtor = value & 0xFFFFFF80

    def read_AIRCR(self) -> int:
        return KEY_READ << 16 | self.machine.exceptions.group_bits << 8

    def write_AIRCR(self, value: int) -> None:
        if value >> 16 != KEY:
            return  # ignored by the processor
        if value & ~(KEY << 16 | 0x700 | SYSRESETREQ):
            raise Refused(f"SCB_AIRCR: bits of 0x{value & 0xFFFF:04x} aren't modelled")
        self.machine.exceptions.group_bits = value >> 8 & 7
        if value & SYSRESETREQ:
            self.machine.request_reset("software")

    def write_CCR(self, value: int) -> None:
        register = self.registers[0x14]
        self.values["CCR"] = value & register.writable | register.reset
        self.machine.cpu.set_trap(DIVIDES_BY_ZERO, bool(value & CCR_DIV_0_TRP))

    def _set_priorities(self, name: str, first: int, value: int) -> None:
        self.values[name] = value & self._mask * 0x01010101
        for i in range(4):
            self.machine.exceptions.priority[first + i] = value >> 8 * i & self._mask
        self.machine.cpu.request_stop()

    def write_SHPR1(self, value: int) -> None:
        self._set_priorities("SHPR1", 4, value)

    def write_SHPR2(self, value: int) -> None:
        self._set_priorities("SHPR2", 8, value)

    def write_SHPR3(self, value: int) -> None:
        self._set_priorities("SHPR3", 12, value)

    def read_SHCSR(self) -> int:
        core = self.machine.exceptions
        bits = {4: 0, 5: 1, 6: 3, 11: 7, 12: 8, 14: 10, 15: 11}
        return core.shcsr | sum(1 << bit for n, bit in bits.items() if n in core.active)

    def write_SHCSR(self, value: int) -> None:
        self.machine.exceptions.shcsr = value & SHCSR_ENABLES
        self.machine.cpu.request_stop()

    def read_CFSR(self) -> int:
        return self.machine.exceptions.cfsr

    def write_CFSR(self, value: int) -> None:
        self.machine.exceptions.cfsr &= ~value

    def read_HFSR(self) -> int:
        return self.machine.exceptions.hfsr

    def write_HFSR(self, value: int) -> None:
        self.machine.exceptions.hfsr &= ~value

    def write_CPACR(self, value: int) -> None:
        if value & CPACR_FPU not in (0, CPACR_FPU):
            raise Refused(
                f"SCB_CPACR: access 0x{value >> 20 & 0xF:x} to the FPU isn't modelled, only none or full"
            )
        self.values["CPACR"] = value & CPACR_FPU
        self.machine.exceptions.allow_fpu(value & CPACR_FPU == CPACR_FPU)


class ScbM7(Scb):
    """A Cortex-M7's: it has caches too. They are the STM32F746's."""

    registers: ClassVar = {
        **Scb.registers,
        0x00: Register("CPUID", 0x411FC271),  # Cortex-M7 r1p1
        0x14: Register("CCR", CCR_BP | CCR_STKALIGN, CCR_IC | CCR_DC | CCR_DIV_0_TRP),
        0x78: Register("CLIDR", 0x09000003),
        0x7C: Register("CTR", 0x8303C003),
        0x80: Register("CCSIDR"),
        0x84: Register("CSSELR", 0, 1),
    }
    CACHES = (0xF003E019, 0xF007E009)  # 4 KiB data, 4 ways; 4 KiB instructions, 2 ways (PM0253, 4.5.3)

    def read_CCSIDR(self) -> int:
        return self.CACHES[self.values["CSSELR"] & 1]


class CoreDebug(Peripheral):
    """Debug Exception and Monitor Control Register; only what switches the DWT on."""

    name = "CoreDebug"
    base = 0xE000EDF0
    size = 0x10
    registers: ClassVar = {
        0x0: Register("DHCSR"),
        0xC: Register("DEMCR", 0, TRCENA),
    }


class Fpu(Peripheral):
    """Context control. Lazy stacking isn't modelled: a frame with floating-point state is stored at entry,
    which software can only tell by FPCAR."""

    name = "FPU"
    base = 0xE000EF34
    size = 0x14
    registers: ClassVar = {
        0x0: Register("FPCCR", ASPEN | LSPEN, ASPEN | LSPEN),
        0x4: Register("FPCAR", 0, ALL),
        0x8: Register("FPDSCR"),
        0xC: Register("MVFR0", 0x10110021),
        0x10: Register("MVFR1", 0x11000011),
    }

    def write_FPCCR(self, value: int) -> None:
        self.values["FPCCR"] = self.machine.exceptions.fpccr = value & (ASPEN | LSPEN)


class Stir(Peripheral):
    """Software trigger of an interrupt."""

    name = "STIR"
    base = 0xE000EF00
    size = 4
    registers: ClassVar = {0: Register("STIR", 0, 0x1FF, readable=False)}

    def write_STIR(self, value: int) -> None:
        self.machine.exceptions.pend(16 + value)


class CacheMaintenance(Peripheral):
    """Accepted and without effect: there is no model of the caches, memory is always coherent."""

    name = "CACHE"
    base = 0xE000EF50
    size = 0x2C
    registers: ClassVar = {
        0x00: Register("ICIALLU", 0, ALL, readable=False),
        0x08: Register("ICIMVAU", 0, ALL, readable=False),
        0x0C: Register("DCIMVAC", 0, ALL, readable=False),
        0x10: Register("DCISW", 0, ALL, readable=False),
        0x14: Register("DCCMVAU", 0, ALL, readable=False),
        0x18: Register("DCCMVAC", 0, ALL, readable=False),
        0x1C: Register("DCCSW", 0, ALL, readable=False),
        0x20: Register("DCCIMVAC", 0, ALL, readable=False),
        0x24: Register("DCCISW", 0, ALL, readable=False),
        0x28: Register("BPIALL", 0, ALL, readable=False),
    }
