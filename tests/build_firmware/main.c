/* Exercises board.h: one command byte in, one line of text out. */
#include "board.h"

static void say(const char *text) {
    size_t n = 0;
    while (text[n] != '\0') {
        n++;
    }
    board_write((const uint8_t *)text, n);
}

static void say_number(uint64_t value) {
    char digits[21];
    char *at = digits + 20;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    say(at);
    say("\n");
}

static uint8_t read_byte(void) {
    uint8_t byte;
    while (board_read(&byte, 1) == 0) {
        board_watchdog_kick();
        board_idle();
    }
    return byte;
}

/* Long blocks without memory accesses: an emulator gets through them fast. */
__attribute__((noinline)) static void pass_time(void) {
    __asm volatile(".rept 1000\n nop\n .endr");
}

/* Does nothing for about so many cycles, without reading. */
static void busy(uint32_t cycles) {
    for (uint32_t i = 0; i < cycles / 1000; i++) {
        pass_time();
    }
}

__attribute__((noinline)) static uint32_t use_stack(uint32_t words) {
    volatile uint32_t big[512];
    for (uint32_t i = 0; i < words; i++) {
        big[i] = i;
    }
    return big[words - 1];
}

/* Until the stack is full, and beyond. */
static uint32_t use_all(uint32_t depth) {
    return depth == 0 ? 0 : use_all(depth - 1) + use_stack(1 + depth % 512);
}

static void obey(uint8_t command) {
    static volatile int one = 1, zero;
    static volatile float third = 3.0f;
    switch (command) {
    case 'c': /* why it started, and the report of the fault */
        say_number(board_reset_cause());
        say(board_fault() != NULL ? board_fault() : "-");
        say("\n");
        break;
    case 'e': /* echoes the next 256 bytes */
        for (int i = 0; i < 256; i++) {
            const uint8_t byte = read_byte();
            board_write(&byte, 1);
        }
        break;
    case 'b': /* 2,000,000 baud */
        say("ok\n");
        if (board_set_baud(2000000) != 0 || board_set_baud(9600) != -1) {
            say("baud?\n");
        }
        break;
    case 'o': /* is busy for 300 ms, then tells what is lost and what is there */
        busy(board_clock_hz / 10 * 3);
        {
            uint8_t byte;
            uint32_t there = 0;
            while (board_read(&byte, 1) != 0) {
                there++;
            }
            say_number(board_rx_lost());
            say_number(there);
        }
        break;
    case 'i': { /* sleeps for ten ticks; how many cycles it took */
        const uint64_t start = board_cycles();
        for (int i = 0; i < 10; i++) {
            board_idle();
        }
        say_number(board_cycles() - start);
        break;
    }
    case 's': /* the stack's mark before and after a deep call */
        say_number(board_stack_peak());
        (void)use_stack(512);
        say_number(board_stack_peak());
        break;
    case 'x':
        say_number(use_all(1000000));
        break;
    case 'f': /* floating point works: 1 / 3 in millionths */
        say_number((uint64_t)(1e6f / third));
        break;
    case 'd': /* a fault */
        say_number((uint64_t)(one / zero));
        break;
    case 'r':
        board_reset();
        break;
    case 'w': /* hangs */
        for (;;) {
            pass_time();
        }
    default:
        say("?\n");
    }
}

int main(void) {
    board_init();
    say("started\n");
    for (;;) {
        obey(read_byte());
    }
}
