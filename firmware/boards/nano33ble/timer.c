/* The periodic timer: TIMER1. Its interrupt has the lowest priority, so that faults, reception and the tick,
 * on which the cycle counter depends, come through while a handler is busy. */
#include "chip.h"
#include "registers.h"
#include <stddef.h>

#define MAX_HZ 100000u

static void (*handler)(void);
static uint32_t latest; /* count at which a handler must have returned */

static void forget_event(void) {
    TIMER_EVENTS_COMPARE(TIMER1, 0) = 0;
    (void)TIMER_EVENTS_COMPARE(TIMER1, 0); /* the line is low before what it left behind is cleared */
    NVIC_ICPR(TIMER1_POSITION) = NVIC_BIT(TIMER1_POSITION);
}

static void stop(void) {
    NVIC_ICER(TIMER1_POSITION) = NVIC_BIT(TIMER1_POSITION);
    __asm volatile("dsb\n isb" ::: "memory");
    TIMER_TASKS_STOP(TIMER1) = 1;
    TIMER_TASKS_CLEAR(TIMER1) = 1;
    forget_event();
}

void board_timer_start(uint32_t hz, void (*h)(void)) {
    stop();
    if (hz == 0) {
        return;
    }
    handler = h;
    hz = hz < MAX_HZ ? hz : MAX_HZ;
    const uint32_t counts = (TIMER_HZ + hz / 2) / hz;
    latest = counts - 1 - counts / 64;
    TIMER_MODE(TIMER1) = TIMER_MODE_TIMER;
    TIMER_BITMODE(TIMER1) = TIMER_BITMODE_32;
    TIMER_PRESCALER(TIMER1) = 0;
    TIMER_CC(TIMER1, 0) = counts;
    TIMER_SHORTS(TIMER1) = TIMER_SHORTS_COMPARE0_CLEAR;
    TIMER_INTENCLR(TIMER1) = UINT32_C(0xFFFFFFFF);
    TIMER_INTENSET(TIMER1) = TIMER_INT_COMPARE(0);
    NVIC_IPR(TIMER1_POSITION) = NVIC_LOWEST;
    NVIC_ISER(TIMER1_POSITION) = NVIC_BIT(TIMER1_POSITION);
    TIMER_TASKS_START(TIMER1) = 1;
}

/* A handler that ends with the period, or after it, would be called again before the main program has gone on
 * by a single instruction: give that a whole period. */
void timer_expired(void) {
    TIMER_EVENTS_COMPARE(TIMER1, 0) = 0;
    handler();
    TIMER_TASKS_CAPTURE(TIMER1, 1) = 1;
    if (TIMER_CC(TIMER1, 1) > latest || TIMER_EVENTS_COMPARE(TIMER1, 0) != 0) {
        TIMER_TASKS_CLEAR(TIMER1) = 1;
        forget_event();
    }
}
