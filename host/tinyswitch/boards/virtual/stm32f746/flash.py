"""Flash interface (RM0385, 3.7): wait states and accelerator. Programming isn't modelled."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.peripheral import Peripheral, Register

LATENCY, PRFTEN, ARTEN, ARTRST = 0xF, 1 << 8, 1 << 9, 1 << 11


class Flash(Peripheral):
    """FLASH_ACR. The wait states only matter to whether a clock is allowed: there is no timing model."""

    name = "FLASH"
    base = 0x40023C00
    registers: ClassVar = {0x00: Register("ACR", 0, LATENCY | PRFTEN | ARTEN | ARTRST)}

    @property
    def latency(self) -> int:
        """Wait states."""
        return self.values["ACR"] & LATENCY
