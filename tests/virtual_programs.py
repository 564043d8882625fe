"""Small bare-metal programs for the tests of the virtual board: how they are built and run."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tinyswitch.boards.virtual.chip import Chip, Options
from tinyswitch.boards.virtual.errors import Halt
from tinyswitch.boards.virtual.firmware import Firmware
from tinyswitch.boards.virtual.line import Line
from tinyswitch.boards.virtual.machine import Machine
from tinyswitch.boards.virtual.nrf52840 import NRF52840
from tinyswitch.boards.virtual.stm32f746 import STM32F746

GCC = shutil.which("arm-none-eabi-gcc")
needs_gcc = pytest.mark.skipif(GCC is None, reason="arm-none-eabi-gcc isn't on PATH")
DONE = 0x5F000000  # programs end by writing here, where no chip has something

M7 = ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16")
M4 = ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16")


@dataclass(frozen=True)
class Target:
    """What programs are built for and run on; ``flash``: where it begins; ``ram``: bytes."""

    chip: Chip
    cpu: tuple[str, str]
    flash: int
    ram: int


STM32 = Target(STM32F746, M7, 0x08000000, 320 << 10)
NRF = Target(NRF52840, M4, 0x00000000, 256 << 10)
NRF_APPLICATION = Target(NRF52840, M4, 0x00010000, 256 << 10)  # behind the bootloader

LINKER_SCRIPT = """
MEMORY { flash (rx) : ORIGIN = FLASH, LENGTH = 900K  ram (rwx) : ORIGIN = 0x20000000, LENGTH = RAM }
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > flash
    .data : { data_start = .; *(.data*) . = ALIGN(4); data_end = .; } > ram AT > flash
    data_load = LOADADDR(.data);
    .bss : { bss_start = .; *(.bss*) *(COMMON) . = ALIGN(4); bss_end = .; } > ram
    .noinit (NOLOAD) : { *(.noinit*) } > ram
    stack_top = ORIGIN(ram) + LENGTH(ram);
}
"""

HEADER = """
#include <stdint.h>
#define REG(a) (*(volatile uint32_t *)(a))
extern uint32_t stack_top;
extern volatile uint32_t result[32];
static inline void done(void) { REG(0x5F000000) = 0; for (;;) {} }
#define CYCLES_ON() (REG(0xE000EDFC) = 1 << 24, REG(0xE0001FB0) = 0xC5ACCE55, REG(0xE0001000) |= 1)
#define CYCCNT REG(0xE0001004)
#define TICK(n) (REG(0xE000E014) = (n) - 1, REG(0xE000E018) = 0, REG(0xE000E010) = 7)
#define FPU_ON() (REG(0xE000ED88) = 0xF << 20)
"""

STARTUP = """
extern uint32_t data_start, data_end, data_load, bss_start, bss_end;
volatile uint32_t result[32];
int main(void);
void unexpected(void) { result[31] = 0xBAD; done(); }
#define HANDLER __attribute__((weak, alias("unexpected")))
void nmi(void) HANDLER; void hard_fault(void) HANDLER; void usage_fault(void) HANDLER;
void svc(void) HANDLER; void pend_sv(void) HANDLER; void sys_tick(void) HANDLER;
void irq0(void) HANDLER; void usart1(void) HANDLER; void tim7(void) HANDLER;
void uarte0(void) HANDLER; void twim1(void) HANDLER; void saadc(void) HANDLER; void timer1(void) HANDLER;
void timer3(void) HANDLER; void wdt(void) HANDLER; void usbd(void) HANDLER;
void start(void) {
    FPU_ON();
    for (uint32_t *d = &data_start, *s = &data_load; d < &data_end;) *d++ = *s++;
    for (uint32_t *d = &bss_start; d < &bss_end;) *d++ = 0;
    main();
    done();
}
__attribute__((section(".vectors"), used)) void *const vectors[16 + 56] = {
    &stack_top, start, nmi, hard_fault, unexpected, unexpected, usage_fault, 0, 0, 0, 0, svc, 0, 0,
    pend_sv, sys_tick, [16] = irq0,
#ifndef NRF
    [16 + 37] = usart1, [16 + 55] = tim7
#else
    [16 + 2] = uarte0, [16 + 4] = twim1, [16 + 7] = saadc, [16 + 9] = timer1, [16 + 16] = wdt,
    [16 + 26] = timer3, [16 + 39] = usbd
#endif
};
"""


@dataclass
class Run:
    """What came of a program: the message it stopped with, ``result``, and what it sent."""

    message: str
    result: list[int]
    sent: bytes
    machine: Machine = field(repr=False)


def compile_program(folder: Path, source: str, *flags: str, target: Target = STM32) -> Path:
    """ELF of ``source``, which has ``main`` and may define the handlers of the vector table."""
    script = LINKER_SCRIPT.replace("FLASH", hex(target.flash)).replace("RAM", hex(target.ram))
    (folder / "link.ld").write_text(script)
    (folder / "startup.c").write_text(HEADER + STARTUP)
    (folder / "program.c").write_text(HEADER + source)
    elf = folder / "program.elf"
    run = subprocess.run(
        [GCC, *target.cpu, "-mthumb", "-mfloat-abi=hard", "-O2", "-std=gnu99",
         *(["-DNRF"] if target.chip is NRF52840 else []),
         "-fno-tree-loop-distribute-patterns", "-nostdlib", "-nostartfiles", *flags,
         "-T", folder / "link.ld", folder / "startup.c", folder / "program.c", "-lgcc", "-o", elf],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return elf


def symbol(elf: Path, name: str) -> int:
    """Address of a symbol."""
    with elf.open("rb") as file:
        return ELFFile(file).get_section_by_name(".symtab").get_symbol_by_name(name)[0]["st_value"]


def run_elf(
    elf: Path,
    sent_to_it: bytes = b"",
    steps: int = 200_000,
    target: Target = STM32,
    options: Options | None = None,
    prepare: Callable[[Machine], None] = lambda _: None,
) -> Run:
    """Runs until the machine halts; ``prepare`` gets it before it runs."""
    source, host_end = os.pipe()
    host, sink = os.pipe()
    line = Line(source, sink)
    try:
        machine = Machine(target.chip, Firmware(elf), line, options)
        prepare(machine)
        os.write(host_end, sent_to_it)
        message = "still running"
        try:
            for _ in range(steps):
                machine.step()
        except Halt as halt:
            message = str(halt)
        line.flush()
        os.set_blocking(host, False)
        sent = os.read(host, 1 << 16) if _readable(host) else b""
        address = symbol(elf, "result")
        result = [machine.cpu.read_word(address + 4 * i) or 0 for i in range(32)]
        return Run(message, result, sent, machine)
    finally:
        for fd in (source, host_end, host, sink):
            os.close(fd)


def _readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def run_program(
    folder: Path,
    source: str,
    sent_to_it: bytes = b"",
    *flags: str,
    target: Target = STM32,
    options: Options | None = None,
) -> Run:
    """Compiles and runs; asserts that the program came to its end."""
    elf = compile_program(folder, source, *flags, target=target)
    run = run_elf(elf, sent_to_it, target=target, options=options)
    assert f"0x{DONE:08x}" in run.message and run.result[31] == 0, run
    return run
