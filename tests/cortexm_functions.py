"""One C file compiled for a Cortex-M, its functions called in an emulator."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm_const as reg

from cortexm_engine import CODE, CPUS, NOWHERE, STACK, STACK_BYTES, TOOLS
from native_engine import FLAGS, RUNNER, compiler

DATA, ROOM = 0x30000000, 0x10000  # the caller's: three pieces of ROOM bytes


class Functions:
    """A processor of ``cortexm_engine.CPUS`` with nothing but ``source``, without variables, in its flash."""

    def __init__(self, cpu: str, source: Path):
        flags, model = CPUS[cpu]
        self.memory = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.memory.ctl_set_cpu_model(model)
        self.memory.mem_map(CODE, 1 << 20, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self.memory.mem_map(STACK, STACK_BYTES)
        self.memory.mem_map(DATA, 3 * ROOM)
        with tempfile.TemporaryDirectory() as folder:
            elf = Path(folder) / "functions.elf"
            link = ["-nostartfiles", "-T", str(RUNNER / "cortexm.ld"), f"-Wl,--defsym=origin={CODE}"]
            target = [*flags, "-mthumb", "-mfloat-abi=hard", "-O2"]
            compiler(f"{TOOLS}gcc", *FLAGS, *target, *link, "-Wl,--entry=0", str(source), "-o", str(elf))
            with open(elf, "rb") as file:
                parsed = ELFFile(file)
                self.memory.mem_write(CODE, parsed.get_section_by_name(".constant").data())
                symbols = parsed.get_section_by_name(".symtab").iter_symbols()
                self._functions = {s.name: s["st_value"] for s in symbols}
        self.instructions = 0  # of the last counted call

    def call(self, function: str, *arguments: int, count: bool = False) -> int:
        """What ``function`` returns; with ``count`` its instructions are counted."""
        stack = STACK + STACK_BYTES - 16
        for i, value in enumerate(arguments[:4]):
            self.memory.reg_write(getattr(reg, f"UC_ARM_REG_R{i}"), value)
        self.memory.mem_write(stack, struct.pack(f"<{len(arguments[4:])}I", *arguments[4:]))
        self.memory.reg_write(reg.UC_ARM_REG_SP, stack)
        self.memory.reg_write(reg.UC_ARM_REG_LR, NOWHERE | 1)
        hook = self.memory.hook_add(unicorn.UC_HOOK_CODE, self._count) if count else None
        self.memory.ctl_flush_tb()  # hooks are put in, and left out, where code is translated
        self.instructions = 0
        self.memory.emu_start(self._functions[function] | 1, NOWHERE)
        if hook is not None:
            self.memory.hook_del(hook)
        return self.memory.reg_read(reg.UC_ARM_REG_R0)

    def _count(self, *_: object) -> None:
        self.instructions += 1
