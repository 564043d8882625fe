/* What test firmwares say and hear on the link, in words instead of frames. */
#ifndef TALK_H
#define TALK_H

#include "board.h"

static inline void say(const char *text) {
    size_t n = 0;
    while (text[n] != '\0') {
        n++;
    }
    board_write((const uint8_t *)text, n);
}

static inline void say_number(uint64_t value) {
    char digits[22];
    char *at = digits + 21;
    *at = '\n';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    board_write((const uint8_t *)at, (size_t)(digits + 22 - at));
}

static inline uint8_t read_byte(void) {
    uint8_t byte;
    while (board_read(&byte, 1) == 0) {
        board_watchdog_kick();
        board_idle();
    }
    return byte;
}

#endif
