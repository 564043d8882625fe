#include "recogniser.h"

#include <string.h>

enum {
    DEFAULT_SMOOTHING = 3,
    DEFAULT_THRESHOLD = 39322, /* 60 % */
};

static const ts_gesture *gesture_of(const ts_recogniser *r) {
    return &ts_gesture_table[r->entry];
}

/* Windows begin with the next sample. */
static void restart(ts_recogniser *r) {
    r->start = r->next = r->samples;
    r->windows = 0;
}

static void prepare(ts_recogniser *r, uint8_t entry) {
    r->entry = entry;
    ts_spectral_begin(&r->spectral, gesture_of(r)->samples, gesture_of(r)->log2_length);
    restart(r);
}

void ts_recogniser_begin(ts_recogniser *r) {
    memset(r, 0, sizeof *r);
    r->smoothing = DEFAULT_SMOOTHING;
    r->threshold = DEFAULT_THRESHOLD;
    prepare(r, 0);
}

void ts_recogniser_clear(ts_recogniser *r) {
    r->samples = r->count = 0;
    restart(r);
}

int ts_recogniser_use(ts_recogniser *r, uint8_t entry) {
    const ts_gesture *old = gesture_of(r), *new = &ts_gesture_table[entry];
    if (old->rate_mhz == new->rate_mhz && old->samples == new->samples && old->step == new->step &&
        old->log2_length == new->log2_length) {
        r->entry = entry;
        return 0;
    }
    prepare(r, entry);
    return 1;
}

/* Samples until a window is complete. */
static uint32_t missing(const ts_recogniser *r) {
    return r->next + gesture_of(r)->samples - r->samples;
}

uint32_t ts_recogniser_push(ts_recogniser *r, const int16_t *xyz, uint32_t n) {
    const uint32_t room = missing(r), take = n < room ? n : room;
    for (uint32_t i = 0; i < take; i++) {
        memcpy(&r->ring[r->samples % TS_RECOGNISER_RING * TS_RECOGNISER_AXES], &xyz[i * TS_RECOGNISER_AXES],
               TS_RECOGNISER_AXES * sizeof *xyz);
        r->samples++;
    }
    return take;
}

int ts_recogniser_due(const ts_recogniser *r) {
    return missing(r) == 0;
}

/* Runs the model on the features it takes; writes its outputs, in 1/256, to `raw`. */
static int infer(const ts_gesture *g, const int8_t *features, const ts_model *model, void *arena,
                 size_t arena_bytes, uint8_t *raw) {
    ts_engine engine;
    if (ts_start(&engine, model, arena, arena_bytes) != TS_OK) {
        return -1;
    }
    int8_t *row = ts_input_row(&engine);
    for (uint32_t i = 0; i < g->n_features; i++) {
        row[i] = features[g->features[i]];
    }
    ts_run(&engine);
    uint32_t bytes = 0;
    const int8_t *scores = ts_output(&engine, 0, &bytes);
    for (uint32_t c = 0; c < ts_gesture_class_count; c++) {
        raw[c] = (uint8_t)(scores[c] + 128);
    }
    return 0;
}

/* Fills in the mean over the last windows, and the answer. Of equal classes the first counts. */
static void smooth(ts_recogniser *r, ts_result *result) {
    memcpy(r->history[r->windows % TS_RECOGNISER_SMOOTHING], result->raw, sizeof result->raw);
    r->windows++;
    const uint32_t n = r->windows < r->smoothing ? r->windows : r->smoothing;
    uint32_t best = 0;
    for (uint32_t c = 0; c < ts_gesture_class_count; c++) {
        uint32_t sum = 0;
        for (uint32_t i = 1; i <= n; i++) {
            sum += r->history[(r->windows - i) % TS_RECOGNISER_SMOOTHING][c];
        }
        result->smoothed[c] = (uint16_t)((sum * 256 + n / 2) / n);
        best = result->smoothed[c] > result->smoothed[best] ? c : best;
    }
    result->answer = result->smoothed[best] < r->threshold ? TS_RECOGNISER_UNCERTAIN : (uint8_t)best;
}

int ts_recogniser_answer(ts_recogniser *r, const ts_model *model, void *arena, size_t arena_bytes,
                         ts_clock clock) {
    const ts_gesture *g = gesture_of(r);
    ts_result *result = &r->results[r->count % TS_RECOGNISER_RESULTS];
    int8_t features[TS_RECOGNISER_FEATURES];
    memset(result, 0, sizeof *result);
    result->first = r->next;
    result->entry = r->entry;
    r->next += g->step;
    const uint32_t begin = clock ? clock() : 0;
    ts_spectral_features(&r->spectral, r->ring, TS_RECOGNISER_RING, result->first % TS_RECOGNISER_RING,
                         TS_RECOGNISER_AXES, features);
    const uint32_t middle = clock ? clock() : 0;
    if (infer(g, features, model, arena, arena_bytes, result->raw) != 0) {
        return -1;
    }
    result->feature_ticks = middle - begin;
    result->inference_ticks = clock ? clock() - middle : 0;
    smooth(r, result);
    r->count++;
    return 0;
}
