/* The processor's cycle counter, 64 bits of it. It stands still while the processor sleeps. */
#include "cortexm.h"

static uint64_t cycles;        /* at the last look at the counter, time asleep included */
static uint32_t cycles_looked; /* what the counter was then */

void cycles_start(void) {
    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
}

uint64_t board_cycles(void) {
    const uint32_t mask = interrupts_off();
    const uint32_t now = DWT_CYCCNT;
    cycles += now - cycles_looked;
    cycles_looked = now;
    const uint64_t result = cycles;
    interrupts_restore(mask);
    return result;
}

void cycles_add(uint32_t uncounted) {
    const uint32_t mask = interrupts_off();
    cycles += uncounted;
    interrupts_restore(mask);
}
