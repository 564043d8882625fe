"""Power controller (RM0385, 4.4): voltage scale and over-drive."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register

VOS, VOS_SCALE1 = 3 << 14, 3 << 14
ODEN, ODSWEN = 1 << 16, 1 << 17
VOSRDY, ODRDY, ODSWRDY = 1 << 14, 1 << 16, 1 << 17


class Pwr(Peripheral):
    """Ready bits follow their enables at once."""

    name = "PWR"
    base = 0x40007000
    clock = ("APB1ENR", 28)
    registers: ClassVar = {
        0x0: Register("CR1", VOS_SCALE1, VOS | ODEN | ODSWEN),
        0x4: Register("CSR1"),
    }

    def write_CR1(self, value: int) -> None:
        if value & ODSWEN and not value & ODEN:
            raise Refused("PWR_CR1: ODSWEN without ODEN; the over-drive must be on first")
        self.values["CR1"] = value & (VOS | ODEN | ODSWEN)

    def read_CSR1(self) -> int:
        return VOSRDY | self.values["CR1"] & (ODEN | ODSWEN)  # ODRDY and ODSWRDY have the same places

    @property
    def over_drive(self) -> bool:
        return bool(self.values["CR1"] & ODSWEN)
