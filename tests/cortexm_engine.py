"""The engine compiled for a Cortex-M and run in an emulator, a model at a time: the assembly's tests.

The engine is compiled and loaded once a processor; a model adds only its tables. The arena ends, or begins,
where there is no memory, so an access outside it fails. Unicorn lets unaligned LDM, STM, LDRD and STRD pass
where the chip faults, so each of those is watched.
"""

from __future__ import annotations

import ctypes
import functools
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm_const as reg
from unicorn.unicorn_py3 import unicorn as binding

from native_engine import FLAGS, RUNNER, Outputs, as_bytes, compiler, engine_sources, objects, split_outputs
from tinyswitch.compiler import Plan, compile_model, emit

TOOLS = "arm-none-eabi-"
CPUS = {
    "cortex-m7": (["-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16"], reg.UC_CPU_ARM_CORTEX_M7),
    "cortex-m4": (["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"], reg.UC_CPU_ARM_CORTEX_M4),
}
CODE, TABLES, IMAGE_BYTES = 0x08000000, 0x08100000, 1 << 20
STACK, STACK_BYTES = 0x20000000, 1 << 16
ARENA, FRAME, RESULTS = 0x30000000, 0x40000000, 0x50000000
PAGE = 4096
NOWHERE = CODE + IMAGE_BYTES - 16  # where run_model() returns to
SECONDS = 20  # a run takes far less
FILL = 0xA5  # of an arena that nothing has been written to

_WATCHED = re.compile(
    r"^\s*([0-9a-f]+):\s+"
    r"(?:(?:v?ldm|v?stm)\S*\s+(?P<many>\w+)|(?:(?:ldr|str)d|vldr|vstr)\S*\s+[^\[]*\[(?P<one>\w+))",
    re.MULTILINE,
)


class _Watched(ctypes.Structure):
    """``struct watched`` of alignment.c."""

    _fields_ = [
        ("reg_read", ctypes.c_void_p),
        ("base", ctypes.c_int32),
        ("runs", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("address", ctypes.c_uint32),
    ]


class CortexM:
    """A processor with the engine in its flash. :func:`cortexm` keeps one a kind."""

    def __init__(self, cpu: str):
        self._temporary = tempfile.TemporaryDirectory(prefix=f"tinyswitch-{cpu}-")
        self._folder = Path(self._temporary.name)
        self._flags, model = CPUS[cpu]
        self._flags = [*FLAGS, *self._flags, "-mthumb", "-mfloat-abi=hard"]
        self._elf = self._build_engine()
        self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(model)
        self._uc.mem_map(CODE, IMAGE_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._uc.mem_map(TABLES, IMAGE_BYTES, unicorn.UC_PROT_READ)
        self._uc.mem_map(STACK, STACK_BYTES)
        self._entry = self._load(self._elf, CODE)["run_model"]
        self.watched: dict[int, _Watched] = {}
        self._watch_alignment()

    def run(
        self, path: Path, frames: Sequence[np.ndarray], beside: Sequence[Path] = ()
    ) -> tuple[Plan, list[Outputs]]:
        """Compiles the model ``path`` with kernels for this processor and runs it.

        ``beside``: models whose tables are emitted together with its own.

        Frames are (height, width, channels) of the input's dtype. For the first half of them no memory
        follows the arena, for the other half there is none in front of it.
        """
        plan = compile_model(path, "dsp")
        model = self._load_tables([*(compile_model(p, "dsp") for p in beside), plan])
        half = (len(frames) + 1) // 2
        results = self._run(plan, model, frames[:half], at_end=True)
        results += self._run(plan, model, frames[half:], at_end=False)
        self._assert_aligned()
        return plan, split_outputs(results, plan, len(frames))

    def _build_engine(self) -> Path:
        built = objects(engine_sources(), self._folder, f"{TOOLS}gcc", *self._flags, "-g", "-O2")
        return self._link("engine", CODE, *built)

    def _link(self, name: str, origin: int, *arguments: str) -> Path:
        elf = self._folder / f"{name}.elf"
        link = ["-nostartfiles", "-T", str(RUNNER / "cortexm.ld"), f"-Wl,--defsym=origin={origin}"]
        compiler(f"{TOOLS}gcc", *self._flags, *link, "-Wl,--entry=0", *arguments, "-o", str(elf))
        return elf

    def _load(self, elf: Path, origin: int) -> dict[str, int]:
        """Writes an image to memory; returns its symbols."""
        with open(elf, "rb") as file:
            parsed = ELFFile(file)
            data = parsed.get_section_by_name(".data")
            assert data is None or data["sh_size"] == 0, "the engine has variables of its own"
            section = parsed.get_section_by_name(".constant")
            assert section["sh_addr"] == origin and section["sh_size"] <= IMAGE_BYTES
            self._uc.mem_write(origin, section.data())
            return {s.name: s["st_value"] for s in parsed.get_section_by_name(".symtab").iter_symbols()}

    def _load_tables(self, plans: Sequence[Plan]) -> int:
        """Address of the last one's ts_model."""
        sources = [str(s) for s in emit(plans, self._folder / "generated")]
        elf = self._link("tables", TABLES, f"-Wl,--just-symbols={self._elf}", *sources)
        return self._load(elf, TABLES)[f"m{len(plans) - 1}_model"]

    def _run(self, plan: Plan, model: int, frames: Sequence[np.ndarray], at_end: bool) -> bytes:
        if not frames:
            return b""
        uc = self._uc
        room = -(-plan.arena_bytes // PAGE) * PAGE
        arena = ARENA + (room - plan.arena_bytes if at_end else 0)
        data = as_bytes(frames, plan)
        step = len(data) // len(frames)
        sizes = sum(int(np.prod(o.shape)) for o in plan.outputs)
        mapped = [(ARENA, room), (FRAME, -(-len(data) // PAGE) * PAGE), (RESULTS, -(-sizes // PAGE) * PAGE)]
        for base, size in mapped:
            uc.mem_map(base, size, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        try:
            uc.mem_write(ARENA, bytes([FILL]) * room)
            uc.mem_write(FRAME, data)
            results = b""
            for i in range(len(frames)):
                total = self._call(model, arena, plan.arena_bytes, FRAME + i * step, RESULTS)
                assert total == sizes, f"run_model() returned {total}"
                results += uc.mem_read(RESULTS, sizes)
            return results
        finally:
            for base, size in mapped:
                uc.mem_unmap(base, size)

    def _call(self, *arguments: int) -> int:
        """run_model() with five arguments."""
        uc = self._uc
        stack = STACK + STACK_BYTES - 8
        for i, value in enumerate(arguments[:4]):
            uc.reg_write(getattr(reg, f"UC_ARM_REG_R{i}"), value)
        uc.mem_write(stack, arguments[4].to_bytes(4, "little"))
        uc.reg_write(reg.UC_ARM_REG_SP, stack)
        uc.reg_write(reg.UC_ARM_REG_LR, NOWHERE | 1)
        try:
            uc.emu_start(self._entry | 1, NOWHERE, timeout=SECONDS * 1_000_000)
        except unicorn.UcError as error:
            raise AssertionError(f"{error} at {self._where()}") from None
        assert uc.reg_read(reg.UC_ARM_REG_PC) == NOWHERE, (
            f"still running after {SECONDS} s at {self._where()}"
        )
        return ctypes.c_int32(uc.reg_read(reg.UC_ARM_REG_R0)).value

    def _where(self, pc: int | None = None) -> str:
        """Function, file and line of an address, the program counter if None."""
        pc = self._uc.reg_read(reg.UC_ARM_REG_PC) if pc is None else pc
        command = [f"{TOOLS}addr2line", "-fs", "-e", str(self._elf), hex(pc)]
        place = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return f"0x{pc:08x} ({' '.join(place)})"

    def _watch_alignment(self) -> None:
        library = self._folder / "alignment.so"
        compiler("cc", "-std=c99", "-O2", "-shared", "-fPIC", str(RUNNER / "alignment.c"), "-o", str(library))
        self._library = ctypes.CDLL(str(library))
        command = [f"{TOOLS}objdump", "-d", "--no-show-raw-insn", str(self._elf)]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for found in _WATCHED.finditer(listing):
            base = found["many"] or found["one"]
            if base not in ("sp", "pc"):  # always multiples of 4
                self._watch(int(found[1], 16), base)

    def _watch(self, pc: int, base: str) -> None:
        reg_read = ctypes.cast(binding.uclib.uc_reg_read, ctypes.c_void_p)
        number = getattr(reg, f"UC_ARM_REG_{base.upper()}")
        self.watched[pc] = watched = _Watched(reg_read=reg_read.value, base=number)
        status = binding.uclib.uc_hook_add(
            self._uc._uch,
            ctypes.byref(ctypes.c_size_t()),
            unicorn.UC_HOOK_CODE,
            ctypes.cast(self._library.watch, ctypes.c_void_p),
            ctypes.byref(watched),
            ctypes.c_uint64(pc),
            ctypes.c_uint64(pc),
        )
        assert status == unicorn.UC_ERR_OK

    def _assert_aligned(self) -> None:
        found = [(pc, w.address) for pc, w in self.watched.items() if w.faults]
        for watched in self.watched.values():
            watched.faults = 0
        assert not found, "; ".join(f"unaligned 0x{a:08x} at {self._where(pc)}" for pc, a in found)


@functools.cache
def cortexm(cpu: str) -> CortexM:
    """The processor ``cpu``, "cortex-m7" or "cortex-m4", for the whole run of the tests."""
    return CortexM(cpu)
