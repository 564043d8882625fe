#include "spotter.h"

#include <string.h>

#include "codec.h"
#include "model_table.h"

enum { WINDOW_BYTES = TS_FRONTEND_ROWS * TS_FRONTEND_CHANNELS };

static uint32_t now(const ts_spotter *s) {
    return s->clock != NULL ? s->clock() : 0;
}

void ts_spotter_begin(ts_spotter *s, ts_clock clock) {
    memset(s, 0, sizeof *s);
    s->clock = clock;
    ts_detector_begin(&s->detector);
    ts_spotter_clear(s);
}

void ts_spotter_clear(ts_spotter *s) {
    ts_frontend_begin(&s->frontend, TS_FRONTEND_STEP);
    ts_detector_clear(&s->detector);
    ts_spotter_drop(s);
    s->samples = s->rows = s->since = s->crc = 0;
    s->feature_ticks = s->inference_ticks = 0;
    s->caught_up = 0;
}

void ts_spotter_drop(ts_spotter *s) {
    s->held = 0;
}

void ts_spotter_use(ts_spotter *s, uint8_t entry) {
    if (entry != s->entry) {
        s->entry = entry;
        ts_spotter_drop(s);
    }
}

uint32_t ts_spotter_push(ts_spotter *s, const int16_t *samples, uint32_t n) {
    const uint32_t begin = now(s);
    const uint32_t taken = ts_frontend_add(&s->frontend, samples, n);
    s->feature_ticks += now(s) - begin;
    s->samples += taken;
    return taken;
}

/* Makes the next row of the ring; returns 0 if samples are missing. */
static int make_row(ts_spotter *s) {
    const uint32_t begin = now(s);
    uint16_t levels[TS_FRONTEND_CHANNELS];
    if (!ts_frontend_row(&s->frontend, levels)) {
        return 0;
    }
    int8_t *row = s->ring[s->rows % TS_SPOTTER_ROWS];
    ts_frontend_int8(levels, row);
    s->feature_ticks += now(s) - begin;
    s->crc = ts_crc32(s->crc, (const uint8_t *)row, TS_FRONTEND_CHANNELS);
    s->rows++;
    s->since++;
    return 1;
}

static void start_stream(ts_spotter *s, void *arena, size_t bytes) {
    const ts_stream_model *model = ts_stream_table[s->entry];
    if (model != NULL && ts_stream_begin(&s->stream, model, arena, bytes) == TS_OK) {
        s->held = model->arena_bytes;
    }
}

/* Gives the stream the last n rows. */
static void feed_stream(ts_spotter *s, uint32_t n) {
    for (uint32_t row = s->rows - n; row != s->rows; row++) {
        ts_stream_push(&s->stream, s->ring[row % TS_SPOTTER_ROWS]);
    }
}

int ts_spotter_row(ts_spotter *s, void *arena, size_t bytes) {
    if (!make_row(s)) {
        return 0;
    }
    const uint32_t begin = now(s);
    if (s->held > bytes) {
        ts_spotter_drop(s); /* its end is somebody else's now */
    }
    if (s->rows == 1) {
        start_stream(s, arena, bytes); /* later ones begin when a window is due */
    }
    if (s->held > 0) {
        feed_stream(s, 1);
    }
    s->inference_ticks += now(s) - begin;
    return s->rows >= TS_FRONTEND_ROWS && s->since >= ts_keyword_steps[s->entry];
}

/* The answer of the stream, which is begun first if there is none; NULL: there is no room for it, or the model has
 * none. */
static const int8_t *stream_answer(ts_spotter *s, void *arena, size_t bytes) {
    uint32_t length;
    const int8_t *scores = s->held > 0 ? ts_stream_answer(&s->stream, &length) : NULL;
    if (scores == NULL) {
        ts_spotter_drop(s);
        start_stream(s, arena, bytes);
        if (s->held > 0) {
            feed_stream(s, TS_FRONTEND_ROWS);
            s->caught_up = 1;
            scores = ts_stream_answer(&s->stream, &length);
        }
    }
    return scores;
}

/* Copies n bytes of the last window, from byte `at` of it on: rows one after the other, as every model takes them. */
static void copy_window(const ts_spotter *s, uint32_t at, int8_t *to, uint32_t n) {
    while (n > 0) {
        const uint32_t row = s->rows - TS_FRONTEND_ROWS + at / TS_FRONTEND_CHANNELS;
        const uint32_t column = at % TS_FRONTEND_CHANNELS, room = TS_FRONTEND_CHANNELS - column;
        const uint32_t take = n < room ? n : room;
        memcpy(to, &s->ring[row % TS_SPOTTER_ROWS][column], take);
        to += take;
        at += take;
        n -= take;
    }
}

/* The answer of the whole model to the last window; NULL: there is no room for it. */
static const int8_t *whole_answer(const ts_spotter *s, ts_engine *engine, void *arena, size_t bytes) {
    const ts_model *model = ts_model_table[s->entry].model;
    const uint32_t row_bytes = model->tensors[model->input].row_bytes;
    if (ts_start(engine, model, arena, bytes) != TS_OK) {
        return NULL;
    }
    int8_t *row;
    for (uint32_t at = 0; (row = ts_input_row(engine)) != NULL && at < WINDOW_BYTES; at += row_bytes) {
        copy_window(s, at, row, row_bytes);
        ts_run(engine);
    }
    uint32_t length;
    return ts_output(engine, 0, &length);
}

int ts_spotter_answer(ts_spotter *s, void *arena, size_t bytes) {
    ts_engine engine;
    const uint32_t begin = now(s);
    s->caught_up = 0;
    const int8_t *scores = stream_answer(s, arena, bytes);
    if (scores == NULL) {
        scores = whole_answer(s, &engine, arena, bytes);
    }
    s->inference_ticks += now(s) - begin;
    s->since = 0;
    if (scores == NULL) {
        return -1;
    }
    ts_answer *answer = ts_detector_next(&s->detector);
    *answer = (ts_answer){
        .first = s->rows - TS_FRONTEND_ROWS,
        .last = s->rows - 1,
        .feature_ticks = s->feature_ticks,
        .inference_ticks = s->inference_ticks,
        .crc = s->crc,
        .entry = s->entry,
    };
    for (uint32_t c = 0; c < ts_keyword_class_count; c++) {
        answer->raw[c] = (uint8_t)(scores[c] + 128);
    }
    s->feature_ticks = s->inference_ticks = 0;
    return ts_detector_take(&s->detector);
}
