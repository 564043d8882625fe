"""The virtual nRF52840's TWIM1, register by register."""

import pytest

from virtual_programs import NRF, compile_program, needs_gcc, run_elf, run_program

pytestmark = needs_gcc

TWIM = """
#define TWIM1(o) REG(0x40004000 + (o))
#define P0(o) REG(0x50000000 + (o))
#define P1(o) REG(0x50000300 + (o))
static uint8_t out[4], in[64];
static void wire(void) {
    P0(0x508) = 1 << 22; P1(0x508) = 1;                       /* supply, pull-ups */
    P0(0x700 + 4 * 22) = 3; P1(0x700) = 3;
    P0(0x700 + 4 * 14) = P0(0x700 + 4 * 15) = 0x600;
}
static void prepare(uint32_t sent, uint32_t received) {
    TWIM1(0x508) = 15; TWIM1(0x50C) = 14; TWIM1(0x524) = 0x06400000; TWIM1(0x588) = 0x6B;
    TWIM1(0x500) = 6;
    TWIM1(0x544) = (uint32_t)out; TWIM1(0x548) = sent; TWIM1(0x534) = (uint32_t)in; TWIM1(0x538) = received;
    TWIM1(0x200) = received ? 1 << 7 | 1 << 12 : 1 << 9;
}
static uint32_t until(uint32_t offset) {                      /* cycles until an event, at most 64,000 */
    uint32_t begin = CYCCNT;
    while (!TWIM1(offset) && CYCCNT - begin < 64000) {}
    return CYCCNT - begin;
}
"""


def run(tmp_path, main, *flags):
    return run_program(tmp_path, TWIM + f"int main(void) {{ CYCLES_ON(); {main} }}", b"", *flags, target=NRF)


def test_reads_with_a_repeated_start_in_the_time_of_its_bytes(tmp_path):
    main = """
    wire(); prepare(1, 2); out[0] = 0x0F;
    TWIM1(0x008) = 1;
    result[0] = until(0x104); result[1] = in[0]; result[2] = TWIM1(0x53C) << 8 | TWIM1(0x54C);
    result[3] = TWIM1(0x124) << 8 | TWIM1(0x14C) << 3 | TWIM1(0x150) << 2 | TWIM1(0x15C) << 1 | TWIM1(0x160);
    """
    result = run(tmp_path, main).result
    bits = 2 * 10 + 9 + 2 * 9 + 1  # two starts with address, the register's, two bytes, a stop
    assert abs(result[0] - bits * 160) < 200  # of 400 kHz at 64 MHz
    assert result[1:4] == [0x68, 0x0201, 0xF]


def test_another_address_is_refused_and_the_master_stops_when_told(tmp_path):
    main = """
    wire(); prepare(2, 0); TWIM1(0x588) = 0x6A;
    TWIM1(0x008) = 1;
    result[0] = until(0x124); result[1] = TWIM1(0x4C4); result[2] = until(0x104);
    TWIM1(0x4C4) = 2; TWIM1(0x014) = 1;
    result[3] = until(0x104); result[4] = TWIM1(0x4C4) << 8 | TWIM1(0x54C);
    """
    result = run(tmp_path, main).result
    assert abs(result[0] - 10 * 160) < 100 and result[1] == 2 and result[2] >= 64000
    assert result[3] < 400 and result[4] == 0


def test_the_interrupt_ends_a_sleep(tmp_path):
    main = """
    wire(); prepare(1, 6); out[0] = 0x28;
    TWIM1(0x304) = 1 << 1 | 1 << 9; REG(0xE000E100) = 1 << 4;
    __asm volatile("cpsid i"); TWIM1(0x008) = 1;
    __asm volatile("wfi");
    result[0] = TWIM1(0x104); result[1] = CYCCNT;
    """
    result = run(tmp_path, main).result
    assert result[0] == 1 and result[1] < 500


@pytest.mark.parametrize("missing", ["P1(0x50C) = 1;", "P0(0x700 + 4 * 22) = 0; P1(0x700) = 0;"])
def test_a_bus_without_pull_ups_never_moves(tmp_path, missing):
    main = "prepare(2, 0); TWIM1(0x008) = 1; result[0] = until(0x104); result[1] = TWIM1(0x124);"
    result = run(tmp_path, f"wire(); {missing} {main}").result
    assert result[0] >= 64000 and result[1] == 0


@pytest.mark.parametrize(
    ("main", "message"),
    [
        ("wire(); prepare(1, 0); TWIM1(0x544) = 0x1000; TWIM1(0x008) = 1;", "TXD_PTR: 1 bytes at 0x00001000"),
        ("wire(); prepare(1, 9); TWIM1(0x534) = 0x2003FFF8; TWIM1(8) = 1; until(0x104);", "RXD_PTR: 9 bytes"),
        ("wire(); prepare(0, 0); TWIM1(0x008) = 1;", "TXD_MAXCNT is 0"),
        ("prepare(1, 0); TWIM1(0x008) = 1;", "PIN_CNF of P0.15"),
        ("wire(); prepare(1, 0); TWIM1(0x500) = 0; TWIM1(0x508) = 16; TWIM1(0x500) = 6; TWIM1(8) = 1;",
         "PSEL_SCL is 0x10"),
        ("wire(); prepare(1, 0); TWIM1(0x508) = 15;", "PSEL_SCL can only be written while ENABLE is 0"),
        ("wire(); prepare(1, 0); TWIM1(0x500) = 0; TWIM1(0x008) = 1;", "the peripheral is off"),
        ("wire(); prepare(1, 0); TWIM1(0x008) = 1; TWIM1(0x008) = 1;", "another transfer goes on"),
        ("wire(); prepare(1, 0); TWIM1(0x014) = 1;", "TASKS_STOP: no transfer goes on"),
        ("wire(); prepare(1, 0); TWIM1(0x524) = 0x06680000;", "0x06680000 isn't one of the chip's"),
        ("TWIM1(0x01C) = 1;", "no such register"),
        ("wire(); prepare(2, 0); out[0] = 0x10; out[1] = 0x60; TWIM1(8) = 1; until(0x104);",
         "0x60 written to register 0x10"),
    ],
)  # fmt: skip
def test_what_the_chip_or_the_model_cannot_do_stops_it(tmp_path, main, message):
    elf = compile_program(tmp_path, TWIM + f"int main(void) {{ CYCLES_ON(); {main} }}", target=NRF)
    assert message in run_elf(elf, target=NRF).message
