"""USB device (nRF52840 PS v1.1, 6.35): only that the bootloader leaves it on, and it then interrupts."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.peripheral import Peripheral, Register

IRQ = 39
FRAME_SECONDS = 100e-6  # until the next start of a frame: any time below 1 ms


class Usbd(Peripheral):
    """Firmware that wants no USB switches it off, or its interrupt in the NVIC."""

    name = "USBD"
    base = 0x40027000
    size = 0x1000
    registers: ClassVar = {0x500: Register("ENABLE", 0, 1)}

    def reset(self) -> None:
        super().reset()
        self._frame_at: int | None = None  # machine time at which the next frame starts
        self.machine.exceptions.set_line(IRQ, False)

    def leave_on(self) -> None:
        """As the bootloader does."""
        self.values["ENABLE"] = 1
        self._frame_at = self.machine.cycle_of(self.machine.seconds() + FRAME_SECONDS)

    def write_ENABLE(self, value: int) -> None:
        self.values["ENABLE"] = value
        if not value:
            self._frame_at = None
            self.machine.exceptions.set_line(IRQ, False)

    def next_event(self) -> int | None:
        return self._frame_at

    def advance(self) -> None:
        if self._frame_at is not None and self.machine.now() >= self._frame_at:
            self._frame_at = None
            self.machine.exceptions.set_line(IRQ, True)
