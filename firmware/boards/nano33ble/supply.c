/* Supply voltage: the SAADC converts VDD against its internal reference. */
#include "chip.h"
#include "registers.h"

#define FULL_SCALE_MV 3600u /* 0.6 V / (1/6), PS 6.23.3 */
#define FULL_SCALE 4096u
#define LIMIT_CYCLES (CORE_HZ / 5000u) /* 200 us; a conversion takes 12 us */

/* Returns 0 if the event doesn't come in time. */
static int wait_for(volatile uint32_t *event) {
    const uint64_t start = board_cycles();
    for (;;) {
        const int late = board_cycles() - start > LIMIT_CYCLES; /* an interrupt may come after it */
        if (*event != 0) {
            *event = 0;
            return 1;
        }
        if (late) {
            return 0;
        }
    }
}

/* 12 bits; 0 if there is no result in time. */
static uint32_t convert_supply(void) {
    static volatile int16_t result __attribute__((aligned(4))); /* by DMA; 12 bits with a sign */
    SAADC_CH0_PSELP = SAADC_PSELP_VDD;
    SAADC_CH0_PSELN = SAADC_PSEL_NONE;
    SAADC_CH0_CONFIG = SAADC_CONFIG_GAIN_1_6 | SAADC_CONFIG_REFSEL_INTERNAL | SAADC_CONFIG_TACQ_10US;
    SAADC_RESOLUTION = SAADC_RESOLUTION_12;
    SAADC_RESULT_PTR = (uint32_t)(uintptr_t)&result;
    SAADC_RESULT_MAXCNT = 1;
    SAADC_EVENTS_STARTED = 0;
    SAADC_EVENTS_END = 0;
    SAADC_EVENTS_STOPPED = 0;
    result = 0;
    SAADC_TASKS_START = 1;
    if (wait_for(&SAADC_EVENTS_STARTED)) {
        SAADC_TASKS_SAMPLE = 1;
        (void)wait_for(&SAADC_EVENTS_END);
    }
    SAADC_TASKS_STOP = 1;
    (void)wait_for(&SAADC_EVENTS_STOPPED);
    return result > 0 ? (uint32_t)result : 0;
}

uint32_t board_supply_mv(void) {
    SAADC_ENABLE = 1;
    const uint32_t reading = convert_supply();
    SAADC_ENABLE = 0;
    return (FULL_SCALE_MV * reading + FULL_SCALE / 2) / FULL_SCALE;
}
