/* Vector table and reset handler. */
#include "chip.h"
#include "registers.h"

#define INTERRUPTS 98 /* RM0385, vector table of the STM32F75xxx and STM32F74xxx: positions 0..97 */

void reset_handler(void);

typedef void (*handler)(void);

struct vectors {
    uint32_t *stack;
    handler reset;
    handler faults[13]; /* NMI, HardFault, MemManage, BusFault, UsageFault, SVCall, PendSV, ... */
    handler tick;
    handler interrupts[INTERRUPTS];
};

/* Nothing but the tick and the timer is enabled, so any other entry reports a fault. */
__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    .stack = stack_top,
    .reset = reset_handler,
    .faults = {[0 ... 12] = fault_handler},
    .tick = tick_handler,
    .interrupts = {[0 ... TIM7_POSITION - 1] = fault_handler,
                   [TIM7_POSITION] = timer_handler,
                   [TIM7_POSITION + 1 ... INTERRUPTS - 1] = fault_handler},
};

void reset_handler(void) {
    SCB_VTOR = (uint32_t)(uintptr_t)&vectors; /* the chip starts with the flash's second address */
    start_program();
}
