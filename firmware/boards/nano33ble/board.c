/* The rest of board.h. */
#include "chip.h"
#include "registers.h"

const char board_name[] = "nano33ble";

void board_init(void) {
    watchdog_start(); /* first: it ends whatever hangs below */
    faults_start(reset_cause());
    clock_start();
    timers_start();
    uarte_start();
}

enum board_reset_cause reset_cause(void) {
    const uint32_t flags = POWER_RESETREAS;
    POWER_RESETREAS = flags; /* ones clear; they would add up */
    /* The pin first: it may leave other flags set (nRF52840 errata, 136). */
    if (flags & POWER_RESETREAS_RESETPIN) {
        return BOARD_RESET_PIN;
    }
    if (flags & POWER_RESETREAS_DOG) {
        return BOARD_RESET_WATCHDOG;
    }
    if (flags & POWER_RESETREAS_LOCKUP) {
        return BOARD_RESET_FAULT; /* within the fault handler, so there is no report */
    }
    return flags & POWER_RESETREAS_SREQ ? BOARD_RESET_SOFTWARE : BOARD_RESET_POWER;
}
