#include "stream.h"

#include <string.h>

#include "engine.h"

/* The schedule has ended: on with its loop. Steps and rows are counted on from where the rings stand, so that no
 * counter ever runs over. */
static void come_round(ts_stream *s) {
    ts_engine *body = &s->body;
    uint16_t *steps = ts_step_counters(body);
    for (uint32_t i = 0; i < body->model->n_stages; i++) {
        steps[i] = (uint16_t)(steps[i] % s->model->rounds[i]);
    }
    body->input_rows = (uint16_t)(body->input_rows % ts_tensor_at(body, body->model->input)->slots);
    body->position = s->model->loop;
    ts_step(body); /* which waits for a row */
}

int ts_stream_begin(ts_stream *s, const ts_stream_model *model, void *arena, size_t arena_bytes) {
    if (arena_bytes < model->arena_bytes) {
        return TS_ERR_ARENA;
    }
    s->model = model;
    s->missing = model->rows;
    s->is_due = 0;
    return ts_start(&s->body, model->body, arena, arena_bytes);
}

int ts_stream_push(ts_stream *s, const int8_t *row) {
    ts_engine *body = &s->body;
    memcpy(ts_input_row(body), row, ts_tensor_at(body, body->model->input)->row_bytes);
    ts_run(body);
    if (!body->waiting) {
        come_round(s);
    }
    s->missing--;
    s->is_due = s->missing == 0;
    if (s->is_due) {
        s->missing = s->model->hop;
    }
    return s->is_due;
}

const int8_t *ts_stream_answer(ts_stream *s, uint32_t *bytes) {
    const ts_stream_model *m = s->model;
    const uint32_t map = m->body->outputs[0];
    ts_engine tail;
    if (!s->is_due) {
        return NULL;
    }
    ts_start(&tail, m->tail, s->body.arena + m->tail_offset, m->tail->arena_bytes);
    const ts_tensor *input = ts_tensor_at(&tail, m->tail->input);
    /* rounds: the counter may have come round since the window's first row */
    uint32_t row = ts_steps(&s->body, m->last_stage) + m->rounds[m->last_stage] - input->height;
    for (int8_t *to; (to = ts_input_row(&tail)) != NULL; row++) {
        memcpy(to, ts_row(&s->body, map, row), input->row_bytes);
        ts_run(&tail);
    }
    return ts_output(&tail, 0, bytes);
}
