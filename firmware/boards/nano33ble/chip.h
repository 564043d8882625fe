/* What the files of this board share. */
#ifndef CHIP_H
#define CHIP_H

#include "cortexm/cortexm.h"

#define CORE_HZ UINT32_C(64000000)
#define TIMER_HZ UINT32_C(16000000) /* of the TIMERs */

void watchdog_start(void);
void clock_start(void);                   /* 64 MHz from the crystal; the flash's cache */
void timers_start(void);                  /* cycle counter and tick */
void clock_sleep(void);                   /* with interrupts off: until one is pending */
enum board_reset_cause reset_cause(void); /* by the chip's flags, which it clears */
void uarte_start(void);                   /* 115,200 baud */

/* For board_idle(), with interrupts off. */
enum uarte_state {
    UARTE_WAITING, /* bytes wait */
    UARTE_BUSY,    /* none, but some came since the last look */
    UARTE_QUIET,
};
enum uarte_state uarte_look(void);
void uarte_wake_by_byte(void); /* one that has come since the look ends the sleep, too */
void uarte_wake_done(void);

/* Handlers of the vector table. */
void uarte_handler(void);
void tick_handler(void);

#endif
