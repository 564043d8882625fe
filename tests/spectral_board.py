"""``firmware/features/spectral.c`` compiled for a Cortex-M and called in an emulator."""

from __future__ import annotations

import functools
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm_const as reg

from cortexm_engine import CODE, CPUS, NOWHERE, STACK, STACK_BYTES, TOOLS
from native_engine import FLAGS, RUNNER, compiler
from tinyswitch.features.spectral import HEADER, PER_AXIS, Window

MEMORY, RING, RESULT, ROOM = 0x30000000, 0x30010000, 0x30020000, 0x10000


class SpectralBoard:
    """A processor with nothing but the feature extraction in its flash; ``board`` keeps one a kind."""

    def __init__(self, cpu: str):
        flags, model = CPUS[cpu]
        self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(model)
        self._uc.mem_map(CODE, 1 << 20, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._uc.mem_map(STACK, STACK_BYTES)
        self._uc.mem_map(MEMORY, 3 * ROOM)
        with tempfile.TemporaryDirectory() as folder:
            elf = Path(folder) / "spectral.elf"
            link = ["-nostartfiles", "-T", str(RUNNER / "cortexm.ld"), f"-Wl,--defsym=origin={CODE}"]
            target = [*flags, "-mthumb", "-mfloat-abi=hard", "-O2"]
            source = str(HEADER.with_suffix(".c"))
            compiler(f"{TOOLS}gcc", *FLAGS, *target, *link, "-Wl,--entry=0", source, "-o", str(elf))
            with open(elf, "rb") as file:
                parsed = ELFFile(file)
                self._uc.mem_write(CODE, parsed.get_section_by_name(".constant").data())
                symbols = parsed.get_section_by_name(".symtab").iter_symbols()
                self._functions = {s.name: s["st_value"] for s in symbols}
        self.instructions = 0  # of the last call, while they are counted

    def features(self, window: Window, samples: np.ndarray, count: bool = False) -> np.ndarray:
        """Features, int8, of one window (samples, axes) int16."""
        n, axes = samples.shape
        assert self._call("ts_spectral_begin", MEMORY, window.samples, window.log2_length) == 0
        self._uc.mem_write(RING, samples.tobytes())
        hook = self._uc.hook_add(unicorn.UC_HOOK_CODE, self._count) if count else None
        self._uc.ctl_flush_tb()  # hooks are put in, and left out, where code is translated
        self.instructions = 0
        self._call("ts_spectral_features", MEMORY, RING, n, 0, axes, RESULT)
        if hook is not None:
            self._uc.hook_del(hook)
        return np.frombuffer(self._uc.mem_read(RESULT, axes * PER_AXIS), np.int8)

    def _count(self, *_: object) -> None:
        self.instructions += 1

    def _call(self, function: str, *arguments: int) -> int:
        stack = STACK + STACK_BYTES - 16
        for i, value in enumerate(arguments[:4]):
            self._uc.reg_write(getattr(reg, f"UC_ARM_REG_R{i}"), value)
        self._uc.mem_write(stack, struct.pack(f"<{len(arguments[4:])}I", *arguments[4:]))
        self._uc.reg_write(reg.UC_ARM_REG_SP, stack)
        self._uc.reg_write(reg.UC_ARM_REG_LR, NOWHERE | 1)
        self._uc.emu_start(self._functions[function] | 1, NOWHERE)
        return self._uc.reg_read(reg.UC_ARM_REG_R0)


@functools.cache
def board(cpu: str) -> SpectralBoard:
    """The processor ``cpu`` of ``cortexm_engine.CPUS``, for the whole run of the tests."""
    return SpectralBoard(cpu)


def features_on(cpu: str, window: Window, batch: Sequence[np.ndarray]) -> np.ndarray:
    """(len(batch), features) int8 of windows (samples, axes) int16."""
    return np.array([board(cpu).features(window, samples) for samples in batch])
