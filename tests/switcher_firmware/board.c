/* A board whose time passes only when it is looked at, for tests of tasks and monitor: reading the clock takes
 * 10 ticks; the timer's interrupt comes when a test calls for it. */
#include "board.h"

const char board_name[] = "fake";
const uint32_t board_clock_hz = 100000000;
const uint32_t board_rx_bytes = 0;

uint64_t fake_now;
uint32_t fake_hz, fake_starts, fake_mv;
void (*fake_handler)(void);

uint64_t board_cycles(void) {
    return fake_now += 10;
}

void board_timer_start(uint32_t hz, void (*handler)(void)) {
    fake_hz = hz;
    fake_handler = handler;
    fake_starts += hz > 0;
}

uint32_t board_supply_mv(void) {
    return fake_mv;
}

/* Lets `ticks` pass, with an interrupt at the end of each of `periods` equal parts. */
void fake_pass(uint64_t ticks, uint32_t periods) {
    const uint64_t start = fake_now;
    for (uint32_t i = 1; i <= periods; i++) {
        const uint64_t due = start + ticks * i / periods;
        fake_now = fake_now < due ? due : fake_now;
        if (fake_hz > 0) {
            fake_handler();
        }
    }
    fake_now = fake_now < start + ticks ? start + ticks : fake_now;
}
