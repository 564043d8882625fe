/* Inside of the engine: what kernels use. */
#ifndef ENGINE_H
#define ENGINE_H

#include "tinyswitch.h"

static inline const ts_tensor *ts_tensor_at(const ts_engine *e, uint32_t index) {
    return &e->model->tensors[index];
}

/* Row `row` of an arena tensor, for writing. */
static inline int8_t *ts_row_out(const ts_engine *e, uint32_t index, uint32_t row) {
    const ts_tensor *t = ts_tensor_at(e, index);
    return (int8_t *)e->arena + t->offset + (row % t->slots) * t->row_bytes;
}

/* Row `row` of any tensor, for reading. */
static inline const int8_t *ts_row(const ts_engine *e, uint32_t index, uint32_t row) {
    const ts_tensor *t = ts_tensor_at(e, index);
    return t->constant ? t->constant + row * t->row_bytes : ts_row_out(e, index, row);
}

/* Steps that each stage has made. */
static inline uint16_t *ts_step_counters(const ts_engine *e) {
    return (uint16_t *)(void *)(e->arena + e->model->steps_offset);
}

/* A stage's accumulators. */
static inline int32_t *ts_scratch(const ts_engine *e, const ts_stage *stage) {
    return (int32_t *)(void *)(e->arena + stage->scratch);
}

/* sums[channel] += every pixel of a row, for stages that reduce a map. */
void ts_sum_row(int32_t *sums, const int8_t *row, uint32_t pixels, uint32_t channels);

#endif
