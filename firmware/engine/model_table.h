/* What the compiler generates for a firmware: its models and the arena they share. */
#ifndef MODEL_TABLE_H
#define MODEL_TABLE_H

#include "tinyswitch.h"

/* A line of the model table: a model, and what is known about it when the firmware is built. */
typedef struct ts_entry {
    const ts_model *model;
    uint32_t cycles;   /* of one inference without other load, measured on such a board; 0: unknown */
    uint16_t accuracy; /* top-1 in 1/100 %, 0..10000; 0: unknown */
    uint8_t energy; /* class 0..15: energy at a fixed clock goes with active cycles. 0: unknown, or below 2^20
                        * cycles; n: cycles >= 2^20 * 2^((n - 1) / 2), of the largest such n */
    uint8_t group;  /* entries of one group are alternatives: input channels and outputs are alike; from 0 */
} ts_entry;

extern const ts_entry ts_model_table[]; /* ts_model_count of them */
extern const uint16_t ts_model_count;   /* >= 1 */
extern uint8_t ts_arena[];              /* as large as the largest model needs; 8-byte aligned */
extern const uint32_t ts_arena_bytes;

#endif
