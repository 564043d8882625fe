/* Vector table and reset handler. */
#include "chip.h"
#include "registers.h"

#define INTERRUPTS 48 /* PS 4.2.4: positions 0..47 */

void reset_handler(void);

typedef void (*handler)(void);

struct vectors {
    uint32_t *stack;
    handler reset;
    handler faults[14]; /* NMI, HardFault, MemManage, BusFault, UsageFault, SVCall, PendSV, SysTick, ... */
    handler interrupts[INTERRUPTS];
};

/* Nothing but link port, timer and tick is enabled, so any other entry reports a fault. */
__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    .stack = stack_top,
    .reset = reset_handler,
    .faults = {[0 ... 13] = fault_handler},
    .interrupts = {[0 ... UARTE0_POSITION - 1] = fault_handler,
                   [UARTE0_POSITION] = uarte_handler,
                   [UARTE0_POSITION + 1 ... TIMER1_POSITION - 1] = fault_handler,
                   [TIMER1_POSITION] = timer_handler,
                   [TIMER2_POSITION] = tick_handler,
                   [TIMER2_POSITION + 1 ... INTERRUPTS - 1] = fault_handler},
};

/* A bootloader may leave interrupts enabled, exceptions pending, the memory protected. */
__attribute__((used)) static void start(void) {
    MPU_CTRL = 0;
    SYST_CSR = 0;
    SCB_ICSR = SCB_ICSR_PENDSTCLR | SCB_ICSR_PENDSVCLR;
    for (int position = 0; position < INTERRUPTS; position += 32) {
        NVIC_ICER(position) = UINT32_C(0xFFFFFFFF);
        NVIC_ICPR(position) = UINT32_C(0xFFFFFFFF);
    }
    SCB_VTOR = (uint32_t)(uintptr_t)&vectors;
    __asm volatile("dsb\n isb\n cpsie i" ::: "memory");
    start_program();
}

/* Privileged, on the main stack from its top, nothing masked but by PRIMASK: as after a reset of the chip. */
__attribute__((naked)) void reset_handler(void) {
    __asm volatile("cpsid i\n"
                   "movs r0, #0\n"
                   "msr control, r0\n"
                   "isb\n"
                   "msr basepri, r0\n"
                   "msr faultmask, r0\n"
                   "ldr r0, =stack_top\n"
                   "mov sp, r0\n"
                   "b start\n");
}
