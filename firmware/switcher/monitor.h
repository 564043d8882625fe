/* Measures what is left for inference, and what each entry of the model table takes.
 *
 * The CPU share is that of time that no task above inference has really taken, by the cycle counter: over the last
 * 32 ms, or over the last 8 ms if less was left then, so that a new load shows soon and a gap in it does not.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdint.h>

enum {
    TS_MONITOR_ENTRIES = 32, /* of the model table whose cycles are learned; the table's hold for the rest */
    TS_MONITOR_SAMPLES = 32,
};

typedef struct ts_monitor {
    uint64_t time[TS_MONITOR_SAMPLES];   /* board_cycles() ... */
    uint64_t stolen[TS_MONITOR_SAMPLES]; /* ... and what was taken until then; a ring */
    uint64_t supply_time;                /* when supply_mv was measured */
    uint32_t learned
        [TS_MONITOR_ENTRIES]; /* cycles of an inference, without those that were stolen; 0: it never ran */
    uint32_t supply_mv;       /* 0: it cannot be measured */
    uint32_t count;           /* samples taken so far; the newest is count - 1 */
    volatile uint8_t busy;    /* 1: the main program is at the ring, the interrupt stays away */
} ts_monitor;

/* Begins anew. */
void ts_monitor_init(ts_monitor *monitor);

/* Notes how much had been stolen at the time `now`; called by the interrupt in each period. */
void ts_monitor_sample(ts_monitor *monitor, uint64_t now, uint64_t stolen);

/* The same, called by the main program whenever it likes: for times without interrupts. Notes something every 2
 * ms at most. */
void ts_monitor_tick(ts_monitor *monitor);

/* Share of the processor that is left, 0..1000 permille; 1000 until something was measured. */
uint32_t ts_monitor_cpu(ts_monitor *monitor);

/* Measures the supply voltage if that was not done in the last second; takes less than 1 ms then. */
void ts_monitor_measure_supply(ts_monitor *monitor);

/* Charge in permille of a battery of `mv`; TS_BATTERY_UNKNOWN for 0. Two alkaline cells in series, roughly:
 * 3.0 V and more (a regulated supply too) are full, 2.0 V empty, between 2.8 V (80 %), 2.4 V (30 %) and 2.2 V
 * (10 %) straight lines. */
uint16_t ts_monitor_charge(uint32_t mv);

/* Entry `entry` has run once in `cycles`, stolen ones not counted; the table says `table`, 0: nothing. What has been
 * learned moves by a quarter towards each further run, and stays between half and twice of what the table says. */
void ts_monitor_learn(ts_monitor *monitor, uint32_t entry, uint64_t cycles, uint32_t table);

/* Cycles of entry `entry`: what was learned, else `table`. */
uint32_t ts_monitor_cycles(const ts_monitor *monitor, uint32_t entry, uint32_t table);

#endif
