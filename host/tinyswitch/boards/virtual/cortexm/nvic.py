"""Nested vectored interrupt controller (ARM DDI 0403E, B3.4)."""

from __future__ import annotations

from typing import ClassVar

from tinyswitch.boards.virtual.cortexm.exceptions import IRQ0
from tinyswitch.boards.virtual.errors import Refused
from tinyswitch.boards.virtual.peripheral import Peripheral

_SET_ENABLE, _CLEAR_ENABLE, _SET_PENDING, _CLEAR_PENDING, _ACTIVE, _PRIORITY = (
    0x000, 0x080, 0x100, 0x180, 0x200, 0x300,
)  # fmt: skip


class Nvic(Peripheral):
    """``lines`` interrupt lines, ``bits`` bits of priority in the upper part of each priority byte."""

    name = "NVIC"
    base = 0xE000E100
    size = 0x3F0
    registers: ClassVar = {}  # arrays of registers, decoded in read and write

    def __init__(self, machine, lines: int, bits: int):
        self._lines, self._mask = lines, 0xFF << 8 - bits & 0xFF
        super().__init__(machine)

    def _numbers(self, offset: int) -> range:
        """The exceptions that a register of one bit per interrupt covers."""
        first = 8 * (offset & 0x7C)
        return range(IRQ0 + first, IRQ0 + min(first + 32, self._lines))

    def read(self, offset: int, size: int) -> int:
        if _PRIORITY <= offset < _PRIORITY + self._lines:
            numbers = range(IRQ0 + offset - _PRIORITY, IRQ0 + offset - _PRIORITY + size)
            return sum(self.machine.exceptions.priority.get(n, 0) << 8 * i for i, n in enumerate(numbers))
        core = self.machine.exceptions
        group = offset & ~0x7F
        source = {
            _SET_ENABLE: core.enabled, _CLEAR_ENABLE: core.enabled,
            _SET_PENDING: core.pending, _CLEAR_PENDING: core.pending, _ACTIVE: core.active,
        }.get(group)  # fmt: skip
        if source is None or size != 4 or not self._numbers(offset):
            raise Refused(f"the {self.name} has no such register")
        return sum(1 << i for i, n in enumerate(self._numbers(offset)) if n in source)

    def write(self, offset: int, size: int, value: int) -> None:
        core = self.machine.exceptions
        if _PRIORITY <= offset < _PRIORITY + self._lines:
            for i in range(size):
                core.priority[IRQ0 + offset - _PRIORITY + i] = value >> 8 * i & self._mask
            core.cpu.request_stop()
            return
        if size != 4 or not self._numbers(offset):
            raise Refused(f"the {self.name} has no such register")
        chosen = {n for i, n in enumerate(self._numbers(offset)) if value >> i & 1}
        group = offset & ~0x7F
        if group == _SET_ENABLE:
            core.enabled |= chosen
        elif group == _CLEAR_ENABLE:
            core.enabled -= chosen
        elif group == _SET_PENDING:
            core.pending |= chosen
        elif group == _CLEAR_PENDING:
            core.pending -= chosen - core.lines
        else:
            raise Refused(f"the {self.name} has no such register to write")
        core.cpu.request_stop()
