"""Non-volatile memory controller (nRF52840 PS v1.1, 4.3): the instruction cache's switch. No programming."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral, Register


class Nvmc(Peripheral):
    """Always ready; the cache has no effect, since there is no model of the flash's time."""

    name = "NVMC"
    base = 0x4001E000
    size = 0x1000
    registers: ClassVar = {
        0x400: Register("READY", 1),
        0x408: Register("READYNEXT", 1),
        0x504: Register("CONFIG"),
        0x540: Register("ICACHECNF", 0, 1),
        0x548: Register("IHIT"),
        0x54C: Register("IMISS"),
    }

    def write_CONFIG(self, value: int) -> None:
        if value:
            raise Refused(f"NVMC_CONFIG: {value}: writing and erasing the flash aren't modelled")
