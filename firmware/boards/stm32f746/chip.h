/* What the files of this board share. */
#ifndef CHIP_H
#define CHIP_H

#include "cortexm/cortexm.h"

#define CORE_HZ UINT32_C(216000000)
#define PCLK2_HZ (CORE_HZ / 2u) /* clock of USART1 and, with its own prescaler, the ADC */
#define TIM7_HZ (CORE_HZ / 2u)  /* twice PCLK1, which is CORE_HZ / 4 (RM0385, RCC_DCKCFGR1.TIMPRE 0) */
#define TICK_CYCLES (CORE_HZ / 1000u)

void watchdog_start(void);
void clock_start(void);                   /* 216 MHz from the 25 MHz crystal */
void caches_start(void);                  /* instruction and data cache */
void timers_start(void);                  /* cycle counter and tick */
enum board_reset_cause reset_cause(void); /* by the chip's flags, which it clears */
void usart_start(void);                   /* 115,200 baud */
void usart_poll(void); /* notes what has arrived; call with interrupts off and at least every 40 ms */

void tick_handler(void); /* of the vector table */

#endif
