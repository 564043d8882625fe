/* The rest of board.h. */
#include "chip.h"
#include "registers.h"

const char board_name[] = "stm32f746";

void board_init(void) {
    watchdog_start(); /* first: it ends whatever hangs below */
    faults_start(reset_cause());
    clock_start();
    caches_start();
    timers_start();
    usart_start();
}

enum board_reset_cause reset_cause(void) {
    const uint32_t flags = RCC_CSR;
    RCC_CSR |= RCC_CSR_RMVF;
    /* every reset sets the pin's flag too, because it pulls the pin */
    if (flags & RCC_CSR_IWDGRSTF) {
        return BOARD_RESET_WATCHDOG;
    }
    if (flags & RCC_CSR_SFTRSTF) {
        return BOARD_RESET_SOFTWARE;
    }
    return flags & (RCC_CSR_PORRSTF | RCC_CSR_BORRSTF) ? BOARD_RESET_POWER : BOARD_RESET_PIN;
}
