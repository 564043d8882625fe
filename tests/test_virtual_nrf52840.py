"""The virtual Nano 33's peripherals, by small programs; the board as a process."""

import subprocess
import sys

import pytest

from tinyswitch.boards.virtual import Options, VirtualBoard
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
