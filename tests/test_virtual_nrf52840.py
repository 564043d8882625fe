"""The virtual Nano 33's peripherals, by small programs; the board as a process."""

import subprocess
import sys

import pytest

from tinyswitch.boards import names
from tinyswitch.boards.virtual import Options, VirtualBoard, registry
from virtual_programs import NRF, NRF_APPLICATION, compile_program, needs_gcc, run_elf
from virtual_programs import run_program as run_on

pytestmark = needs_gcc

HZ = 64_000_000
PREAMBLE = """
#define CLOCK(o) REG(0x40000000 + (o))
#define UARTE(o) REG(0x40002000 + (o))
#define SAADC(o) REG(0x40007000 + (o))
#define TIMER(n, o) REG(((n) < 3 ? 0x40008000 + 0x1000 * (n) : 0x40017000 + 0x1000 * (n)) + (o))
#define WDT(o) REG(0x40010000 + (o))
#define PPI(o) REG(0x4001F000 + (o))
enum { START = 0x00, STOP = 0x04, COUNT = 0x08, CLEAR = 0x0C, CAPTURE = 0x40, COMPARE = 0x140, MODE = 0x504,
       BITMODE = 0x508, PRESCALER = 0x510, CC = 0x540 };
enum { STARTRX = 0x00, STOPRX = 0x04, STARTTX = 0x08, STOPTX = 0x0C, FLUSHRX = 0x2C, RXDRDY = 0x108,
       ENDRX = 0x110, ENDTX = 0x120, ERROR = 0x124, RXTO = 0x144, RXSTARTED = 0x14C, TXSTOPPED = 0x158,
       SHORTS = 0x200, INTEN = 0x300, INTENSET = 0x304, INTENCLR = 0x308, ERRORSRC = 0x480, ENABLE = 0x500,
       TXD = 0x50C, RXD = 0x514, BAUDRATE = 0x524, RXPTR = 0x534, RXMAX = 0x538, RXAMOUNT = 0x53C,
       TXPTR = 0x544, TXMAX = 0x548, TXAMOUNT = 0x54C };
#define ISER(irq) (REG(0xE000E100 + 4 * ((irq) / 32)) = 1u << (irq) % 32)
static inline void nops(int n) { for (int i = 0; i < n; i++) __asm volatile("nop"); }
static inline void uart_on(uint32_t baud) {
    UARTE(TXD) = 32 + 3; UARTE(RXD) = 32 + 10; UARTE(BAUDRATE) = baud; UARTE(ENABLE) = 8;
}
static inline void receive(volatile void *to, uint32_t n) {
    UARTE(RXPTR) = (uint32_t)to; UARTE(RXMAX) = n; UARTE(STARTRX) = 1;
}
static inline void send(const volatile void *from, uint32_t n) {
    UARTE(TXPTR) = (uint32_t)from; UARTE(TXMAX) = n; UARTE(STARTTX) = 1;
}
static inline void timer_on(int n, uint32_t prescaler) {
    TIMER(n, PRESCALER) = prescaler; TIMER(n, BITMODE) = 3; TIMER(n, START) = 1;
}
static inline uint32_t timer_now(int n) { TIMER(n, CAPTURE + 12) = 1; return TIMER(n, CC + 12); }
enum { B115200 = 0x01D60000, B1M = 0x10000000 };
"""


def run_program(folder, source, sent_to_it=b"", **options):
    return run_on(folder, PREAMBLE + source, sent_to_it, target=NRF, **options)


def message_of(folder, body):
    """What the machine stops with."""
    elf = compile_program(folder, f"{PREAMBLE} int main(void) {{ {body} return 0; }}", target=NRF)
    return run_elf(elf, target=NRF).message


# What the link's driver does: two buffers in turn, bytes counted by a timer, sleep until something comes.
ECHO = (
    PREAMBLE
    + """
static volatile uint8_t ring[2][32];
static volatile uint32_t next;
static uint8_t out;
void uarte0(void) {
    if (UARTE(RXSTARTED)) {
        UARTE(RXSTARTED) = 0;
        next ^= 1;
        UARTE(RXPTR) = (uint32_t)ring[next];
    }
    UARTE(RXDRDY) = 0;
    (void)UARTE(RXDRDY);
}
int main(void) {
    uart_on(B115200);
    TIMER(3, MODE) = 1; TIMER(3, BITMODE) = 3; TIMER(3, START) = 1;
    PPI(0x510) = 0x40002000 + RXDRDY; PPI(0x514) = 0x4001A000 + COUNT; PPI(0x504) = 1;
    UARTE(SHORTS) = 1 << 5;
    UARTE(INTENSET) = 1 << 19 | 1 << 2;
    ISER(2);
    receive(ring[0], 32);
    for (uint32_t read = 0;;) {
        if (timer_now(3) == read) { __asm volatile("wfi"); continue; }
        out = ring[read / 32 % 2][read % 32] ^ 0x20;
        read++;
        if (out == ('!' ^ 0x20)) REG(0x60000000) = 1;
        UARTE(ENDTX) = 0;
        send(&out, 1);
        while (!UARTE(ENDTX)) {}
    }
}
"""
)


@pytest.mark.parametrize("target", [NRF, NRF_APPLICATION], ids=["bare", "application"])
def test_echo_over_the_pseudo_terminal(tmp_path, target):
    source = ECHO.replace(
        "int main(void) {", "int main(void) { REG(0xE000E184) = 1 << 7;"
    )  # USBD's interrupt
    board = VirtualBoard(compile_program(tmp_path, source, target=target), "nano33ble")
    sent = bytes(range(97, 123)) * 20
    with board:
        port = board.open()
        port.timeout = 10
        answer = b""
        for i in range(0, len(sent), 40):
            port.write(sent[i : i + 40])
            answer += port.read(len(sent[i : i + 40]))
        assert answer == bytes(c ^ 0x20 for c in sent), board.failure()


def test_process_reports_an_illegal_access(tmp_path):
    elf = compile_program(tmp_path, ECHO, target=NRF)
    command = [sys.executable, "-m", "tinyswitch.boards.virtual", "--board", "nano33ble", elf]
    run = subprocess.run(command, input=b"ab!", capture_output=True, timeout=20, check=False)
    assert run.returncode == 1 and run.stdout == b"AB"
    assert run.stderr.startswith(b"virtual nRF52840 stopped:") and b"0x60000000" in run.stderr


# UARTE0


def test_sending_takes_its_time_and_reads_only_ram(tmp_path):
    run = run_program(
        tmp_path,
        """
static uint8_t text[100];
int main(void) {
    for (int i = 0; i < 100; i++) text[i] = (uint8_t)i;
    uart_on(B115200);
    timer_on(2, 0);
    uint32_t start = timer_now(2);
    send(text, 100);
    while (!UARTE(ENDTX)) {}
    result[0] = timer_now(2) - start;
    result[1] = UARTE(TXAMOUNT);
    UARTE(STOPTX) = 1;
    result[2] = UARTE(TXSTOPPED);
    return 0;
}
""",
    )
    assert run.sent == bytes(range(100))
    assert run.result[0] == pytest.approx(100 * 10 * 139, abs=20)  # 16 MHz / 139: 115,108 baud
    assert run.result[1:3] == [100, 1]
    assert "aren't in RAM" in message_of(tmp_path, "uart_on(B1M); send((void *)0x100, 4);")
    assert "aren't in RAM" in message_of(tmp_path, "uart_on(B1M); send((void *)0x2003FFFC, 5);")


def test_sending_that_is_stopped_ends_with_the_byte_in_progress(tmp_path):
    run = run_program(
        tmp_path,
        """
static uint8_t text[100] = "0123456789";
int main(void) {
    uart_on(B1M);
    timer_on(2, 0);
    send(text, 100);
    while (timer_now(2) < 2 * 160 + 80) {}          /* in the middle of the third */
    UARTE(STOPTX) = 1;
    while (!UARTE(TXSTOPPED)) {}
    result[0] = timer_now(2);
    result[1] = UARTE(ENDTX);
    result[2] = UARTE(TXAMOUNT);
    return 0;
}
""",
    )
    assert run.sent == b"012"
    assert run.result[0] == pytest.approx(3 * 160, abs=20) and run.result[1:3] == [1, 3]


def test_two_buffers_receive_without_a_gap_and_a_timer_counts(tmp_path):
    sent = bytes(i * 7 & 0xFF for i in range(100))
    run = run_program(
        tmp_path,
        """
static volatile uint8_t buffer[10][10];
static volatile uint32_t started;
void uarte0(void) {
    UARTE(RXSTARTED) = 0;
    started++;
    UARTE(RXPTR) = (uint32_t)buffer[started % 10];   /* for the next one */
    (void)UARTE(RXSTARTED);
}
int main(void) {
    uart_on(B1M);
    TIMER(3, MODE) = 1; TIMER(3, BITMODE) = 3; TIMER(3, START) = 1;
    PPI(0x510) = 0x40002000 + RXDRDY; PPI(0x514) = 0x4001A000 + COUNT; PPI(0x504) = 1;
    UARTE(SHORTS) = 1 << 5;
    UARTE(INTENSET) = 1 << 19;
    ISER(2);
    timer_on(2, 0);
    receive(buffer[0], 10);
    uint32_t start = timer_now(2);
    while (timer_now(3) < 97) {}
    result[0] = timer_now(2) - start;
    while (started < 11) {}
    result[1] = UARTE(RXAMOUNT);
    result[2] = UARTE(ERROR);
    for (int i = 0; i < 100; i++) result[3] += buffer[i / 10][i % 10] == (i * 7 & 0xFF);
    return 0;
}
""",
        sent,
    )
    assert run.result[0] == pytest.approx(97 * 160, abs=200)
    assert run.result[1:4] == [10, 0, 100]


def test_next_pointer_that_comes_late_means_the_same_buffer_again(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint8_t a[4];
int main(void) {
    uart_on(B1M);
    UARTE(SHORTS) = 1 << 5;
    receive(a, 4);
    for (int i = 0; i < 2; i++) { while (!UARTE(ENDRX)) {} UARTE(ENDRX) = 0; }
    result[0] = a[0] | a[1] << 8 | a[2] << 16 | (uint32_t)a[3] << 24;
    return 0;
}
""",
        b"abcdABCD",
    )
    assert run.result[0] == int.from_bytes(b"ABCD", "little")


def test_without_a_buffer_the_fifo_keeps_four_bytes_and_the_rest_is_lost(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint8_t a[8], b[8];
int main(void) {
    uart_on(B1M);
    timer_on(2, 0);
    receive(a, 4);
    while (timer_now(2) < 10 * 160 + 80) {}          /* 4 in memory, 4 in the FIFO, 2 lost */
    result[0] = UARTE(ENDRX);
    result[1] = UARTE(ERROR);
    result[2] = UARTE(ERRORSRC);
    UARTE(ERRORSRC) = 1;
    result[3] = UARTE(ERRORSRC);
    UARTE(ENDRX) = 0;
    receive(b, 6);
    while (!UARTE(ENDRX)) {}
    for (int i = 0; i < 6; i++) result[4 + i] = b[i];
    return 0;
}
""",
        b"abcdefghijklm",
    )
    assert run.result[:4] == [1, 1, 1, 0]
    assert bytes(run.result[4:10]) == b"efghkl"


def test_receiver_that_is_stopped_ends_its_buffer_and_flushes(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint8_t a[32];
int main(void) {
    uart_on(B1M);
    timer_on(2, 0);
    receive(a, 5);
    while (timer_now(2) < 3 * 160 + 80) {}           /* 3 bytes are in */
    UARTE(STOPRX) = 1;                               /* 4 more still come */
    uint32_t start = timer_now(2);
    while (!UARTE(RXTO)) {}
    result[0] = timer_now(2) - start;
    result[1] = UARTE(RXAMOUNT);
    result[2] = UARTE(ENDRX);
    UARTE(ENDRX) = 0;
    UARTE(RXPTR) = (uint32_t)(a + 5);
    UARTE(RXMAX) = 8;
    UARTE(FLUSHRX) = 1;
    while (!UARTE(ENDRX)) {}
    result[3] = UARTE(RXAMOUNT);
    for (int i = 0; i < 7; i++) result[4 + i] = a[i];
    return 0;
}
""",
        b"abcdefghijklm",
    )
    assert run.result[0] == pytest.approx(4 * 160, abs=20)
    assert run.result[1:4] == [5, 1, 2]
    assert bytes(run.result[4:11]) == b"abcdefg"


def test_byte_ends_sleep_in_which_the_cycle_counter_and_systick_stand(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint8_t a[4];
void uarte0(void) { UARTE(INTENCLR) = 1 << 2; (void)UARTE(INTENCLR); }
int main(void) {
    CYCLES_ON();
    TICK(1 << 24);
    uart_on(B115200);
    timer_on(2, 0);
    UARTE(INTENSET) = 1 << 2;
    ISER(2);
    receive(a, 4);
    uint32_t cycles = CYCCNT, ticks = REG(0xE000E018), time = timer_now(2);
    __asm volatile("wfi");
    result[0] = CYCCNT - cycles;
    result[1] = ticks - REG(0xE000E018);
    result[2] = timer_now(2) - time;
    return 0;
}
""",
        b"x",
    )
    assert run.result[0] < 100 and run.result[1] < 100
    assert run.result[2] == pytest.approx(10 * 139, abs=20)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("static uint8_t t; send(&t, 1);", "UARTE0_TASKS_STARTTX: the peripheral is off"),
        ("uart_on(123);", "UARTE0_BAUDRATE: 0x0000007b isn't one of"),
        ("static uint8_t t[2]; uart_on(B1M); send(t, 2); send(t, 2);", "the transmission before goes on"),
        ("static uint8_t t[2]; uart_on(B1M); receive(t, 2); receive(t, 2);", "the receiver is running"),
        ("static uint8_t t[2]; uart_on(B1M); receive(t, 2); UARTE(ENABLE) = 0;", "STOPRX, STOPTX come first"),
        ("static uint8_t t[2]; uart_on(B1M); receive(t, 2); UARTE(BAUDRATE) = B115200;", "changed while it"),
        (
            "static uint8_t t[2]; uart_on(B1M); receive(t, 2); UARTE(FLUSHRX) = 1;",
            "STOPRX and RXTO come first",
        ),
        ("uart_on(B1M); receive((void *)0x20000000, 0);", "RXD_MAXCNT is 0"),
        ("uart_on(B1M); receive((void *)0x1FFFFFFF, 4);", "UARTE0_RXD_PTR: 4 bytes at 0x1fffffff aren't in"),
        ("uart_on(B1M); UARTE(TXD) = 5;", "UARTE0_PSEL_TXD: can only be changed while"),
        ("UARTE(TXD) = 5; UARTE(ENABLE) = 8; send((void *)0x20000000, 1);", "serial port is at 0x23, P1.03"),
        ("UARTE(ENABLE) = 4;", "UARTE0_ENABLE: bits 0x00000004 aren't modelled"),
        ("UARTE(0x56C) = 0xE;", "UARTE0_CONFIG: bits 0x0000000e aren't modelled"),
        ("UARTE(RXDRDY) = 1;", "UARTE0_EVENTS_RXDRDY: an event can only be cleared"),
        ("UARTE(0x104) = 0;", "UARTE0 has no such register"),
        ("result[0] = UARTE(STARTRX);", "UARTE0_TASKS_STARTRX can only be written"),
    ],
)
def test_uart_refuses(tmp_path, body, message):
    assert message in message_of(tmp_path, body)


# TIMER and PPI


def test_timer_interrupts_at_its_period(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint32_t at[8], calls;
void timer1(void) { TIMER(1, COMPARE) = 0; at[calls++] = CYCCNT; (void)TIMER(1, COMPARE); }
int main(void) {
    CYCLES_ON();
    TIMER(1, CC) = 1000;
    TIMER(1, SHORTS) = 1;
    TIMER(1, INTENSET) = 1 << 16;
    ISER(9);
    timer_on(1, 1);                                  /* 8 MHz */
    while (calls < 8) {}
    TIMER(1, STOP) = 1;
    for (int i = 0; i < 7; i++) result[i] = at[i + 1] - at[i];
    result[7] = timer_now(1);
    nops(10000);
    result[8] = timer_now(1);
    result[9] = calls;
    TIMER(1, CLEAR) = 1;
    result[10] = timer_now(1);
    return 0;
}
""",
    )
    assert all(7990 <= gap <= 8010 for gap in run.result[:7])
    assert sum(run.result[:7]) == pytest.approx(7 * 8000, abs=10)
    assert run.result[7] == run.result[8] < 10 and run.result[9:11] == [8, 0]


def test_timer_compares_wraps_and_stops(tmp_path):
    run = run_program(
        tmp_path,
        """
int main(void) {
    TIMER(0, PRESCALER) = 0; TIMER(0, BITMODE) = 1;  /* 8 bits */
    TIMER(0, CC) = 200;
    TIMER(0, CC + 4) = 256;                          /* never */
    TIMER(0, CC + 8) = 100;
    TIMER(0, SHORTS) = 1 << 10;                      /* COMPARE2 stops */
    TIMER(0, START) = 1;
    while (!TIMER(0, COMPARE + 8)) {}
    result[0] = timer_now(0);
    result[1] = TIMER(0, COMPARE);
    TIMER(0, SHORTS) = 0;
    TIMER(0, COMPARE + 8) = 0;
    TIMER(0, START) = 1;
    while (!TIMER(0, COMPARE + 8)) {}                /* around */
    result[2] = TIMER(0, COMPARE) | TIMER(0, COMPARE + 4) << 1;
    return 0;
}
""",
    )
    assert run.result[:3] == [100, 0, 1]


def test_ppi_connects_event_to_task_and_fork(tmp_path):
    run = run_program(
        tmp_path,
        """
int main(void) {
    TIMER(0, CC) = 160; TIMER(0, SHORTS) = 1;
    TIMER(4, MODE) = 1; TIMER(4, BITMODE) = 3; TIMER(4, START) = 1; TIMER(4, CC + 4) = 5;
    timer_on(2, 0);
    PPI(0x518) = 0x40008000 + COMPARE; PPI(0x51C) = 0x4001B000 + COUNT;    /* channel 1 */
    PPI(0x914) = 0x4000A000 + CAPTURE + 4;                                /* its fork */
    PPI(0x500) = 2;
    timer_on(0, 0);
    while (!TIMER(4, COMPARE + 4)) {}
    result[0] = timer_now(4);
    result[1] = TIMER(2, CC + 4) - TIMER(0, CC + 12);
    PPI(0x508) = 2;
    result[2] = PPI(0x500);
    nops(5000);
    result[3] = timer_now(4);
    return 0;
}
""",
    )
    assert run.result[0] == run.result[3] == 5 and run.result[2] == 0
    assert run.result[1] == pytest.approx(5 * 160, abs=40)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("PPI(0x510) = 0x40002000;", "PPI_CH0_EEP: 0x40002000 isn't the register of an event"),
        ("PPI(0x514) = 0x40002108;", "PPI_CH0_TEP: 0x40002108 isn't the register of a task"),
        ("PPI(0x504) = 1 << 20;", "PPI_CHENSET: bits 0x00100000 aren't modelled"),
        ("timer_on(0, 0); TIMER(0, BITMODE) = 0;", "TIMER0_BITMODE: can only be changed while"),
        ("TIMER(0, PRESCALER) = 10;", "TIMER0_PRESCALER: 10 is over 9"),
        ("TIMER(0, COUNT) = 1;", "TIMER0_MODE says timer"),
        ("TIMER(0, CC + 16) = 1;", "TIMER0 has no such register"),
    ],
)
def test_timer_and_ppi_refuse(tmp_path, body, message):
    assert message in message_of(tmp_path, body)


# Watchdog, resets, clocks

RESETS = """
static volatile __attribute__((section(".noinit"))) uint32_t boots, magic, kept[8], running[8];
int main(void) {
    if (magic != 0x12345678) { magic = 0x12345678; boots = 0; }
    kept[boots] = CLOCK(0x400);
    running[boots] = WDT(0x400);
    CLOCK(0x400) = 0xFFFFF & CLOCK(0x400);
    if (++boots == 1) {
        CLOCK(0x51C) = 0x5A;
        WDT(0x504) = 1310; WDT(0) = 1;                 /* 40 ms */
        nops(64000);
        REG(0xE000ED0C) = 0x05FA0004;
        for (;;) {}
    }
    if (boots == 2) for (;;) __asm volatile("wfi");
    result[0] = boots;
    for (int i = 0; i < 3; i++) { result[1 + i] = kept[i]; result[4 + i] = running[i]; }
    result[7] = CLOCK(0x51C);
    return 0;
}
"""


def test_resets_keep_ram_and_tell_their_cause_and_the_watchdog_survives_software(tmp_path):
    run = run_program(tmp_path, RESETS)
    assert run.result[:4] == [3, 0, 1 << 2, 1 << 1]  # power; SREQ; DOG
    assert run.result[4:7] == [0, 1, 0] and run.result[7] == 0x5A
    assert run.machine.seconds() == pytest.approx(1311 / 32768, rel=0.01)


def test_watchdog_that_is_fed_does_nothing(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint32_t calls;
void timer1(void) { TIMER(1, COMPARE) = 0; calls++; WDT(0x600) = 0x6E524635; (void)TIMER(1, COMPARE); }
int main(void) {
    WDT(0x504) = 99; WDT(0) = 1;                      /* 3 ms */
    TIMER(1, CC) = 32000; TIMER(1, SHORTS) = 1; TIMER(1, INTENSET) = 1 << 16;
    ISER(9);
    timer_on(1, 0);
    while (calls < 20) __asm volatile("wfi");
    result[0] = CLOCK(0x400);
    result[1] = WDT(0x404);
    return 0;
}
""",
    )
    assert run.result[:2] == [0, 1]  # no reset; the next request is awaited
    assert run.machine.seconds() == pytest.approx(0.040, rel=0.02)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("WDT(0x504) = 5; WDT(0) = 1;", "WDT_CRV: 5 is below 15"),
        ("WDT(0) = 1; WDT(0x504) = 50;", "WDT_CRV: can't be changed once the watchdog runs"),
        ("WDT(0x600) = 1;", "WDT_RR0: 0x00000001 isn't the reload request"),
        ("CLOCK(0x518) = 1;", "CLOCK/POWER_LFCLKSRC: bits 0x00000001 aren't modelled"),
        ("REG(0xE000E010) = 1;", "SYST_CSR: CLKSOURCE 0 chooses a clock"),
        ("REG(0x4001E504) = 1;", "NVMC_CONFIG: bits 0x00000001 aren't modelled"),
        ("REG(0x40003000) = 1;", "no memory or register there"),
        ("REG(0x10000100) = 1;", "4-byte write of value 0x00000001 at 0x10000100"),
        ("REG(0xE000ED80) = 0;", "SCB has no such register"),
    ],
)
def test_other_refusals(tmp_path, body, message):
    assert message in message_of(tmp_path, body)


def test_crystal_takes_its_time(tmp_path):
    run = run_program(
        tmp_path,
        """
int main(void) {
    CYCLES_ON();
    result[0] = CLOCK(0x40C);
    CLOCK(0) = 1;
    uint32_t start = CYCCNT;
    while (!(CLOCK(0x40C) & 1)) {}
    result[1] = CYCCNT - start;
    result[2] = CLOCK(0x100);
    result[3] = REG(0x10000100);
    result[4] = REG(0x10001014);
    return 0;
}
""",
    )
    assert run.result[0] == 1 << 16
    assert run.result[1] == pytest.approx(360e-6 * HZ, rel=0.01)
    assert run.result[2:5] == [1, 0x52840, 0xFFFFFFFF]
    assert run.machine.clocks.core_hz == HZ


# SAADC

SUPPLY = """
static volatile uint16_t sample[2];
int main(void) {
    CYCLES_ON();
    SAADC(0x500) = 1;
    SAADC(0x510) = 9;
    SAADC(0x5F0) = 2;
    SAADC(0x62C) = (uint32_t)sample;
    SAADC(0x630) = 1;
    SAADC(0) = 1;
    result[0] = SAADC(0x100);
    uint32_t start = CYCCNT;
    SAADC(4) = 1;
    while (!SAADC(0x104)) {}
    result[1] = CYCCNT - start;
    result[2] = sample[0];
    result[3] = SAADC(0x634);
    SAADC(8) = 1;
    result[4] = SAADC(0x114);
    return 0;
}
"""


@pytest.mark.parametrize("mv", [1700, 3300, 3600])
def test_converter_measures_the_supply(tmp_path, mv):
    run = run_program(tmp_path, SUPPLY, options=Options(supply_mv=mv))
    assert run.result[0] == 1 and run.result[3:5] == [1, 1]
    assert run.result[1] == pytest.approx(12e-6 * HZ, abs=40)
    assert run.result[2] == min(4095, round(mv / 6 / 600 * 4096))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("SAADC(0) = 1;", "SAADC_TASKS_START: the peripheral is off"),
        ("SAADC(0x500) = 1; SAADC(0x630) = 1; SAADC(0) = 1;", "SAADC_RESULT_PTR: 2 bytes at 0x00000000"),
        ("SAADC(0x500) = 1; SAADC(4) = 1;", "no buffer, START comes first"),
        ("SAADC(0x518) = 1 << 12;", "SAADC_CH0_CONFIG: bits 0x00001000 aren't modelled"),
    ],
)
def test_converter_refuses(tmp_path, body, message):
    assert message in message_of(tmp_path, body)


# Ports


def test_ports_and_what_is_wired_to_them(tmp_path):
    elf = compile_program(
        tmp_path,
        PREAMBLE
        + """
int main(void) {
    REG(0x50000700 + 4 * 14) = 0 | 3 << 2;             /* P0.14: input, pulled up */
    REG(0x50000700 + 4 * 15) = 1 << 2;                 /* P0.15: pulled down, but wired to 1 */
    REG(0x50000700 + 4 * 16) = 1 | 6 << 8;             /* P0.16: open drain, wired to 0 */
    REG(0x50000508) = 1 << 22 | 1 << 16; REG(0x50000518) = 1 << 22;
    REG(0x50000A00) = 3; REG(0x50000808) = 1;          /* P1.00: output, input buffer off */
    result[0] = REG(0x50000510);
    result[1] = REG(0x50000810);
    result[2] = REG(0x50000700 + 4 * 22);
    result[3] = REG(0x50000514);
    result[4] = REG(0x50000814);
    REG(0x5000050C) = 1 << 22;
    result[5] = REG(0x50000504);
    return 0;
}
""",
        target=NRF,
    )
    told = []

    def wire(machine):
        port = next(p for p in machine.peripherals if p.name == "P0")
        port.outside[15], port.outside[16] = lambda: 1, lambda: 0
        port.watchers.append(lambda: told.append(port.driven(22)))
        assert port.driven(16) is None

    run = run_elf(elf, target=NRF, prepare=wire)
    assert run.result[0] == 1 << 14 | 1 << 15 and run.result[1] == 0
    assert run.result[2:6] == [3, 1 << 22 | 1 << 16, 1, 1 << 16]
    assert told[-1] == 0 and 1 in told


# The core


def test_priorities_have_three_bits_and_cycle_counter_needs_no_unlocking(tmp_path):
    run = run_program(
        tmp_path,
        """
int main(void) {
    *(volatile uint8_t *)0xE000E409 = 0xFF;
    result[0] = *(volatile uint8_t *)0xE000E409;
    REG(0xE000ED20) = 0xF0F00000;
    result[1] = REG(0xE000ED20);
    result[2] = REG(0xE000ED00);
    REG(0xE000EDFC) = 1 << 24;
    REG(0xE0001000) |= 1;
    uint32_t start = CYCCNT;
    nops(1000);
    result[3] = CYCCNT - start;
    float x = 1.5f;
    __asm volatile("" : "+t"(x));
    result[4] = (uint32_t)(x * 3.0f * 100.0f);
    result[5] = *(volatile uint32_t *)(0x00800000 + ((uint32_t)&result[4] & 0xFFFFFF));
    return 0;
}
""",
    )
    assert run.result[:3] == [0xE0, 0xE0E00000, 0x410FC241]
    assert run.result[3] >= 1000 and run.result[4] == run.result[5] == 450


def test_bootloader_leaves_usb_that_interrupts(tmp_path):
    source = (
        PREAMBLE
        + "int main(void) { for (int i = 0; i < 20000; i++) nops(1); result[0] = CLOCK(0x40C); return 0; }"
    )
    run = run_elf(compile_program(tmp_path, source, target=NRF_APPLICATION), target=NRF_APPLICATION)
    assert run.result[31] == 0xBAD
    off = source.replace("{ for", "{ REG(0x40027500) = 0; for")
    run = run_elf(compile_program(tmp_path, off, target=NRF_APPLICATION), target=NRF_APPLICATION)
    assert run.result[31] == 0 and run.result[0] == 1 << 16 | 1  # and the crystal runs


def test_every_embedded_board_has_a_virtual_one():
    assert registry.NAMES == names.EMBEDDED


def test_options_of_a_sensor_that_the_board_lacks():
    command = [sys.executable, "-m", "tinyswitch.boards.virtual", "x.elf", "--motion", "wave.json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2 and "--board stm32f746 has no motion sensor" in run.stderr


@pytest.mark.parametrize("mv", ["1699", "3601"])
def test_supply_voltages_that_there_cannot_be(mv):
    command = [sys.executable, "-m", "tinyswitch.boards.virtual", "--board", "nano33ble", "x.elf"]
    run = subprocess.run(
        [*command, "--supply-mv", mv], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 2 and f"{mv} isn't a supply voltage of 1700 to 3600 mV" in run.stderr
