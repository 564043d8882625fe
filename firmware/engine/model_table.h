/* What the compiler generates for a firmware: its models and the arena they share. */
#ifndef MODEL_TABLE_H
#define MODEL_TABLE_H

#include "tinyswitch.h"

extern const ts_model *const ts_model_table[]; /* ts_model_count of them */
extern const uint16_t ts_model_count;          /* >= 1 */
extern uint8_t ts_arena[];                     /* as large as the largest model needs; 8-byte aligned */
extern const uint32_t ts_arena_bytes;

#endif
