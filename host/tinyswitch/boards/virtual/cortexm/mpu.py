"""Memory protection unit: registers only, nothing is protected (PM0253, 4.6)."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.peripheral import Peripheral, Register

REGIONS = 8


class Mpu(Peripheral):
    """Keeps what is written per region, so that it reads back."""

    name = "MPU"
    base = 0xE000ED90
    size = 0x2C
    registers: ClassVar = {
        0x00: Register("TYPE", REGIONS << 8),
        0x04: Register("CTRL", 0, 7),
        0x08: Register("RNR", 0, REGIONS - 1),
        **{
            0x0C + 8 * i: Register("RBAR" + suffix, 0, 0xFFFFFFFF)
            for i, suffix in enumerate(("", "_A1", "_A2", "_A3"))
        },
        **{
            0x10 + 8 * i: Register("RASR" + suffix, 0, 0x173FFF3F)
            for i, suffix in enumerate(("", "_A1", "_A2", "_A3"))
        },
    }

    def reset(self) -> None:
        super().reset()
        self._bases, self._attributes = [0] * REGIONS, [0] * REGIONS

    def read(self, offset: int, size: int) -> int:
        name = self._find(offset, size)[0].name
        region = self.values["RNR"]
        if name.startswith("RBAR"):
            return self._bases[region] | region
        if name.startswith("RASR"):
            return self._attributes[region]
        return super().read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        super().write(offset, size, value)
        name = self._find(offset, size)[0].name
        if name.startswith("RBAR"):
            if value & 0x10:  # VALID: the write chooses the region too
                self.values["RNR"] = value & (REGIONS - 1)
            self._bases[self.values["RNR"]] = value & ~0x1F
        elif name.startswith("RASR"):
            self._attributes[self.values["RNR"]] = value
