"""The instruction counter: ``counter.c``, compiled at first use and hooked into Unicorn by pointer.

Unicorn calls a hook before every translated block. As a Python function that costs twenty times the block
itself, as a C function a tenth of it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import unicorn
from unicorn import arm_const
from unicorn.unicorn_py3 import unicorn as binding

from tinyswitch.errors import TinyswitchError

SOURCE = Path(__file__).with_name("counter.c")
CFLAGS = ("-std=c99", "-O2", "-shared", "-fPIC")
REGIONS = 6

PRIVATE_PERIPHERALS = 0xE0000000  # ARM DDI 0403E, B3.1

HAS_FPU, HAS_DOUBLE, DIVIDES_BY_ZERO = 1, 2, 4  # flags, as in counter.c

_READ = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_void_p)
_WRITE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_uint64, ctypes.c_void_p
)


class _Region(ctypes.Structure):
    _fields_ = [
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("writable", ctypes.c_uint64),
        ("bytes", ctypes.c_void_p),
        ("entries", ctypes.c_void_p),
    ]


class _Fault(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("address", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
        ("pc", ctypes.c_uint32),
    ]


class State(ctypes.Structure):
    """``struct counter``; see there for what each field means."""

    _fields_ = [
        ("executed", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("stop", ctypes.c_uint32),
        ("stopped", ctypes.c_uint32),
        ("trap", ctypes.c_uint32),
        ("trapped", ctypes.c_uint32),
        ("block", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("block_count", ctypes.c_uint32),
        ("block_flags", ctypes.c_uint32),
        ("watch_masks", ctypes.c_uint32),
        ("masks", ctypes.c_uint32 * 3),
        ("mask_registers", ctypes.c_int32 * 3),
        ("registers", ctypes.c_int32 * 16),
        ("xpsr", ctypes.c_int32),
        ("pc", ctypes.c_uint32),
        ("interrupt", ctypes.c_int32),
        ("fault", _Fault),
        ("regions", _Region * REGIONS),
        ("cyccnt_on", ctypes.c_uint32),
        ("cyccnt_origin", ctypes.c_uint64),
        ("emu_stop", ctypes.c_void_p),
        ("reg_read", ctypes.c_void_p),
        ("reg_write", ctypes.c_void_p),
        ("read", ctypes.c_void_p),
    ]


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tinyswitch"


def compile_counter() -> Path:
    """Shared library of ``counter.c`` in the user's cache, compiled if it isn't there yet.

    Raises TinyswitchError if there is no C compiler, it fails, or the cache cannot be written.
    """
    key = hashlib.sha256(SOURCE.read_bytes() + " ".join(CFLAGS).encode()).hexdigest()[:16]
    target = _cache_folder() / f"counter-{key}.so"
    if target.exists():
        return target
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise TinyswitchError("the virtual board needs a C compiler: no cc on PATH; install gcc or clang")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / target.name
            _compile(compiler, made)
            made.replace(target)  # at once, so that two boards that start together don't disturb each other
    except OSError as error:
        raise TinyswitchError(
            f"{target}: {error.strerror}; set XDG_CACHE_HOME to a folder to write to"
        ) from None
    return target


def _compile(compiler: str, target: Path) -> None:
    run = subprocess.run(
        [compiler, *CFLAGS, str(SOURCE), "-o", str(target)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        first = (run.stderr.strip().splitlines() or ["no message"])[0]
        raise TinyswitchError(f"{SOURCE}: {compiler} failed: {first}")


class Counter:
    """Counts the instructions that ``uc`` executes, and stops it when asked or when time is up."""

    def __init__(self, uc: unicorn.Uc):
        self._uc = uc
        self._library = ctypes.CDLL(str(compile_counter()))
        self._library.counter_size.restype = ctypes.c_uint64
        self._library.counter_at.restype = ctypes.c_uint64
        self._library.counter_find.restype = ctypes.c_uint32
        assert self._library.counter_size() == ctypes.sizeof(State), "counter.c and counter.py disagree"
        self.state = State()
        self._pointer = ctypes.byref(self.state)
        self._keep: list[object] = []  # what Unicorn and counter.c hold pointers to
        self._regions = 0
        self._set_up_state()
        self._hook(unicorn.UC_HOOK_BLOCK, "counter_block")
        self._hook(unicorn.UC_HOOK_TLB_FILL, "counter_tlb_fill")
        self._hook(unicorn.UC_HOOK_INTR, "counter_interrupt")

    def _set_up_state(self) -> None:
        s = self.state
        s.emu_stop = ctypes.cast(binding.uclib.uc_emu_stop, ctypes.c_void_p).value
        s.reg_read = ctypes.cast(binding.uclib.uc_reg_read, ctypes.c_void_p).value
        s.reg_write = ctypes.cast(binding.uclib.uc_reg_write, ctypes.c_void_p).value
        s.xpsr = arm_const.UC_ARM_REG_XPSR
        for i in range(16):
            s.registers[i] = getattr(arm_const, f"UC_ARM_REG_R{i}")
        for i, name in enumerate(("PRIMASK", "BASEPRI", "FAULTMASK")):
            s.mask_registers[i] = getattr(arm_const, f"UC_ARM_REG_{name}")
        s.interrupt = -1
        s.deadline = 2**63

    def _hook(self, kind: int, function: str, begin: int = 1, end: int = 0) -> None:
        """Hooks a function of counter.c over [begin, end]; everywhere if begin > end."""
        handle = ctypes.c_size_t()
        status = binding.uclib.uc_hook_add(
            self._uc._uch,
            ctypes.byref(handle),
            kind,
            ctypes.cast(getattr(self._library, function), ctypes.c_void_p),
            ctypes.cast(self._pointer, ctypes.c_void_p),
            ctypes.c_uint64(begin),
            ctypes.c_uint64(end),
        )
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)

    def add_memory(self, base: int, memory: ctypes.Array, writable: bool) -> None:
        """Code may run at ``base``, whose bytes are ``memory``. Writes that the chip forbids are noted."""
        entries = (ctypes.c_uint32 * (len(memory) // 2))()
        self.state.regions[self._regions] = _Region(
            base, len(memory), writable, ctypes.addressof(memory), ctypes.addressof(entries)
        )
        self._regions += 1
        self._keep += [memory, entries]
        if not writable:
            self._hook(unicorn.UC_HOOK_MEM_WRITE_PROT, "counter_fault", base, base + len(memory) - 1)

    def add_peripherals(
        self, base: int, size: int, read: Callable[[int, int], int], write: Callable[[int, int, int], None]
    ) -> None:
        """Maps a range that ``read(address, size)`` and ``write(address, size, value)`` serve; they must not
        raise. Each access notes the program counter first; only a hook on forbidden accesses can do that, so
        the range gets no permissions."""
        reader = _READ(lambda _uc, offset, n, _: read(base + offset, n))
        writer = _WRITE(lambda _uc, offset, n, value, _: write(base + offset, n, value & (1 << 8 * n) - 1))
        self._keep += [reader, writer]
        entry = ctypes.cast(reader, ctypes.c_void_p)
        if base == PRIVATE_PERIPHERALS:
            self.state.read = entry.value
            entry = ctypes.cast(self._library.counter_read, ctypes.c_void_p)
        user = ctypes.cast(self._pointer, ctypes.c_void_p)
        store = ctypes.cast(writer, ctypes.c_void_p)
        status = binding.uclib.uc_mmio_map(self._uc._uch, base, size, entry, user, store, None)
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)
        self._uc.mem_protect(base, size, unicorn.UC_PROT_NONE)
        kinds = unicorn.UC_HOOK_MEM_READ_PROT | unicorn.UC_HOOK_MEM_WRITE_PROT
        self._hook(kinds, "counter_peripheral", base, base + size - 1)
        self._hook(unicorn.UC_HOOK_MEM_FETCH_PROT, "counter_fault", base, base + size - 1)

    def add_data(self, base: int, size: int) -> None:
        """There's memory in which nothing may be executed: that is noted."""
        self._hook(unicorn.UC_HOOK_MEM_FETCH_PROT, "counter_fault", base, base + size - 1)

    def add_gap(self, base: int, end: int) -> None:
        """Nothing is mapped in [base, end): accesses are noted. Such a hook must not cover memory, where it
        would make every store slow."""
        self._hook(unicorn.UC_HOOK_MEM_UNMAPPED, "counter_fault", base, end - 1)

    def add_division(self, address: int) -> None:
        """The instruction at ``address`` divides: traps on zero while DIVIDES_BY_ZERO is in ``trap``."""
        self._hook(unicorn.UC_HOOK_CODE, "counter_divide", address, address)

    def forget(self) -> None:
        """The memories' contents have changed: decode every block anew."""
        self.state.block_size = 0
        for region in self.state.regions[: self._regions]:
            ctypes.memset(region.entries, 0, region.size // 2 * 4)

    def at(self, pc: int) -> int:
        """Instructions completed while the one at ``pc``, of the current block, runs or is about to."""
        return self._library.counter_at(self._pointer, ctypes.c_uint32(pc))

    def find(self, start: int, end: int, flags: int) -> int:
        """Address of the first instruction in [start, end) with one of ``flags``, or ``end``."""
        return self._library.counter_find(self._pointer, start, end, flags)
