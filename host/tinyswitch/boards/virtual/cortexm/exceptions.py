"""Exceptions of an ARMv7-M: pending, priorities, entry, return, faults (ARM DDI 0403E, B1.5)."""

from __future__ import annotations

import enum
import struct

from unicorn import arm_const as reg

from tinyswitch.boards.virtual.counter import HAS_FPU
from tinyswitch.boards.virtual.cpu import XPSR_T, Cpu, Registers
from tinyswitch.boards.virtual.errors import Halt

RESET, NMI, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT, SVC = 1, 2, 3, 4, 5, 6, 11
DEBUG_MONITOR, PEND_SV, SYS_TICK, IRQ0 = 12, 14, 15, 16
FIXED = {RESET: -3, NMI: -2, HARD_FAULT: -1}
LOWEST = 256  # execution priority of thread mode with nothing masked

XPSR_STACK_ALIGNED = 1 << 9
CONTROL_SPSEL, CONTROL_FPCA = 2, 4
ASPEN, LSPEN = 1 << 31, 1 << 30
RETURN_THREAD, RETURN_PSP, RETURN_BASIC = 8, 4, 16  # bits of EXC_RETURN
HFSR_FORCED, HFSR_DEBUGEVT = 1 << 30, 1 << 31
SHCSR_MEMFAULTENA = 1 << 16  # BUSFAULTENA and USGFAULTENA follow

_FRAME = (*range(reg.UC_ARM_REG_R0, reg.UC_ARM_REG_R0 + 4), reg.UC_ARM_REG_R12, reg.UC_ARM_REG_LR)
_BEFORE_ENTRY = Registers(
    *_FRAME, reg.UC_ARM_REG_PC, reg.UC_ARM_REG_XPSR, reg.UC_ARM_REG_CONTROL, reg.UC_ARM_REG_SP
)
_AFTER_ENTRY = Registers(
    reg.UC_ARM_REG_SP, reg.UC_ARM_REG_XPSR_NZCVQG, reg.UC_ARM_REG_LR, reg.UC_ARM_REG_PC
)  # in this order: the state decides which stack pointer SP is
_AFTER_RETURN = Registers(*_FRAME, reg.UC_ARM_REG_PC)


class Fault(enum.Enum):
    """Usage faults; the value is the bit of CFSR. A breakpoint without debugger is a hard fault."""

    UNDEFINED = 1 << 16
    INVALID_STATE = 1 << 17
    INVALID_PC = 1 << 18
    NO_COPROCESSOR = 1 << 19
    DIVIDE_BY_ZERO = 1 << 25
    BREAKPOINT = 0


class Exceptions:
    """The exception model. Peripherals call :meth:`pend` and :meth:`set_line`, the machine the rest."""

    def __init__(self, cpu: Cpu, boot: int):
        self.cpu, self.boot = cpu, boot
        self._clear()

    def _clear(self) -> None:
        self.vtor = self.boot
        self.pending: set[int] = set()
        self.active: list[int] = []  # innermost last
        self.enabled: set[int] = set()  # external interrupts
        self.lines: set[int] = set()  # external interrupts whose line is high
        self.priority: dict[int, int] = {}
        self.group_bits = 0  # AIRCR.PRIGROUP
        self.shcsr = self.cfsr = self.hfsr = 0
        self.fpccr = ASPEN | LSPEN
        self.allow_fpu(False)

    def allow_fpu(self, allowed: bool) -> None:
        """CPACR gives, or doesn't give, access to the floating-point unit."""
        self.fpu_allowed = allowed
        self.cpu.set_trap(HAS_FPU, not allowed)

    def reset(self) -> None:
        """Registers as at reset; execution starts at the reset vector. Raises Halt if there is none."""
        self._clear()
        cpu = self.cpu
        stack, start = cpu.read_word(self.boot), cpu.read_word(self.boot + 4)
        if stack is None or start is None or not start & 1 or not cpu.memory_at(start & ~1, 2, write=False):
            raise Halt(f"no vector table at 0x{self.boot:08x}")
        cpu[reg.UC_ARM_REG_XPSR_NZCVQG] = XPSR_T
        for register in ("CONTROL", "PRIMASK", "BASEPRI", "FAULTMASK", "FPSCR", "PSP"):
            cpu[getattr(reg, f"UC_ARM_REG_{register}")] = 0
        cpu[reg.UC_ARM_REG_MSP] = stack & ~3
        cpu[reg.UC_ARM_REG_LR] = 0xFFFFFFFF
        cpu[reg.UC_ARM_REG_PC] = start
        cpu.state.watch_masks = 0

    # Priorities

    def _group(self, priority: int) -> int:
        """The part of a priority that decides about preemption."""
        return priority & ~((2 << self.group_bits) - 1) & 0xFF

    def priority_of(self, number: int) -> int:
        return FIXED.get(number, self.priority.get(number, 0))

    def _preemption_priority(self, number: int) -> int:
        return FIXED[number] if number in FIXED else self._group(self.priority.get(number, 0))

    def _execution_priority(self, *, ignore_primask: bool = False) -> int:
        level = min((self._preemption_priority(n) for n in self.active), default=LOWEST)
        if base := self.cpu[reg.UC_ARM_REG_BASEPRI]:
            level = min(level, self._group(base))
        if self.cpu[reg.UC_ARM_REG_PRIMASK] and not ignore_primask:
            level = min(level, 0)
        return min(level, -1) if self.cpu[reg.UC_ARM_REG_FAULTMASK] else level

    def _is_enabled(self, number: int) -> bool:
        if number >= IRQ0:
            return number in self.enabled
        if MEM_MANAGE <= number <= USAGE_FAULT:
            return bool(self.shcsr & SHCSR_MEMFAULTENA << number - MEM_MANAGE)
        return True

    def _candidate(self) -> int | None:
        """The pending exception that would come first."""
        able = [n for n in self.pending if self._is_enabled(n)]
        return min(able, key=lambda n: (self.priority_of(n), n), default=None)

    def wakes(self) -> bool:
        """Whether WFI ends: an exception is pending that would preempt if PRIMASK were clear."""
        n = self._candidate()
        return n is not None and self._preemption_priority(n) < self._execution_priority(ignore_primask=True)

    # Requests

    def pend(self, number: int) -> None:
        """Makes an exception pending; it is taken before the next block, if nothing masks it."""
        if number not in self.pending:
            self.pending.add(number)
            self.cpu.request_stop()

    def set_line(self, irq: int, high: bool) -> None:
        """Level of a peripheral's interrupt line. Its rise is latched, even while the handler runs."""
        number = IRQ0 + irq
        if high and number not in self.lines:
            self.lines.add(number)
            self.pend(number)
        elif not high:
            self.lines.discard(number)

    # Entry and return

    def deliver(self) -> None:
        """Enters the pending exception that preempts, if there is one."""
        number = self._candidate()
        if number is not None and self._preemption_priority(number) < self._execution_priority():
            self.pending.discard(number)
            self._enter(number)
            number = self._candidate()
        self._watch(number is not None)

    def _watch(self, masked: bool) -> None:
        """While something pending is held back, the counter stops when PRIMASK and the like change."""
        state = self.cpu.state
        if masked:
            for i in range(3):
                state.masks[i] = self.cpu[state.mask_registers[i]]
        state.watch_masks = masked

    def _enter(self, number: int) -> None:
        cpu = self.cpu
        *frame, pc, xpsr, control, sp = cpu.read_all(_BEFORE_ENTRY)
        with_fpu = bool(control & CONTROL_FPCA and self.fpccr & ASPEN)
        thread = not self.active
        size = 104 if with_fpu else 32
        frame_at = sp - size & ~7
        saved = xpsr & ~XPSR_STACK_ALIGNED | (XPSR_STACK_ALIGNED if sp & 4 else 0)
        words = [*frame, pc & ~1, saved]
        if with_fpu:
            words += [cpu[reg.UC_ARM_REG_S0 + i] for i in range(16)] + [cpu[reg.UC_ARM_REG_FPSCR], 0]
        self._store(frame_at, words, number)
        psp = thread and control & CONTROL_SPSEL
        exc_return = 0xFFFFFFE1 | (0 if with_fpu else RETURN_BASIC)
        exc_return |= (RETURN_THREAD if thread else 0) | (RETURN_PSP if psp else 0)
        vector = self._vector(number)
        cpu.write_all(_AFTER_ENTRY, [frame_at, xpsr & 0xF80F0000 | XPSR_T | number, exc_return, vector])
        if with_fpu:
            cpu[reg.UC_ARM_REG_CONTROL] = control & ~CONTROL_FPCA
        self.active.append(number)
        if not vector & 1:
            raise Halt(f"vector of exception {number} is 0x{vector:08x}, an even address: lockup")

    def _vector(self, number: int) -> int:
        vector = self.cpu.read_word(self.vtor + 4 * number)
        if vector is None:
            raise Halt(f"exception {number}: the vector table at 0x{self.vtor:08x} is outside memory")
        return vector

    def _store(self, address: int, words: list[int], number: int) -> None:
        place = self.cpu.memory_at(address & 0xFFFFFFFF, 4 * len(words), write=True)
        if place is None:
            raise Halt(
                f"exception {number}: its stack frame at 0x{address & 0xFFFFFFFF:08x} is outside memory "
                f"(stack overflow); pc 0x{self.cpu[reg.UC_ARM_REG_PC]:08x}"
            )
        data, offset = place
        data[offset : offset + 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)

    def leave(self, exc_return: int) -> None:
        """Exception return with that value in the PC. Raises Halt where the processor would fault on it."""
        cpu = self.cpu
        if not self.active or exc_return not in (0xFFFFFFE1, 0xFFFFFFE9, 0xFFFFFFED, 0xFFFFFFF1, 0xFFFFFFF9,
                                                 0xFFFFFFFD):  # fmt: skip
            raise Halt(f"exception return with 0x{exc_return:08x}, outside a handler or no EXC_RETURN value")
        number = self.active.pop()
        thread = bool(exc_return & RETURN_THREAD)
        if thread == bool(self.active):
            raise Halt(f"exception {number} returns to the wrong mode: EXC_RETURN 0x{exc_return:08x}")
        if number not in (NMI, HARD_FAULT) or not self.active:
            cpu[reg.UC_ARM_REG_FAULTMASK] = 0
        self._pop(exc_return)
        if number in self.lines:
            self.pend(number)

    def _pop(self, exc_return: int) -> None:
        cpu = self.cpu
        with_fpu = not exc_return & RETURN_BASIC
        stack = reg.UC_ARM_REG_PSP if exc_return & RETURN_PSP else reg.UC_ARM_REG_MSP
        at = cpu[stack]
        size = 104 if with_fpu else 32
        place = cpu.memory_at(at, size, write=False)
        if place is None:
            raise Halt(f"exception return: no memory at the stack pointer, 0x{at:08x}")
        data, offset = place
        words = struct.unpack(f"<{size // 4}I", bytes(data[offset : offset + size]))
        xpsr, pc = words[7], words[6]
        after = at + size + (4 if xpsr & XPSR_STACK_ALIGNED else 0)
        number = self.active[-1] if self.active else 0
        if (xpsr & 0x1FF) != number:
            raise Halt(f"exception return: the frame's IPSR is {xpsr & 0x1FF}, {number} is active")
        cpu[reg.UC_ARM_REG_XPSR_NZCVQG] = xpsr & ~XPSR_STACK_ALIGNED
        control = cpu[reg.UC_ARM_REG_CONTROL] & ~(CONTROL_FPCA if self.fpccr & ASPEN else 0)
        if not self.active:
            control = control & ~CONTROL_SPSEL | (CONTROL_SPSEL if exc_return & RETURN_PSP else 0)
        if with_fpu:
            control |= CONTROL_FPCA
            for i in range(16):
                cpu[reg.UC_ARM_REG_S0 + i] = words[8 + i]
        cpu[reg.UC_ARM_REG_CONTROL] = control
        if with_fpu:
            cpu[reg.UC_ARM_REG_FPSCR] = words[24]
        cpu[stack] = after
        cpu.write_all(_AFTER_RETURN, [*words[:6], pc | 1])

    # Synchronous exceptions

    def service_call(self) -> None:
        """SVC: taken at once, or a hard fault if masked."""
        if self._preemption_priority(SVC) < self._execution_priority():
            self._enter(SVC)
        else:
            self._hard_fault(HFSR_FORCED, "SVC")

    def fault(self, fault: Fault) -> None:
        """Enters the fault's handler. Raises Halt where the processor would lock up."""
        if fault is Fault.BREAKPOINT:
            self._hard_fault(HFSR_DEBUGEVT, fault.name)
            return
        self.cfsr |= fault.value
        able = self._is_enabled(USAGE_FAULT)
        if able and self._preemption_priority(USAGE_FAULT) < self._execution_priority():
            self._enter(USAGE_FAULT)
        else:
            self._hard_fault(HFSR_FORCED, fault.name)

    def _hard_fault(self, why: int, name: str) -> None:
        if self._execution_priority() <= FIXED[HARD_FAULT]:
            pc = self.cpu[reg.UC_ARM_REG_PC]
            what = name.lower().replace("_", " ")
            raise Halt(f"{what} within a hard fault: the processor locks up; pc 0x{pc:08x}")
        self.hfsr |= why
        self._enter(HARD_FAULT)
