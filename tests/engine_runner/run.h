/* Runs models for the tests, on the host and on a Cortex-M. */
#ifndef RUN_H
#define RUN_H

#include "tinyswitch.h"

/* Feeds `frame`, one row at a time, and copies all outputs to `results`, one after the other.
 * Returns the bytes copied, or a negative error. */
int run_model(const ts_model *model, void *arena, size_t arena_bytes, const int8_t *frame, int8_t *results);

#endif
