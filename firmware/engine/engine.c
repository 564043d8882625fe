#include "engine.h"

#include <string.h>

int ts_step(ts_engine *e) {
    const ts_model *m = e->model;
    if (e->waiting || e->position >= m->schedule_bytes) {
        return 0;
    }
    uint32_t op = m->schedule[e->position++];
    if (op == TS_OP_INPUT) {
        e->waiting = 1;
        return 0;
    }
    if (op == TS_OP_WIDE) {
        op = (uint32_t)m->schedule[e->position] | (uint32_t)m->schedule[e->position + 1] << 8;
        e->position += 2;
    }
    const ts_stage *stage = &m->stages[op];
    const uint32_t step = ts_step_counters(e)[op]++;
    if (e->clock == NULL) {
        stage->kernel(e, stage, step);
    } else {
        const uint32_t start = e->clock();
        stage->kernel(e, stage, step);
        e->ticks[op] += e->clock() - start;
    }
    return 1;
}

/* Runs stages until the schedule asks for an input row or ends. */
static void replay(ts_engine *e) {
    while (ts_step(e)) {
    }
}

int ts_start(ts_engine *e, const ts_model *model, void *arena, size_t arena_bytes) {
    if (((uintptr_t)arena & 7u) != 0 || arena_bytes < model->arena_bytes) {
        return TS_ERR_ARENA;
    }
    e->model = model;
    e->arena = arena;
    e->clock = NULL;
    e->position = 0;
    e->input_rows = 0;
    e->waiting = 0;
    memset(ts_step_counters(e), 0, model->n_stages * sizeof(uint16_t));
    replay(e);
    return TS_OK;
}

int8_t *ts_input_row(const ts_engine *e) {
    return e->waiting ? ts_row_out(e, e->model->input, e->input_rows) : NULL;
}

int ts_push(ts_engine *e) {
    if (!e->waiting) {
        return TS_ERR_STATE;
    }
    e->waiting = 0;
    e->input_rows++;
    return TS_OK;
}

int ts_run(ts_engine *e) {
    const int error = ts_push(e);
    if (error == TS_OK) {
        replay(e);
    }
    return error;
}

void ts_profile(ts_engine *e, ts_clock clock, uint32_t *ticks) {
    e->clock = clock;
    e->ticks = ticks;
    memset(ticks, 0, e->model->n_stages * sizeof *ticks);
}

uint32_t ts_steps(const ts_engine *e, uint32_t index) {
    return ts_step_counters(e)[index];
}

const int8_t *ts_output(const ts_engine *e, uint32_t index, uint32_t *bytes) {
    if (e->waiting || index >= e->model->n_outputs) {
        return NULL;
    }
    const ts_tensor *t = &e->model->tensors[e->model->outputs[index]];
    *bytes = t->height * t->row_bytes;
    return ts_row(e, e->model->outputs[index], 0);
}

void ts_sum_row(int32_t *sums, const int8_t *row, uint32_t pixels, uint32_t channels) {
    for (uint32_t x = 0; x < pixels; x++, row += channels) {
        for (uint32_t c = 0; c < channels; c++) {
            sums[c] += row[c];
        }
    }
}
