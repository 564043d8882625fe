/* What boards with a Cortex-M4 or M7 share: the core's registers, by the names of the ARMv7-M Architecture
 * Reference Manual, and the parts of board.h that depend on nothing else. Such a board needs
 *   - a linker script that defines the symbols below and the sections .vectors, .stack and .noinit;
 *   - a vector table that leads to fault_handler(), tick_handler() and timer_handler();
 *   - the functions under "What the board brings". */
#ifndef CORTEXM_H
#define CORTEXM_H

#include "board.h"
#include <stdint.h>
#include <string.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define BIT(n) (UINT32_C(1) << (n))

/* Data Watchpoint and Trace unit; Debug Exception and Monitor Control Register */
#define DWT_CTRL REGISTER(0xE0001000)
#define DWT_CYCCNT REGISTER(0xE0001004)
#define DWT_LAR REGISTER(0xE0001FB0) /* CoreSight; of the Cortex-M7 only */
#define DEMCR REGISTER(0xE000EDFC)
#define DWT_CTRL_CYCCNTENA BIT(0)
#define DWT_LAR_UNLOCK 0xC5ACCE55u
#define DEMCR_TRCENA BIT(24)

/* SysTick timer */
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define SYST_CSR_ENABLE BIT(0)
#define SYST_CSR_TICKINT BIT(1)
#define SYST_CSR_CLKSOURCE BIT(2)

/* Nested vectored interrupt controller */
#define NVIC_ISER(position) REGISTER(0xE000E100 + 4 * ((position) / 32))
#define NVIC_ICER(position) REGISTER(0xE000E180 + 4 * ((position) / 32))
#define NVIC_ICPR(position) REGISTER(0xE000E280 + 4 * ((position) / 32))
#define NVIC_IPR(position) (*(volatile uint8_t *)(0xE000E400 + (position)))
#define NVIC_BIT(position) BIT((position) % 32)
#define NVIC_LOWEST 0xFFu /* the bits that a chip does not have read as zero */

/* System control block */
#define SCB_ICSR REGISTER(0xE000ED04)
#define SCB_VTOR REGISTER(0xE000ED08)
#define SCB_AIRCR REGISTER(0xE000ED0C)
#define SCB_CCR REGISTER(0xE000ED14)
#define SCB_SHCSR REGISTER(0xE000ED24)
#define SCB_CFSR REGISTER(0xE000ED28)
#define SCB_HFSR REGISTER(0xE000ED2C)
#define SCB_MMFAR REGISTER(0xE000ED34)
#define SCB_BFAR REGISTER(0xE000ED38)
#define SCB_ICSR_PENDSTCLR BIT(25)
#define SCB_ICSR_PENDSVCLR BIT(27)
#define SCB_AIRCR_SYSRESETREQ 0x05FA0004u /* with the key that any write needs */
#define SCB_CCR_DIV_0_TRP BIT(4)
#define SCB_CCR_DC BIT(16)
#define SCB_CCR_IC BIT(17)
#define SCB_SHCSR_MEMFAULTENA BIT(16)
#define SCB_SHCSR_BUSFAULTENA BIT(17)
#define SCB_SHCSR_USGFAULTENA BIT(18)
#define SCB_CFSR_MMARVALID BIT(7)
#define SCB_CFSR_BFARVALID BIT(15)

/* Memory protection unit */
#define MPU_CTRL REGISTER(0xE000ED94)

/* Floating point unit */
#define FPU_CPACR REGISTER(0xE000ED88)
#define FPU_FPCCR REGISTER(0xE000EF34)
#define FPU_CPACR_FULL (UINT32_C(0xF) << 20)
#define FPU_FPCCR_LSPEN BIT(30)
#define FPU_FPCCR_ASPEN BIT(31)

/* Of the linker script; only their addresses mean anything. */
extern uint32_t stack_bottom[], stack_top[];

/* Floating-point unit, stack paint, `.data` and `.bss`, then main(). Does not return. */
void start_program(void);

/* Enables the fault handlers and takes over the report of the last start if there is one; else the board
 * started for `cause`. */
void faults_start(enum board_reset_cause cause);

void cycles_start(void);             /* begins to count at 0 */
void cycles_add(uint32_t uncounted); /* that many passed while the counter stood still */

/* Handlers of the vector table. */
void fault_handler(void);
void timer_handler(void); /* saves what floating point uses, and calls timer_expired() */

/* What the board brings. */
void timer_expired(void); /* the periodic timer's interrupt */

/* Interrupts off; returns what interrupts_restore() wants. */
static inline uint32_t interrupts_off(void) {
    uint32_t mask;
    __asm volatile("mrs %0, primask\n cpsid i" : "=r"(mask)::"memory");
    return mask;
}

static inline void interrupts_restore(uint32_t mask) {
    __asm volatile("msr primask, %0" ::"r"(mask) : "memory");
}

/* Copies `n` <= `size` bytes from a ring of `size` bytes in which byte number k lies at k modulo `size`, from
 * number `first` on. */
static inline void ring_copy(uint8_t *dst, const uint8_t *ring, uint32_t size, uint32_t first, uint32_t n) {
    const uint32_t start = first % size;
    const uint32_t before_end = n < size - start ? n : size - start;
    memcpy(dst, ring + start, before_end);
    memcpy(dst + before_end, ring, n - before_end);
}

#endif
