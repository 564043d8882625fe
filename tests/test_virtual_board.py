"""The virtual board's peripherals, and the board as a process on a pseudo-terminal."""

import os
import subprocess
import sys
import time

import pytest
import serial

from tinyswitch.boards.virtual import VirtualBoard
from virtual_programs import compile_program, needs_gcc, run_elf, run_program

pytestmark = needs_gcc

USART = """
#define RCC(o) REG(0x40023800 + (o))
#define USART1(o) REG(0x40011000 + (o))
#define DMA2(o) REG(0x40026400 + (o))
static volatile uint8_t ring[RING];
static void usart_on(uint32_t divisor, uint32_t cr1) {
    RCC(0x30) |= 1 << 22; RCC(0x44) |= 1 << 4; (void)RCC(0x44);
    USART1(0x0C) = divisor;
    DMA2(0x44) = RING; DMA2(0x48) = 0x40011024; DMA2(0x4C) = (uint32_t)ring;
    DMA2(0x40) = 4 << 25 | 1 << 10 | 1 << 8;
    DMA2(0x40) |= 1;
    USART1(0x08) = 1 << 6;
    USART1(0x00) = 1 | 1 << 2 | 1 << 3 | cr1;
}
static void put(uint8_t c) { while (!(USART1(0x1C) & 1 << 7)) {} USART1(0x28) = c; }
"""

ECHO = (
    USART
    + """
void sys_tick(void) {}
int main(void) {
    usart_on(139, 0);                      /* 115,107 baud at 16 MHz */
    TICK(16000);
    for (uint32_t read = 0;;) {
        uint32_t written = RING - DMA2(0x44);
        if (written == RING) written = 0;
        if (read == written) { __asm volatile("wfi"); continue; }
        uint8_t c = ring[read];
        read = (read + 1) % RING;
        if (c == '!') REG(0x60000000) = 1;
        put(c ^ 0x20);
    }
}
"""
)


def test_echo_over_the_pseudo_terminal(tmp_path):
    board = VirtualBoard(compile_program(tmp_path, ECHO, "-DRING=64"))
    sent = bytes(range(97, 123)) * 40  # many times around the ring
    with board:
        port = board.open()
        port.timeout = 10
        answer = b""
        for i in range(0, len(sent), 40):  # a window smaller than the ring
            port.write(sent[i : i + 40])
            answer += port.read(len(sent[i : i + 40]))
        assert answer == bytes(c ^ 0x20 for c in sent)
        assert board.failure() is None
        port.write(b"!")
        with pytest.raises(serial.SerialException):
            for _ in range(100):
                port.read(1)
                time.sleep(0.02)
        assert "at 0x60000000" in board.failure() and "in main+0x" in board.failure()


def test_idle_board_hardly_uses_the_host(tmp_path):
    board = VirtualBoard(compile_program(tmp_path, ECHO, "-DRING=64"))
    with board:
        port = board.open()
        port.timeout = 10
        port.write(b"a")
        assert port.read(1) == b"A"
        before = _cpu_seconds(board.process.pid)
        time.sleep(1)
        assert _cpu_seconds(board.process.pid) - before < 0.5


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_process(elf, sent: bytes):
    command = [sys.executable, "-m", "tinyswitch.boards.virtual", elf]
    return subprocess.run(command, input=sent, capture_output=True, timeout=20, check=False)


def test_process_ends_with_its_input(tmp_path):
    elf = compile_program(tmp_path, ECHO, "-DRING=64")
    run = subprocess.run(
        [sys.executable, "-m", "tinyswitch.boards.virtual", elf],
        input=b"hello",
        capture_output=True,
        timeout=20,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"HELLO", b"")


def test_process_reports_an_illegal_access(tmp_path):
    elf = compile_program(tmp_path, ECHO, "-DRING=64")
    run = subprocess.run(
        [sys.executable, "-m", "tinyswitch.boards.virtual", elf],
        input=b"ab!",
        capture_output=True,
        timeout=20,
    )
    assert run.returncode == 1 and run.stdout == b"AB"
    assert run.stderr.count(b"\n") == 1 and b"0x60000000" in run.stderr


def test_sending_takes_its_time(tmp_path):
    run = run_program(
        tmp_path,
        USART
        + """
int main(void) {
    usart_on(139, 0);
    TICK(16000000);
    uint32_t start = REG(0xE000E018);
    for (int i = 0; i < 100; i++) put((uint8_t)i);
    while (!(USART1(0x1C) & 1 << 6)) {}
    result[0] = start - REG(0xE000E018);
    return 0;
}
""",
        b"",
        "-DRING=64",
    )
    assert run.sent == bytes(range(100))
    assert run.result[0] == pytest.approx(100 * 10 * 139, rel=0.02)


def test_receiving_is_no_faster_than_the_line_and_overruns(tmp_path):
    run = run_program(
        tmp_path,
        USART
        + """
static volatile uint32_t received, last;
void usart1(void) { last = USART1(0x24); received++; }
int main(void) {
    usart_on(139, 1 << 5);                 /* RXNEIE */
    USART1(0x08) = 0;                      /* no DMA */
    REG(0xE000E104) = 1 << 5;
    TICK(16000000);
    uint32_t start = REG(0xE000E018);
    while (received < 50) {}
    result[0] = start - REG(0xE000E018);
    result[1] = last;
    __asm volatile("cpsid i");             /* three more bytes arrive, nobody reads them */
    for (int i = 0; i < 3000; i++) __asm volatile("nop");
    result[2] = USART1(0x1C) & (1 << 3 | 1 << 5);
    return 0;
}
""",
        bytes(range(53)),
        "-DRING=64",
    )
    assert run.result[0] == pytest.approx(50 * 10 * 139, rel=0.05)
    assert run.result[1:3] == [49, 1 << 3 | 1 << 5]  # ORE and RXNE


def test_writing_a_full_transmitter_stops(tmp_path):
    source = (
        USART + "int main(void) { usart_on(139, 0); for (int i = 0; i < 3; i++) USART1(0x28) = i; return 0; }"
    )
    assert "TXE is 0" in run_elf(compile_program(tmp_path, source, "-DRING=64")).message


RESETS = """
static volatile __attribute__((section(".noinit"))) uint32_t boots, magic, kept[8];
int main(void) {
    if (magic != 0x12345678) { magic = 0x12345678; boots = 0; }
    kept[boots++] = REG(0x40023874) & 0xFE000000;
    if (boots == 1) {
        REG(0x40023874) |= 1 << 24;
        REG(0xE000ED0C) = 0x05FA0004;
        for (;;) {}
    }
    if (boots == 2) {
        REG(0x40023874) |= 1 << 24;
        REG(0x40003000) = 0xCCCC; REG(0x40003000) = 0x5555;
        REG(0x40003004) = 0; REG(0x40003008) = 319;      /* 40 ms */
        while (REG(0x4000300C)) {}
        REG(0x40003000) = 0xAAAA;
        for (;;) __asm volatile("wfi");
    }
    result[0] = boots;
    for (int i = 0; i < 3; i++) result[1 + i] = kept[i];
    return 0;
}
"""


def test_resets_keep_ram_and_tell_their_cause(tmp_path):
    run = run_program(tmp_path, RESETS)
    assert run.result[:4] == [3, 0x0E000000, 0x14000000, 0x24000000]  # power; software; watchdog
    assert run.machine.seconds() == pytest.approx(0.040, rel=0.1)


def test_watchdog_that_is_fed_does_nothing(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint32_t ticks;
void sys_tick(void) { ticks++; REG(0x40003000) = 0xAAAA; }
int main(void) {
    REG(0x40003000) = 0xCCCC; REG(0x40003000) = 0x5555;
    REG(0x40003008) = 31;                                /* 4 ms */
    while (REG(0x4000300C)) {}
    TICK(16000);
    while (ticks < 20) __asm volatile("wfi");
    result[0] = (REG(0x40023874) >> 29) & 1;
    result[1] = ticks;
    return 0;
}
""",
    )
    assert run.result[:2] == [0, 20]


def test_clock_tree_of_the_board(tmp_path):
    run = run_program(
        tmp_path,
        """
int main(void) {
    REG(0x40023840) |= 1 << 28;
    REG(0x40023800) |= 1 << 16;
    while (!(REG(0x40023800) & 1 << 17)) {}
    REG(0x40007000) |= 3 << 14 | 1 << 16;
    REG(0x40023804) = 25 | 432 << 6 | 1 << 22 | 9 << 24;
    REG(0x40023800) |= 1 << 24;
    while (!(REG(0x40023800) & 1 << 25)) {}
    while (!(REG(0x40007004) & 1 << 16)) {}
    REG(0x40007000) |= 1 << 17;
    while (!(REG(0x40007004) & 1 << 17)) {}
    REG(0x40023C00) = 7 | 3 << 8;
    REG(0x40023808) = 5 << 10 | 4 << 13;
    REG(0x40023808) |= 2;
    while ((REG(0x40023808) >> 2 & 3) != 2) {}
    result[0] = 1;
    return 0;
}
""",
    )
    clocks = run.machine.clocks
    assert run.result[0] == 1
    assert (clocks.core_hz, clocks.pclk1_hz, clocks.pclk2_hz) == (216_000_000, 54_000_000, 108_000_000)


TIM7 = """
#define TIM7(o) REG(0x40001400 + (o))
enum { CR1 = 0x00, CR2 = 0x04, DIER = 0x0C, SR = 0x10, EGR = 0x14, CNT = 0x24, PSC = 0x28, ARR = 0x2C };
static void tim7_on(uint32_t psc, uint32_t arr, uint32_t dier) {
    REG(0x40023840) |= 1 << 5; (void)REG(0x40023840);
    TIM7(PSC) = psc; TIM7(ARR) = arr; TIM7(CR1) = 4; TIM7(EGR) = 1; TIM7(DIER) = dier;
    REG(0xE000E104) = 1 << 23;
    TIM7(CR1) = 5;
}
"""


def test_timer_interrupts_at_its_period(tmp_path):
    run = run_program(
        tmp_path,
        TIM7
        + """
static volatile uint32_t at[8], calls;
void tim7(void) { TIM7(SR) = 0; at[calls++] = CYCCNT; (void)TIM7(SR); }
int main(void) {
    CYCLES_ON();
    tim7_on(9, 99, 1);                     /* 10 * 100 cycles: PCLK1 isn't divided */
    while (calls < 8) {}
    TIM7(CR1) = 4;
    for (int i = 0; i < 7; i++) result[i] = at[i + 1] - at[i];
    result[7] = TIM7(CNT);
    for (int i = 0; i < 3000; i++) __asm volatile("nop");
    result[8] = calls;
    result[9] = TIM7(CNT);
    return 0;
}
""",
    )
    assert all(990 <= gap <= 1010 for gap in run.result[:7])  # to a block's start, a few instructions
    assert sum(run.result[:7]) == pytest.approx(7000, abs=10)  # and without drift
    assert run.result[7] == run.result[9] < 10 and run.result[8] == 8


def test_timer_clock_is_twice_a_divided_pclk1(tmp_path):
    run = run_program(
        tmp_path,
        TIM7
        + """
int main(void) {
    CYCLES_ON();
    REG(0x40023808) = 5 << 10;             /* PPRE1: 4 */
    tim7_on(0, 65535, 0);
    uint32_t start = CYCCNT, count = TIM7(CNT);
    for (int i = 0; i < 5000; i++) __asm volatile("nop");
    result[0] = CYCCNT - start;
    result[1] = TIM7(CNT) - count;
    return 0;
}
""",
    )
    assert run.result[0] > 5000 and run.result[1] == pytest.approx(run.result[0] / 2, abs=8)


def test_timer_wakes_a_sleeping_processor_and_prescales_from_the_next_update(tmp_path):
    run = run_program(
        tmp_path,
        TIM7
        + """
int main(void) {
    tim7_on(0, 999, 1);
    TIM7(PSC) = 3;                         /* from the first update on */
    TICK(1 << 24);
    __asm volatile("cpsid i");
    for (int i = 0; i < 3; i++) {
        uint32_t before = REG(0xE000E018);
        __asm volatile("wfi");
        result[i] = before - REG(0xE000E018);
        TIM7(SR) = 0;
        REG(0xE000E284) = 1 << 23;
    }
    return 0;
}
""",
        b"x" * 2000,  # time jumps while bytes wait
    )
    assert run.result[0] == pytest.approx(1000, abs=60)
    assert run.result[1:3] == [pytest.approx(4000, abs=60)] * 2


def test_timer_flag_that_rises_in_the_handler_is_latched_until_cleared(tmp_path):
    run = run_program(
        tmp_path,
        TIM7
        + """
static volatile uint32_t calls;
void tim7(void) {
    TIM7(SR) = 0;
    if (++calls == 1) {
        while (!(TIM7(SR) & 1)) {}         /* a whole period in the handler */
        TIM7(CR1) = 0;
        TIM7(SR) = 0;                      /* the line falls, the NVIC still remembers its rise */
        result[0] = REG(0xE000E204) >> 23 & 1;
        result[1] = REG(0xE000E304) >> 23 & 1;
    }
}
int main(void) {
    tim7_on(0, 999, 1);
    while (calls < 2) {}
    result[2] = calls;
    return 0;
}
""",
    )
    assert run.result[:3] == [1, 1, 2]


def test_timer_update_by_software_and_without_urs(tmp_path):
    run = run_program(
        tmp_path,
        TIM7
        + """
int main(void) {
    tim7_on(0, 60000, 0);
    for (int i = 0; i < 100; i++) __asm volatile("nop");
    TIM7(EGR) = 1;
    result[0] = TIM7(CNT);
    result[1] = TIM7(SR);
    TIM7(CR1) = 1;
    TIM7(EGR) = 1;
    result[2] = TIM7(SR);
    TIM7(SR) = 1;
    result[3] = TIM7(SR);
    TIM7(SR) = 0;
    result[4] = TIM7(SR);
    TIM7(CNT) = 59990;
    for (int i = 0; i < 20; i++) __asm volatile("nop");
    result[5] = TIM7(SR);
    result[6] = TIM7(CNT);
    return 0;
}
""",
    )
    assert run.result[0] < 10 and run.result[6] < 60
    assert run.result[1:6] == [0, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("REG(0x4000142C) = 9;", "TIM7 has no clock: its bit in APB1ENR is off"),
        ("tim7_on(0, 9, 0x100);", "TIM7_DIER: bits 0x00000100 aren't modelled"),
        ("tim7_on(0, 9, 0); TIM7(CR1) = 9;", "TIM7_CR1: bits 0x00000008 aren't modelled"),
        ("tim7_on(0, 9, 0); TIM7(0x34) = 0;", "TIM7 has no such register"),
        ("tim7_on(0, 99, 0); TIM7(CNT) = 100;", "TIM7: the count 100 is beyond ARR 99"),
    ],
)
def test_timer_refuses(tmp_path, body, message):
    source = f"{TIM7} int main(void) {{ {body} return 0; }}"
    assert message in run_elf(compile_program(tmp_path, source)).message


ADC = """
#define ADC(o) REG(0x40012000 + (o))
static void wait(uint32_t cycles) { for (uint32_t i = 0; i < cycles / 2; i++) __asm volatile("nop"); }
static void adc_on(uint32_t smp, uint32_t channel) {
    REG(0x40023844) |= 1 << 8;
    ADC(0x304) = 1 << 16 | 1 << 23;
    ADC(0x0C) = smp << 21;
    ADC(0x34) = channel;
    ADC(0x08) = 1;
}
"""


def test_converter_measures_the_reference(tmp_path):
    run = run_program(
        tmp_path,
        ADC
        + """
int main(void) {
    CYCLES_ON();
    adc_on(7, 17);
    wait(200);
    ADC(0x08) = 1 | 1 << 30;
    uint32_t start = CYCCNT;
    result[0] = ADC(0);
    while (!(ADC(0) & 2)) {}
    result[1] = CYCCNT - start;
    result[2] = ADC(0x4C);
    result[3] = ADC(0);
    result[4] = *(volatile uint16_t *)0x1FF0F44A;
    return 0;
}
""",
    )
    calibration = run.result[4]
    assert 1450 < calibration < 1550  # about 1.21 V
    assert run.result[0] == 1 << 4 and run.result[3] == 1 << 4  # STRT; reading DR clears EOC
    assert run.result[1] == pytest.approx(492 * 4, abs=40)  # at 16 MHz / 4
    assert run.result[2] == calibration  # at 3.3 V


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("ADC(0x34) = 17;", "ADC has no clock: its bit in APB2ENR is off"),
        ("adc_on(7, 17); ADC(8) = 1 | 1 << 30;", "less than 3 us after ADON"),
        ("adc_on(7, 17); wait(80); ADC(8) = 1 | 1 << 30;", "the reference isn't ready"),
        ("adc_on(7, 3); wait(200); ADC(8) = 1 | 1 << 30;", "channel 3 isn't modelled"),
        ("adc_on(1, 17); wait(200); ADC(8) = 1 | 1 << 30;", "15 clocks of 4000000 Hz sample the reference"),
        ("adc_on(7, 17); ADC(8) = 1 << 1;", "ADC_CR2: bits 0x00000002 aren't modelled"),
        ("adc_on(7, 17); ADC(0x10) = 1;", "ADC has no such register"),
    ],
)
def test_converter_refuses(tmp_path, body, message):
    source = f"{ADC} int main(void) {{ {body} return 0; }}"
    assert message in run_elf(compile_program(tmp_path, source)).message


@pytest.mark.parametrize("mv", ["1709", "3601", "3.3", "-3300"])
def test_supply_voltages_that_there_cannot_be(mv):
    command = [sys.executable, "-m", "tinyswitch.boards.virtual", "x.elf", "--supply-mv", mv]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == 2 and f"{mv} isn't a supply voltage of 1710 to 3600 mV" in run.stderr
