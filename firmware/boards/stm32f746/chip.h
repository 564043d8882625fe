/* What the files of this board share. */
#ifndef CHIP_H
#define CHIP_H

#include <stdint.h>

#define CORE_HZ UINT32_C(216000000)
#define PCLK2_HZ (CORE_HZ / 2u) /* clock of USART1 and, with its own prescaler, the ADC */
#define TIM7_HZ (CORE_HZ / 2u)  /* twice PCLK1, which is CORE_HZ / 4 (RM0385, RCC_DCKCFGR1.TIMPRE 0) */
#define TICK_CYCLES (CORE_HZ / 1000u)

/* stm32f746.ld; only their addresses mean anything */
extern uint32_t stack_bottom[], stack_top[];

#define STACK_PAINT 0xA5A5A5A5u

void watchdog_start(void);
void clock_start(void);  /* 216 MHz from the 25 MHz crystal */
void caches_start(void); /* instruction and data cache */
void timers_start(void); /* cycle counter and tick */
void usart_start(void);  /* 115,200 baud */
void usart_poll(void);   /* notes what has arrived; call with interrupts off and at least every 40 ms */
void faults_start(void); /* enables the fault handlers, reads the report of the last start */

/* Handlers of the vector table. */
void tick_handler(void);
void timer_handler(void);
void fault_handler(void);

/* Interrupts off; returns what interrupts_restore() wants. */
static inline uint32_t interrupts_off(void) {
    uint32_t mask;
    __asm volatile("mrs %0, primask\n cpsid i" : "=r"(mask)::"memory");
    return mask;
}

static inline void interrupts_restore(uint32_t mask) {
    __asm volatile("msr primask, %0" ::"r"(mask) : "memory");
}

#endif
