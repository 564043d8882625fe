/* The rest of board.h. */
#include "board.h"
#include "chip.h"
#include "registers.h"

const char board_name[] = "stm32f746";

void board_init(void) {
    watchdog_start(); /* first: it ends whatever hangs below */
    faults_start();
    clock_start();
    caches_start();
    timers_start();
    usart_start();
}

uint32_t board_stack_peak(void) {
    const uint32_t *word = stack_bottom;
    while (word < stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((const uint8_t *)stack_top - (const uint8_t *)word);
}

void board_reset(void) {
    __asm volatile("dsb");
    SCB_AIRCR = SCB_AIRCR_SYSRESETREQ;
    __asm volatile("dsb");
    for (;;) {
    }
}
