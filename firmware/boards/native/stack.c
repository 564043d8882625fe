#include "stack.h"

#include <stdint.h>

#include "../board.h"

enum {
    PAINTED_BYTES = 256 * 1024, /* far more than the firmware uses, far less than a process has */
};

static const uint32_t pattern = 0xA5C35A3Cu;
static const volatile uint32_t *painted; /* lowest word */

/* The frame of this function is the area that is painted: it lies where later calls put theirs. */
__attribute__((noinline)) void native_stack_paint(void) {
    volatile uint32_t area[PAINTED_BYTES / sizeof(uint32_t)];
    for (uint32_t i = 0; i < PAINTED_BYTES / sizeof *area; i++) {
        area[i] = pattern;
    }
    const volatile uintptr_t address = (uintptr_t)area;
    painted = (const volatile uint32_t *)address;
}

__attribute__((noinline, no_sanitize("address"))) uint32_t board_stack_peak(void) {
    uint32_t untouched = 0;
    while (untouched < PAINTED_BYTES / sizeof *painted && painted[untouched] == pattern) {
        untouched++;
    }
    return PAINTED_BYTES - untouched * (uint32_t)sizeof *painted;
}
