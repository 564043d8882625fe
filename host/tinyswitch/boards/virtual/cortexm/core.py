"""The private peripherals of a Cortex-M4 or M7: what a chip's maker chose, and the list of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinyswitch.boards.virtual.cortexm import scb
from tinyswitch.boards.virtual.cortexm.dwt import Dwt
from tinyswitch.boards.virtual.cortexm.mpu import Mpu
from tinyswitch.boards.virtual.cortexm.nvic import Nvic
from tinyswitch.boards.virtual.cortexm.systick import SysTick

if TYPE_CHECKING:
    from tinyswitch.boards.virtual.machine import Machine
    from tinyswitch.boards.virtual.peripheral import Peripheral


@dataclass(frozen=True)
class Core:
    """``interrupts``: lines of the NVIC. ``priority_bits``: of each priority byte, the upper ones.
    ``systick_divider``: processor cycles to a count where SYST_CSR.CLKSOURCE is 0; None: there is no such
    clock. ``systick_sleeps``: SysTick stands while the processor sleeps. ``m7``: a Cortex-M7, with caches
    and a lock on the DWT; else a Cortex-M4."""

    interrupts: int
    priority_bits: int
    systick_divider: int | None
    systick_sleeps: bool
    m7: bool

    def peripherals(self, machine: Machine) -> list[Peripheral]:
        """All of them, for a machine."""
        demcr = scb.CoreDebug(machine)
        control = scb.ScbM7 if self.m7 else scb.Scb
        return [
            Nvic(machine, self.interrupts, self.priority_bits),
            SysTick(machine, self.systick_divider, self.systick_sleeps),
            control(machine, self.priority_bits),
            scb.Fpu(machine),
            scb.Stir(machine),
            *([scb.CacheMaintenance(machine)] if self.m7 else []),
            Mpu(machine),
            demcr,
            Dwt(machine, demcr, scb.TRCENA, lock=self.m7),
        ]
