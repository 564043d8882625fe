/* How much of the processor's time is in use, measured: all but what is spent waiting. */
#ifndef LOAD_H
#define LOAD_H

#include <stdint.h>

typedef struct ts_load {
    uint64_t since;    /* board_cycles() when the second began */
    uint64_t idle;     /* ticks of it that were spent waiting */
    uint16_t permille; /* of the last second that was in use */
} ts_load;

/* Begins a second. */
void ts_load_begin(ts_load *load);

/* Waits as board_idle() does. */
void ts_load_idle(ts_load *load);

/* To be called again and again: looks whether the second is over. */
void ts_load_tick(ts_load *load);

#endif
