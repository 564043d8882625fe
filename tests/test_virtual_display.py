"""The virtual STM32F746's SDRAM and LTDC: the right sequence works, any other stops the machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinyswitch.boards.virtual import picture
from tinyswitch.boards.virtual.stm32f746.fmc import SDRAM_BASE, SDRAM_BYTES
from virtual_programs import Run, compile_program, needs_gcc, run_elf

pytestmark = needs_gcc

CORE_HZ, PIXEL_HZ, FRAME_CLOCKS = 216_000_000, 9_600_000, 566 * 286

# 216 MHz, then the SDRAM as RM0385 has it; each macro can be set to something wrong.
SDRAM = """
#ifndef SDCR
#define SDCR (1 << 2 | 1 << 4 | 1 << 6 | 2 << 7 | 3 << 10)
#endif
#ifndef SDTR
#define SDTR (1 | 5 << 4 | 3 << 8 | 4 << 12 | 1 << 16 | 1 << 20 | 1 << 24)
#endif
#ifndef COMMANDS
#define COMMANDS (1), (2), (3 | 7 << 5), (4 | 0x220 << 9)
#endif
#ifndef WAIT
#define WAIT 21600
#endif
#ifndef COUNT
#define COUNT 1105
#endif
#ifndef PINS_F
#define PINS_F 0xF83F
#endif
#define RCC(o) REG(0x40023800 + (o))
#define PORT(letter, o) REG(0x40020000 + 0x400 * ((letter) - 'A') + (o))
#define FMC(o) REG(0xA0000000 + (o))
static void clock_on(void) {
    RCC(0x40) |= 1 << 28; (void)RCC(0x40);
    REG(0x40007000) |= 3 << 14;
    RCC(0) |= 1 << 16;
    RCC(4) = 25 | 432 << 6 | 1 << 22 | 9 << 24;
    RCC(0) |= 1 << 24;
    REG(0x40007000) |= 1 << 16; REG(0x40007000) |= 1 << 17;
    REG(0x40023C00) = 7;
    RCC(8) = 5 << 10 | 4 << 13 | 2;
    RCC(0x30) |= 0x7FF; RCC(0x38) |= 1; (void)RCC(0x38);
    CYCLES_ON();
}
static void pins(char port, uint32_t mask, uint32_t function) {
    for (int pin = 0; pin < 16; pin++)
        if (mask >> pin & 1) {
            PORT(port, pin < 8 ? 0x20 : 0x24) |= function << 4 * (pin & 7);
            PORT(port, 0) = (PORT(port, 0) & ~(3u << 2 * pin)) | 2u << 2 * pin;
        }
}
static void sdram_on(void) {
    static const uint32_t commands[] = {COMMANDS};
    pins('C', 1 << 3, 12); pins('D', 0xC703, 12); pins('E', 0xFF83, 12);
    pins('F', PINS_F, 12); pins('G', 0x8133, 12); pins('H', 0x28, 12);
    FMC(0x140) = SDCR; FMC(0x148) = SDTR;
    for (unsigned i = 0; i < sizeof commands / 4; i++) {
        FMC(0x150) = commands[i] | 1 << 4;
#ifndef NO_POLLING
        while (FMC(0x158) & 1 << 5) {}
#endif
        uint32_t start = CYCCNT;
        while (i == 0 && CYCCNT - start < WAIT) {}
    }
    FMC(0x154) = COUNT << 1;
}
"""

# The LTDC with a frame in RAM, 480 x 272, and a palette of 256 colours.
LTDC = """
#ifndef SAI
#define SAI (192 << 6 | 4 << 24 | 5 << 28)
#endif
#ifndef AFTER
#define AFTER ((533u + 32) << 16 | (283 + 2))
#endif
#ifndef ACTIVE
#define ACTIVE (533u << 16 | 283)
#endif
#ifndef BEFORE
#define BEFORE (53u << 16 | 11)
#endif
#ifndef PULSE
#define PULSE (40u << 16 | 9)
#endif
#ifndef FORMAT
#define FORMAT 5
#endif
#ifndef LINE
#define LINE (480u << 16 | 483)
#endif
#ifndef WINDOW
#define WINDOW (533u << 16 | 54)
#endif
#ifndef ADDRESS
#define ADDRESS (uint32_t)frame
#endif
#ifndef GCR
#define GCR 0x2221
#endif
#ifndef RED_PINS
#define RED_PINS 0x7F
#endif
#define LCD(o) REG(0x40016800 + (o))
static uint8_t frame[272][480];
static void ltdc_on(void) {
    for (int y = 0; y < 272; y++) for (int x = 0; x < 480; x++) frame[y][x] = (uint8_t)(x + 7 * y);
    RCC(0x44) |= 1 << 26; (void)RCC(0x44);
    RCC(0x88) = SAI;
    RCC(0x8C) = 1 << 16;
#ifndef NO_PLLSAI
    RCC(0) |= 1 << 28;
    while (!(RCC(0) & 1 << 29)) {}
#endif
    pins('E', 1 << 4, 14); pins('G', 1 << 12, 9); pins('I', 0xC600, 14);
    pins('J', 0xEF80 | RED_PINS, 14); pins('K', 0xF7, 14);
    LCD(0x08) = PULSE; LCD(0x0C) = BEFORE; LCD(0x10) = ACTIVE; LCD(0x14) = AFTER;
    LCD(0x88) = WINDOW; LCD(0x8C) = 283u << 16 | 12; LCD(0x94) = FORMAT;
    LCD(0xAC) = ADDRESS; LCD(0xB0) = LINE; LCD(0xB4) = 272;
    for (uint32_t i = 0; i < 256; i++) LCD(0xC4) = i << 24 | i << 16 | (255 - i) << 8 | (i * 5 & 255);
    LCD(0x84) = 1 | 1 << 4;
    LCD(0x24) = 1;
    LCD(0x18) = GCR;
#ifndef DARK
    PORT('I', 0x18) = 1 << 12; PORT('I', 0) |= 1 << 24;
    PORT('K', 0x18) = 1 << 3; PORT('K', 0) |= 1 << 6;
#endif
}
"""


def run(folder: Path, source: str, *macros: str) -> Run:
    return run_elf(compile_program(folder, source, *(f"-D{macro}" for macro in macros), "-Wno-unused"))


def runs(folder: Path, source: str, *macros: str) -> Run:
    """To its end."""
    done = run(folder, source, *macros)
    assert "0x5f000000" in done.message and done.result[31] == 0, done
    return done


SDRAM_MAIN = """
int main(void) {
    clock_on();
    sdram_on();
    volatile uint32_t *memory = (volatile uint32_t *)0xC0000000;
    result[0] = memory[5];
    memory[5] = 0x12345678; memory[(8 << 20) / 4 - 1] = 0x9ABCDEF0;
    ((volatile uint8_t *)memory)[21] = 0xFF;
    result[1] = memory[5]; result[2] = memory[(8 << 20) / 4 - 1];
    BEYOND
    return 0;
}
"""


def test_the_memory_appears_and_keeps_what_is_written(tmp_path: Path):
    done = runs(tmp_path, SDRAM + SDRAM_MAIN, "BEYOND=")
    assert done.result[0] not in (0, 0xFFFFFFFF)  # as random as after power-up
    assert done.result[1:3] == [0x1234FF78, 0x9ABCDEF0]
    assert done.machine.cpu.memory_at(SDRAM_BASE, SDRAM_BYTES, write=True)


@pytest.mark.parametrize(
    ("beyond", "message"),
    [
        ("memory[(8 << 20) / 4] = 1;", "4-byte write of value 0x00000001 at 0xc0800000"),
        ("((void (*)(void))0xC0000001)();", "execution at 0xc0000000"),
        ("FMC(0x140) = SDCR;", "changed after the memory's clock"),
    ],
)
def test_what_the_memory_does_not_do(tmp_path: Path, beyond: str, message: str):
    assert message in run(tmp_path, SDRAM + SDRAM_MAIN, f"BEYOND={beyond}").message


TIMING = {"TMRD": 0, "TXSR": 4, "TRAS": 8, "TRC": 12, "TWR": 16, "TRP": 20, "TRCD": 24}
WRONG = [
    ("SDCR=(1<<2|1<<4|1<<6|2<<7|2<<10)", "108000000 Hz is over 100000000 Hz"),
    ("SDCR=(1<<2|1<<4|1<<6|2<<7)", "gives the memory no clock"),
    ("SDCR=(1|1<<2|1<<4|1<<6|2<<7|3<<10)", "8 column bits"),
    ("SDCR=(1<<2|2<<4|1<<6|2<<7|3<<10)", "16 data bits"),
    ("SDCR=(1<<2|1<<4|1<<6|1<<7|3<<10)", "no CAS latency 1"),
    ("SDCR=(1<<2|1<<4|1<<6|3<<7|3<<10)", "CAS latency 2 isn't SDCR1's 3"),
    ("SDCR=(1<<2|1<<4|1<<6|2<<7|3<<10|1<<13)", "bits 0x00002000 aren't modelled"),
    *((f"SDTR=((1|5<<4|3<<8|4<<12|1<<16|1<<20|1<<24)-(1<<{at}))", f"FMC_SDTR1: {name}")
      for name, at in TIMING.items()),
    ("SDTR=(1|5<<4|4<<8|4<<12|1<<16|1<<20|1<<24)", "TWR is less than TRAS - TRCD"),
    ("SDTR=(1|5<<4|3<<8|8<<12|1<<16|1<<20|1<<24)", "TWR is less than TRC - TRCD - TRP"),
    ("PINS_F=0xF837", "PF3 isn't given to the FMC"),
    ("WAIT=21000", "takes no command yet"),
    ("NO_POLLING", "still being carried out"),
    ("COMMANDS=(2)", "before the memory has a clock"),
    ("COMMANDS=(1),(3|7<<5),(4|0x220<<9)", "command 3 after 1"),
    ("COMMANDS=(1),(2),(4|0x220<<9)", "command 4 after 2"),
    ("COMMANDS=(1),(2),(3)", "1 refresh; the memory wants 2"),
    ("COMMANDS=(1),(2),(3|7<<5)", "before the memory's mode register"),
    ("COMMANDS=(1),(2),(3|7<<5),(4|0x230<<9)", "CAS latency 3 isn't SDCR1's 2"),
    ("COMMANDS=(1),(2),(3|7<<5),(4|0x20<<9)", "only single words"),
    ("COMMANDS=(1),(5)", "command 5 isn't modelled"),
    ("COUNT=1106", "not every row is refreshed"),
    ("COUNT=40", "COUNT 40 is below 41"),
    ("sdram_on()=(void)0", "at 0xc0000014"),
]  # fmt: skip


@pytest.mark.parametrize(("macro", "message"), WRONG, ids=[m[0] for m in WRONG])
def test_wrong_settings_of_the_memory_stop_the_machine(tmp_path: Path, macro: str, message: str):
    source = SDRAM + SDRAM_MAIN
    if macro.startswith("sdram_on"):
        source, macro = source.replace("    sdram_on();\n", ""), "NEVER_ON"
    assert message in run(tmp_path, source, macro, "BEYOND=").message


LTDC_MAIN = "int main(void) { clock_on(); ltdc_on(); BEYOND return 0; }"


def expected(red_pins: int = 0x7F) -> np.ndarray:
    """What the program's frame looks like; ``red_pins``: bits 1 to 7 of red that are wired."""
    x, y = np.meshgrid(np.arange(480), np.arange(272))
    index = (x + 7 * y) % 256
    red = index & (red_pins << 1 | 1)
    return np.stack([red, 255 - index, index * 5 % 256], axis=-1).astype(np.uint8)


def shown(done: Run) -> np.ndarray:
    seen = picture.shown(done.machine)
    return np.frombuffer(seen.pixels, np.uint8).reshape(seen.height, seen.width, 3)


def test_the_panel_shows_the_frame_in_its_palette(tmp_path: Path):
    done = runs(tmp_path, SDRAM + LTDC + LTDC_MAIN, "BEYOND=")
    assert np.array_equal(shown(done), expected())


def test_a_pin_that_is_not_the_panels_takes_its_bit(tmp_path: Path):
    done = runs(tmp_path, SDRAM + LTDC + LTDC_MAIN, "BEYOND=", "RED_PINS=0x3F")
    assert np.array_equal(shown(done), expected(0x3F))


DARK = {
    "no backlight": "PORT('K', 0x18) = 1 << 19;",
    "not enabled": "PORT('I', 0x18) = 1 << 28;",
    "no DE": "PORT('K', 0) &= ~(3 << 14);",
    "LTDC off": "LCD(0x18) = 0x2220;",
}


@pytest.mark.parametrize("beyond", DARK.values(), ids=DARK)
def test_the_panel_is_dark(tmp_path: Path, beyond: str):
    assert not shown(runs(tmp_path, SDRAM + LTDC + LTDC_MAIN, f"BEYOND={beyond}")).any()


def test_a_layer_that_is_off_leaves_the_background(tmp_path: Path):
    off = "LCD(0x2C) = 0x102030; LCD(0x84) = 0; LCD(0x24) = 1;"
    done = runs(tmp_path, SDRAM + LTDC + LTDC_MAIN, f"BEYOND={off}")
    assert (shown(done) == (0x10, 0x20, 0x30)).all()


def test_a_reload_waits_for_the_end_of_the_frame(tmp_path: Path):
    done = runs(
        tmp_path,
        SDRAM
        + LTDC
        + """
int main(void) {
    clock_on();
    ltdc_on();
    for (uint32_t i = 0; i < 3; i++) {
        LCD(0xAC) = (uint32_t)frame + i + 1;
        result[4 * i] = LCD(0xAC) - (uint32_t)frame;        /* the address in use */
        LCD(0x24) = 2;
        result[4 * i + 1] = LCD(0xAC) - (uint32_t)frame;
        while (LCD(0x24) & 2) {}
        result[4 * i + 2] = CYCCNT;
        result[4 * i + 3] = LCD(0xAC) - (uint32_t)frame;
        result[16 + i] = LCD(0x44) & 0xFFFF;                /* the line */
        result[20 + i] = LCD(0x48);
    }
    result[24] = LCD(0x38);
    LCD(0x3C) = 8;
    result[25] = LCD(0x38);
    return 0;
}
""",
        "LINE=(479u<<16|482)",
        "WINDOW=(532u<<16|54)",
    )
    period = FRAME_CLOCKS * CORE_HZ / PIXEL_HZ
    for i in range(3):
        assert done.result[4 * i : 4 * i + 2] == [i, i] and done.result[4 * i + 3] == i + 1
        assert done.result[16 + i] == 284  # the first line after the picture
        assert not done.result[20 + i] & 1  # VDES
    for i in (1, 2):
        assert done.result[4 * i + 2] - done.result[4 * i - 2] == pytest.approx(period, abs=200)
    assert done.result[24:26] == [8, 0]  # RRIF


def test_the_position_moves_with_time(tmp_path: Path):
    done = runs(
        tmp_path,
        SDRAM
        + LTDC
        + """
int main(void) {
    clock_on();
    ltdc_on();
    for (int i = 0; i < 4000; i++) {
        uint32_t status = LCD(0x48);
        result[0] += status & 1; result[1] += status >> 1 & 1;
        result[2] += status >> 2 & 1; result[3] += status >> 3 & 1;
        for (int n = 0; n < 1009; n++) __asm volatile("nop");
    }
    return 0;
}
""",
    )
    shares = [value / 4000 for value in done.result[:4]]
    assert shares == pytest.approx([272 / 286, 480 / 566, 10 / 286, 41 / 566], abs=0.03)


WRONG_PANEL = [
    ("NO_PLLSAI", "the PLLSAI is off"),
    ("SAI=(192<<6|4<<24|2u<<28)", "a pixel clock of 24000000 Hz"),
    ("SAI=(40<<6|4<<24|5u<<28)", "out of 100 to 432 MHz"),
    ("ACTIVE=(532u<<16|283)", "479 active pixel clocks a line; the panel has 480"),
    ("ACTIVE=(533u<<16|284)", "273 active lines a frame; the panel has 272"),
    ("AFTER=(700u<<16|285)", "701 pixel clocks a line"),
    ("AFTER=((533u+32)<<16|340)", "341 lines a frame"),
    ("AFTER=((533u+1)<<16|285)", "too few pixel clocks"),
    ("PULSE=(50u<<16|9)", "too few pixel clocks"),
    ("PULSE=(40u<<16|10)", "too few lines"),
    ("GCR=0x80002221", "bits 0x80000000 aren't modelled"),
    ("FORMAT=2", "only a layer of 8 bits a pixel"),
    ("LINE=(480u<<16|480)", "LTDC_L1CFBLR"),
    ("LINE=(470u<<16|483)", "LTDC_L1CFBLR"),
    ("WINDOW=(534u<<16|54)", "isn't in the picture"),
    ("ADDRESS=0xC0000000", "no memory for a frame at 0xc0000000"),
    ("BEYOND=LCD(0x14)=AFTER;", "LTDC_TWCR: changed while the LTDC is on"),
    ("BEYOND=while(!(LCD(0x48)&1)){} LCD(0xC4)=0;", "not between two frames"),
    ("BEYOND=LCD(0x104)=1;", "no such register"),
    ("BEYOND=RCC(0x88)=0;", "only be written while the PLLSAI is off"),
]


@pytest.mark.parametrize(("macro", "message"), WRONG_PANEL, ids=[m[0] for m in WRONG_PANEL])
def test_wrong_settings_of_the_display_stop_the_machine(tmp_path: Path, macro: str, message: str):
    macros = [macro] if macro.startswith("BEYOND") else [macro, "BEYOND="]
    assert message in run(tmp_path, SDRAM + LTDC + LTDC_MAIN, *macros).message
