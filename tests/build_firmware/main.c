/* Exercises board.h: one command byte in, one line of text out. */
#include "../board_talk.h"

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

static volatile uint32_t calls;
static volatile uint32_t busy_hundreds;

/* 102 to 104 cycles with the loop around it. */
__attribute__((noinline)) static void pass_hundred(void) {
    __asm volatile(".rept 96\n nop\n .endr");
}

/* Takes as long as it is told. */
static void count_call(void) {
    calls++;
    for (uint32_t i = 0; i < busy_hundreds; i++) {
        pass_hundred();
    }
}

/* How many cycles `n` calls of the handler at `hz` take, and how many of them are left to the main program,
 * both in thousands; each call is busy for `permille` of the period. */
static void try_timer(uint32_t hz, uint32_t permille, uint32_t n) {
    uint32_t hundreds = 0;
    calls = 0;
    busy_hundreds = (uint32_t)((uint64_t)board_clock_hz / hz * permille / 100000);
    const uint64_t start = board_cycles();
    board_timer_start(hz, count_call);
    while (calls < n) {
        pass_hundred();
        hundreds++;
    }
    board_timer_start(0, NULL);
    say_number((board_cycles() - start) / 1000);
    say_number(hundreds / 10);
}

/* How often the clock goes backwards while the handler looks at it too. */
static uint32_t watch_clock(uint32_t looks) {
    uint32_t backwards = 0;
    uint64_t last = board_cycles();
    for (uint32_t i = 0; i < looks; i++) {
        const uint64_t now = board_cycles();
        backwards += now < last || now - last > board_clock_hz;
        last = now;
    }
    return backwards;
}

static void look_at_clock(void) {
    calls += watch_clock(10) == 0;
}

/* Spoils floating-point registers that a function may change. */
static void spoil_floats(void) {
    calls++;
    __asm volatile("vmov.f32 s0, #1.0\n vmov.f32 s1, #1.0\n vmov.f32 s7, #1.0\n vmov.f32 s13, #1.0\n"
                   "vmov.f32 s14, #1.0\n vmov.f32 s15, #1.0\n vcmp.f32 s0, s1\n" ::
                       : "s0", "s1", "s7", "s13", "s14", "s15");
}

/* Shows when a register was spoilt on the way. */
__attribute__((noinline)) static float sum_floats(uint32_t n) {
    float a = 0.0f, b = 1.0f;
    for (uint32_t i = 1; i < n; i++) {
        a += b / (float)i;
        b = b < 3.0f ? b + 0.25f : 0.5f;
    }
    return a;
}

static volatile int one = 1, zero;

static void divide(void) {
    calls += (uint32_t)(one / zero);
}

static void obey(uint8_t command) {
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
    case 'b': { /* the board's highest speed, which it tells before */
        const uint32_t baud = board_name[0] == 's' ? 2000000 : 1000000;
        say_number(baud);
        if (board_set_baud(baud) != 0 || board_set_baud(9600) != -1 || board_set_baud(2000001) != -1) {
            say("baud?\n");
        }
        break;
    }
    case 'O': /* as 'o', with a handler that takes 95 % of the time */
        busy_hundreds = board_clock_hz / 1000 * 95 / 10000;
        board_timer_start(1000, count_call);
        /* fall through */
    case 'o': /* is busy for 300 ms or less, then tells what is lost and what is there */
        busy(board_clock_hz / (command == 'o' ? 10 : 200) * 3);
        board_timer_start(0, NULL);
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
    case 't': /* 60 % of the time taken; a handler that takes 2.5 periods; 30 % at 100 kHz; 1 Hz, 0 % */
        try_timer(1000, 600, 100);
        try_timer(1000, 2500, 40);
        try_timer(100000, 300, 1000);
        try_timer(1, 0, 1);
        break;
    case 'k': { /* the clock's steps backwards; whether the timer came; calls after its end */
        calls = 0;
        board_timer_start(20000, look_at_clock);
        say_number(watch_clock(20000));
        board_timer_start(0, NULL);
        const uint32_t seen = calls;
        busy(board_clock_hz / 100);
        say_number(seen > 20);
        say_number(calls - seen);
        break;
    }
    case 'F': { /* floating point while a handler uses it too: is it the same, and how often was it called */
        volatile uint32_t n = 200000;
        const float alone = sum_floats(n);
        calls = 0;
        board_timer_start(20000, spoil_floats);
        const float together = sum_floats(n);
        board_timer_start(0, NULL);
        say_number(alone == together);
        say_number(calls);
        break;
    }
    case 'z': { /* sleeps for 50 ms while the timer runs: calls, and thousands of cycles */
        const uint64_t start = board_cycles();
        calls = 0;
        busy_hundreds = 100;
        board_timer_start(2000, count_call);
        while (calls < 100) {
            board_idle();
        }
        board_timer_start(0, NULL);
        say_number((board_cycles() - start) / 1000);
        break;
    }
    case 'v': /* supply voltage; once more with the handler in between */
        say_number(board_supply_mv());
        calls = 0;
        busy_hundreds = 1000;
        board_timer_start(100000, count_call);
        say_number(board_supply_mv());
        board_timer_start(0, NULL);
        say_number(calls);
        break;
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
    case 'D': /* a fault in the handler */
        board_timer_start(1000, divide);
        for (;;) {
            pass_time();
        }
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
