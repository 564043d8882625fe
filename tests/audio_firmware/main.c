/* Exercises the audio input of board.h: one command byte in, lines of text or samples out. */
#include "../board_talk.h"

/* Long blocks without memory accesses: an emulator gets through them fast. */
__attribute__((noinline)) static void pass_time(void) {
    __asm volatile(".rept 10000\n nop\n .endr");
}

static void say_status(void) {
    board_audio status;
    board_audio_status(&status);
    say_number(status.state);
    say_number(status.rate_hz);
    say_number(status.delivered);
    say_number(status.lost);
    say_number(status.retries);
}

static int16_t samples[4096];
static uint32_t heard, first; /* samples since the first that wasn't 0, and how many came before it */
static uint32_t crc;          /* of the first `wanted` of them, as in zlib */
static uint32_t wanted;

static void add_to_crc(uint16_t sample) {
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t table[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                                    0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                    0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
        crc = crc >> 4 ^ table[(crc ^ sample >> 4 * i) & 15];
    }
}

static void hear(void) {
    const size_t n = board_audio_read(samples, sizeof samples / sizeof samples[0]);
    for (size_t i = 0; i < n; i++) {
        if (heard == 0 && samples[i] == 0) {
            first++;
        } else if (heard++ < wanted) {
            add_to_crc((uint16_t)samples[i]);
        }
    }
}

/* Until `wanted` samples have been heard: computes 100 ms at a time, and looks after the microphones in between. */
static void hear_while_busy(uint32_t seconds) {
    heard = first = 0;
    crc = 0xFFFFFFFF;
    wanted = seconds * 16000;
    while (heard < wanted) {
        const uint64_t start = board_cycles();
        while (board_cycles() - start < board_clock_hz / 10) {
            pass_time();
        }
        board_watchdog_kick();
        hear();
    }
    say_number(first);
    say_number(~crc & 0xFFFFFFFFu);
    say_status();
}

/* Sends the next thousands of samples, then how things are. */
static void hear_and_send(uint32_t thousands) {
    for (uint32_t left = 1000 * thousands; left > 0;) {
        const size_t n = board_audio_read(samples, left < 4096 ? left : 4096);
        board_write((const uint8_t *)samples, n * sizeof samples[0]);
        left -= (uint32_t)n;
        board_watchdog_kick();
        board_idle();
    }
    say_status();
}

/* How often time was passed in 10 s, while samples are fetched each 100 ms, and the cycles that took. */
static void measure(void) {
    uint32_t passes = 0;
    const uint64_t start = board_cycles();
    uint64_t now = start, looked = start;
    while (now - start < 10 * (uint64_t)board_clock_hz) {
        pass_time();
        passes++;
        now = board_cycles();
        if (now - looked >= board_clock_hz / 10) {
            looked = now;
            board_watchdog_kick();
            board_audio_read(samples, 4096);
        }
    }
    say_number(passes);
    say_number(now - start);
}

/* Computes for so many tenths of a second, and fetches in between, or doesn't. */
static void pass_tenths(uint32_t tenths, int fetch) {
    for (; tenths > 0; tenths--) {
        const uint64_t start = board_cycles();
        while (board_cycles() - start < board_clock_hz / 10) {
            pass_time();
        }
        board_watchdog_kick();
        if (fetch) {
            board_audio_read(samples, 4096);
        }
    }
}

static volatile uint32_t ticks;

/* A handler of the timer that is busy for three quarters of its period. */
static void busy_handler(void) {
    const uint64_t start = board_cycles();
    ticks++;
    while (board_cycles() - start < 3 * (uint64_t)board_clock_hz / 16) { /* period: 1/4 s */
        pass_time();
    }
}

int main(void) {
    board_init();
    say("started\n");
    for (;;) {
        switch (read_byte()) {
        case 'a':
            say_number((uint32_t)board_audio_start(16000));
            break;
        case 'r':
            say_number((uint32_t)board_audio_start(44100));
            break;
        case 'o':
            say_number((uint32_t)board_audio_start(0));
            break;
        case 's':
            say_status();
            break;
        case 'h':
            hear_while_busy(read_byte());
            break;
        case 'H':
            hear_and_send(read_byte());
            break;
        case 'm':
            measure();
            break;
        case 'w':
            pass_tenths(read_byte(), 1);
            break;
        case 'n':
            pass_tenths(read_byte(), 0);
            break;
        case 't':
            ticks = 0;
            board_timer_start(4, busy_handler);
            hear_while_busy(read_byte());
            board_timer_start(0, NULL);
            say_number(ticks);
            break;
        case 'b':
            (void)board_set_baud(2000000);
            break;
        case 'q':
            say("done\n");
            break;
        }
    }
}
