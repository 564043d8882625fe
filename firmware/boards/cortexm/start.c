/* From reset to main(), and back. */
#include "cortexm.h"
#include <string.h>

#define STACK_PAINT 0xA5A5A5A5u

extern uint8_t data_start[], data_end[], bss_start[], bss_end[];
extern const uint8_t data_load[];

int main(void);

/* For board_stack_peak(). Leaves what this function and its callee may use themselves. */
static void paint_stack(void) {
    const uint32_t *sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    for (volatile uint32_t *word = stack_bottom; word < sp - 16; word++) {
        *word = STACK_PAINT;
    }
}

void start_program(void) {
    /* Only the timer's handler may compute in floating point, and saves the registers itself. */
    FPU_FPCCR &= ~(FPU_FPCCR_ASPEN | FPU_FPCCR_LSPEN);
    FPU_CPACR |= FPU_CPACR_FULL;
    __asm volatile("dsb\n isb");
    paint_stack();
    memcpy(data_start, data_load, (size_t)(data_end - data_start));
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    main();
    board_reset();
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
