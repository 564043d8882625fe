"""The processor core: Unicorn, its memory, exact counting, and why it stopped."""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable
from dataclasses import dataclass

import unicorn
from unicorn import arm_const as reg
from unicorn.unicorn_py3 import unicorn as binding

from tinyswitch.boards.virtual.chip import Chip
from tinyswitch.boards.virtual.counter import HAS_DOUBLE, HAS_FPU, PRIVATE_PERIPHERALS, Counter
from tinyswitch.boards.virtual.errors import Halt

PERIPHERALS = (  # DDI 0403E, B3.1: peripherals, controllers of external memory, the core's own
    (0x40000000, 0x20000000),
    (0xA0000000, 0x00001000),
    (PRIVATE_PERIPHERALS, 0x00100000),
)
NOWHERE = 0xFFFFFFFE  # Unicorn wants an address to stop at; no code can be here
EXC_RETURN = 0xFFFFFFE0  # and above: loading such a value into the PC returns from an exception
XPSR_T = 1 << 24
WAIT_HINTS = (0xBF10, 0xBF20)  # YIELD, WFE

# Unicorn's own functions for Python take ten times as long, and an exception reads and writes 30 registers.
_reg_read, _reg_write = binding.uclib.uc_reg_read, binding.uclib.uc_reg_write
_reg_read_batch, _reg_write_batch = binding.uclib.uc_reg_read_batch, binding.uclib.uc_reg_write_batch
_OF_BLOCKS = HAS_FPU | HAS_DOUBLE  # traps for which the counter stops before the block
_QEMU_SVC, _QEMU_BKPT, _QEMU_EXCEPTION_EXIT = 2, 7, 8  # target/arm/cpu.h, EXCP_*
_ACCESS = {
    unicorn.UC_MEM_READ_UNMAPPED: "read",
    unicorn.UC_MEM_WRITE_UNMAPPED: "write",
    unicorn.UC_MEM_WRITE_PROT: "write",
    unicorn.UC_MEM_FETCH_UNMAPPED: "execution",
    unicorn.UC_MEM_FETCH_PROT: "execution",
}


class Stop(enum.Enum):
    """Why :meth:`Cpu.run` returned."""

    ASKED = "asked to, or the deadline has come"
    SLEEP = "WFI"
    HINT = "WFE or YIELD"
    SVC = "SVC"
    BREAKPOINT = "BKPT"
    RETURN = "exception return; the value is in `Cpu.exc_return`"
    UNDEFINED = "undefined instruction"
    INVALID_STATE = "branch to an even address"
    TRAP = "an instruction of the kind in `Cpu.trapped`, about to run"
    BAD_ACCESS = "no memory there; details in `Cpu.bad_access`"


@dataclass(frozen=True)
class Access:
    """One access to memory. ``value`` is None for reads."""

    kind: str  # read | write | execution
    address: int
    size: int
    value: int | None
    pc: int


class Registers:
    """Unicorn's numbers of some registers of 32 bits, and room for their values."""

    def __init__(self, *numbers: int):
        self.count = len(numbers)
        self.numbers = (ctypes.c_int * self.count)(*numbers)
        self.values = (ctypes.c_uint32 * self.count)()
        at = ctypes.addressof(self.values)
        self.pointers = (ctypes.c_void_p * self.count)(*(at + 4 * i for i in range(self.count)))


class Cpu:
    """Registers, memory and execution. Knows nothing of exceptions, peripherals and time."""

    def __init__(
        self,
        chip: Chip,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
    ):
        """``read(address, size)`` and ``write(address, size, value)`` serve the peripherals' ranges."""
        self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(chip.cpu)
        self.uc.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)  # asks counter_tlb_fill
        self._handle, self._word = self.uc._uch, ctypes.c_uint32()
        self._pointer = ctypes.byref(self._word)
        self.counter = Counter(self.uc)
        self.state = self.counter.state
        self.memories: list[tuple[int, int, ctypes.Array, bool]] = []  # base, size, bytes, writable
        self._traps = HAS_DOUBLE if chip.single_precision else 0
        self.state.trap = self._traps
        self.exc_return = 0
        self.trapped = 0
        self.bad_access: Access | None = None
        for memory in chip.memories:
            data = (ctypes.c_uint8 * memory.size)()
            for base in memory.bases:
                self._map(base, data, memory.writable)
        for base, size in PERIPHERALS:
            self.counter.add_peripherals(base, size, read, write)
        used = [(base, size) for base, size, _, _ in self.memories] + list(PERIPHERALS)
        end = 0
        for base, size in [*sorted(used), (1 << 32, 0)]:
            if base > end:
                self.counter.add_gap(end, base)
            end = base + size

    def _map(self, base: int, data: ctypes.Array, writable: bool) -> None:
        permissions = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC | (unicorn.UC_PROT_WRITE if writable else 0)
        self.uc.mem_map_ptr(base, len(data), permissions, ctypes.addressof(data))
        self.counter.add_memory(base, data, writable)
        self.memories.append((base, len(data), data, writable))

    def attach(self, base: int, data: ctypes.Array) -> None:
        """External memory appears at ``base``; nothing can be executed there."""
        permissions = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        self.uc.mem_map_ptr(base, len(data), permissions, ctypes.addressof(data))
        self.counter.add_data(base, len(data))
        self.memories.append((base, len(data), data, True))

    def detach(self, base: int) -> None:
        """Undoes :meth:`attach`."""
        size = next(length for start, length, _, _ in self.memories if start == base)
        self.uc.mem_unmap(base, size)
        self.memories = [memory for memory in self.memories if memory[0] != base]

    def memory_at(self, address: int, size: int, *, write: bool) -> tuple[ctypes.Array, int] | None:
        """The bytes behind [address, address + size) and the offset in them; None if there's no memory."""
        for base, length, data, writable in self.memories:
            if base <= address and address + size <= base + length and (writable or not write):
                return data, address - base
        return None

    def read_word(self, address: int) -> int | None:
        """32 bits of memory, or None if there is none."""
        place = self.memory_at(address, 4, write=False)
        if place is None:
            return None
        data, offset = place
        return int.from_bytes(bytes(data[offset : offset + 4]), "little")

    def __getitem__(self, register: int) -> int:
        """A register of 32 bits by Unicorn's number, unsigned."""
        _reg_read(self._handle, register, self._pointer)
        return self._word.value

    def __setitem__(self, register: int, value: int) -> None:
        self._word.value = value
        _reg_write(self._handle, register, self._pointer)

    def read_all(self, registers: Registers) -> list[int]:
        """Several registers of 32 bits at once."""
        _reg_read_batch(self._handle, registers.numbers, registers.pointers, registers.count)
        return registers.values[:]

    def write_all(self, registers: Registers, values: list[int]) -> None:
        """Several registers of 32 bits at once, one after the other."""
        registers.values[:] = values
        _reg_write_batch(self._handle, registers.numbers, registers.pointers, registers.count)

    def instructions(self, pc: int) -> int:
        """Instructions completed before the one at ``pc`` of the current block."""
        return self.counter.at(pc)

    def set_trap(self, flag: int, on: bool) -> None:
        """Whether instructions stop with TRAP: HAS_FPU (CPACR) or DIVIDES_BY_ZERO (CCR.DIV_0_TRP)."""
        self._traps = self._traps | flag if on else self._traps & ~flag
        self.state.trap = self._traps

    def request_stop(self) -> None:
        """Stop before the next block."""
        self.state.stop = 1

    def stop_now(self) -> None:
        """Stop as soon as Unicorn can; the current block may run to its end."""
        self.state.stop = 1
        self.uc.emu_stop()

    def run(self) -> Stop:
        """Runs until something in :class:`Stop` happens. The PC is where execution should go on."""
        return self._run_until(NOWHERE)

    def _run_until(self, address: int) -> Stop:
        s = self.state
        s.stop, s.stopped, s.trapped, s.interrupt, s.fault.kind = 0, 0, 0, -1, 0
        pc = self[reg.UC_ARM_REG_PC]
        if not self[reg.UC_ARM_REG_XPSR] & XPSR_T:
            return Stop.INVALID_STATE
        try:
            self.uc.emu_start(pc | 1, address)
        except unicorn.UcError as error:
            return self._stopped_by(error.errno)
        if s.fault.kind:  # a stop that was asked for in the same block hides the error
            return self._bad_access()
        if s.interrupt >= 0:
            return self._software_exception()
        if s.trapped:
            return self._trap()
        return Stop.ASKED if s.stopped else Stop.SLEEP

    def _trap(self) -> Stop:
        self.trapped = self.state.trapped
        if not self.trapped & _OF_BLOCKS:  # counter_divide stopped at the instruction itself
            self.state.executed = self.instructions(self[reg.UC_ARM_REG_PC])
            return Stop.TRAP
        # It stopped before a block with a forbidden instruction: run what comes before that.
        pc = self[reg.UC_ARM_REG_PC]
        first = self.counter.find(pc, pc + 4096, self.trapped)
        if first > pc:
            self.uc.ctl_remove_cache(pc, first)
            self.state.trap &= ~_OF_BLOCKS
            stop = self._run_until(first)
            self.state.trap = self._traps
            if self[reg.UC_ARM_REG_PC] != first:
                return stop
        return Stop.TRAP if self.trapped & self._traps else Stop.ASKED  # it may just have become allowed

    def _software_exception(self) -> Stop:
        number = self.state.interrupt
        pc = self[reg.UC_ARM_REG_PC]
        if number == _QEMU_EXCEPTION_EXIT:
            self.exc_return = pc | 1
            return Stop.RETURN
        if number == _QEMU_SVC:
            return Stop.SVC
        self.state.executed = self.instructions(pc)
        return Stop.BREAKPOINT if number == _QEMU_BKPT else Stop.UNDEFINED

    def _stopped_by(self, errno: int) -> Stop:
        s = self.state
        pc = self[reg.UC_ARM_REG_PC]
        if not self[reg.UC_ARM_REG_XPSR] & XPSR_T:
            s.executed = self.instructions(pc)
            return Stop.INVALID_STATE
        if errno == unicorn.UC_ERR_FETCH_UNMAPPED and pc >= EXC_RETURN:
            self.exc_return = pc | 1
            return Stop.RETURN
        if errno == unicorn.UC_ERR_INSN_INVALID:
            if not s.block <= pc < s.block + s.block_size:  # the PC is past the block: it ended in a hint
                return Stop.HINT
            s.executed = self.instructions(pc)
            return Stop.UNDEFINED
        if s.fault.kind:
            return self._bad_access()
        raise Halt(f"the emulator gave up at pc 0x{pc:08x}: {unicorn.UcError(errno)}")

    def _bad_access(self) -> Stop:
        fault = self.state.fault
        kind = _ACCESS[fault.kind]
        value = fault.value & (1 << 8 * fault.size) - 1 if kind == "write" else None
        at = fault.address if kind == "execution" else fault.pc
        self.bad_access = Access(kind, fault.address, fault.size, value, at)
        return Stop.BAD_ACCESS
