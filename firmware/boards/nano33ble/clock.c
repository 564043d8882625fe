/* Watchdog, clocks, cycle counter, tick and sleep. */
#include "chip.h"
#include "registers.h"

const uint32_t board_clock_hz = CORE_HZ;

#define TICK_COUNTS (TIMER_HZ / 10u)
#define NAP_COUNTS (TIMER_HZ / 1000u) /* 1 ms: 100 bytes at 1,000,000 baud */
#define CYCLES_PER_COUNT (CORE_HZ / TIMER_HZ)
#define WATCHDOG_COUNTS                                                                                      \
    (32768u * 22u / 10u) /* of the 32.768 kHz clock: 2.2 s, for its RC oscillator may be off */

/* Which request registers the watchdog waits for; one that a bootloader has started may want several. */
static uint32_t watchdog_requests;

/* Nothing but a reset stops it or changes its settings. */
void watchdog_start(void) {
    if (!(WDT_RUNSTATUS & 1u)) {
        WDT_CONFIG = WDT_CONFIG_SLEEP;
        WDT_CRV = WATCHDOG_COUNTS - 1;
        WDT_RREN = 1;
        WDT_TASKS_START = 1;
    }
    watchdog_requests = WDT_RREN;
    board_watchdog_kick();
}

void board_watchdog_kick(void) {
    for (uint32_t n = 0; watchdog_requests >> n != 0; n++) {
        WDT_RR(n) = WDT_RR_RELOAD;
    }
}

void clock_start(void) {
    NVMC_ICACHECNF = NVMC_ICACHECNF_CACHEEN; /* the flash takes 2 wait states without it */
    CLOCK_TASKS_HFCLKSTART = 1;
    const uint32_t wanted = CLOCK_HFCLKSTAT_SRC_XTAL | CLOCK_HFCLKSTAT_STATE_RUNNING;
    while ((CLOCK_HFCLKSTAT & wanted) != wanted) {
    }
}

/* TIMER2 counts on while the processor sleeps. */
static uint32_t count_now(void) {
    TIMER_TASKS_CAPTURE(TIMER2, 1) = 1;
    return TIMER_CC(TIMER2, 1);
}

void timers_start(void) {
    TIMER_TASKS_STOP(TIMER2) = 1;
    TIMER_MODE(TIMER2) = TIMER_MODE_TIMER;
    TIMER_BITMODE(TIMER2) = TIMER_BITMODE_32;
    TIMER_PRESCALER(TIMER2) = 0;
    TIMER_SHORTS(TIMER2) = 0;
    TIMER_TASKS_CLEAR(TIMER2) = 1;
    TIMER_CC(TIMER2, 0) = TICK_COUNTS;
    TIMER_EVENTS_COMPARE(TIMER2, 0) = 0;
    TIMER_INTENCLR(TIMER2) = UINT32_C(0xFFFFFFFF);
    TIMER_INTENSET(TIMER2) = TIMER_INT_COMPARE(0);
    NVIC_IPR(TIMER2_POSITION) = 0;
    NVIC_ISER(TIMER2_POSITION) = NVIC_BIT(TIMER2_POSITION);
    TIMER_TASKS_START(TIMER2) = 1;
    cycles_start();
}

void tick_handler(void) {
    if (TIMER_EVENTS_COMPARE(TIMER2, 0) == 0) {
        return; /* what ended a nap is still pending */
    }
    TIMER_EVENTS_COMPARE(TIMER2, 0) = 0;
    TIMER_CC(TIMER2, 0) += TICK_COUNTS;
    (void)TIMER_EVENTS_COMPARE(TIMER2, 0); /* the line is low before the handler is left */
    board_cycles();                        /* before the counter wraps */
}

/* What the cycle counter missed is what it is behind the timer: both run from one clock, so nothing adds up. */
static void catch_up(void) {
    const int32_t behind = (int32_t)(count_now() - (uint32_t)(board_cycles() / CYCLES_PER_COUNT));
    if (behind > 0) {
        cycles_add((uint32_t)behind * CYCLES_PER_COUNT);
    }
}

void clock_sleep(void) {
    __asm volatile("dsb\n wfi\n isb" ::: "memory");
    catch_up();
}

static void nap(void) {
    TIMER_TASKS_CAPTURE(TIMER2, 2) = 1;
    TIMER_CC(TIMER2, 2) += NAP_COUNTS;
    TIMER_EVENTS_COMPARE(TIMER2, 2) = 0;
    TIMER_INTENSET(TIMER2) = TIMER_INT_COMPARE(2);
    clock_sleep();
    TIMER_INTENCLR(TIMER2) = TIMER_INT_COMPARE(2);
}

void board_idle(void) {
    const uint32_t mask = interrupts_off(); /* they still end the sleep, but are served after it */
    switch (uarte_look()) {
    case UARTE_QUIET:
        uarte_wake_by_byte();
        clock_sleep();
        uarte_wake_done();
        break;
    case UARTE_BUSY:
        nap(); /* rather than wake for each byte */
        break;
    default:
        break;
    }
    interrupts_restore(mask);
}
