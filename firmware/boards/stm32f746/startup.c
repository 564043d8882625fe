/* Vector table and reset handler. */
#include "board.h"
#include "chip.h"
#include "registers.h"
#include <string.h>

#define INTERRUPTS 98 /* RM0385, vector table of the STM32F75xxx and STM32F74xxx: positions 0..97 */

extern uint8_t data_start[], data_end[], bss_start[], bss_end[];
extern const uint8_t data_load[];

int main(void);
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

/* For board_stack_peak(). Leaves what this function and its callee may use themselves. */
static void paint_stack(void) {
    const uint32_t *sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    for (volatile uint32_t *word = stack_bottom; word < sp - 16; word++) {
        *word = STACK_PAINT;
    }
}

void reset_handler(void) {
    /* Only the timer's handler may compute in floating point, and saves the registers itself. */
    FPU_FPCCR &= ~(FPU_FPCCR_ASPEN | FPU_FPCCR_LSPEN);
    FPU_CPACR |= FPU_CPACR_FULL;
    __asm volatile("dsb\n isb");
    SCB_VTOR = (uint32_t)(uintptr_t)&vectors; /* the chip starts with the flash's second address */
    paint_stack();
    memcpy(data_start, data_load, (size_t)(data_end - data_start));
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    main();
    board_reset();
}
