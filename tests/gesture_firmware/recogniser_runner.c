/* The recogniser as functions that Python can call: see tests/test_recogniser.py. */
#include "model_table.h"
#include "recogniser.h"

static ts_recogniser recogniser;
static uint32_t ticks;

/* Each reading is 7 ticks after the one before. */
static uint32_t clock_of_7(void) {
    return ticks += 7;
}

void runner_begin(void) {
    ts_recogniser_begin(&recogniser);
}

void runner_clear(void) {
    ts_recogniser_clear(&recogniser);
}

void runner_set(uint32_t smoothing, uint32_t threshold) {
    recogniser.smoothing = (uint8_t)smoothing;
    recogniser.threshold = (uint16_t)threshold;
}

int runner_use(uint32_t entry) {
    return ts_recogniser_use(&recogniser, (uint8_t)entry);
}

/* Pushes samples and answers every window that they complete; arena_bytes: of what there is. */
void runner_push(const int16_t *xyz, uint32_t n, uint32_t arena_bytes) {
    while (n > 0) {
        const uint32_t taken = ts_recogniser_push(&recogniser, xyz, n);
        xyz += 3 * taken;
        n -= taken;
        if (ts_recogniser_due(&recogniser)) {
            ts_recogniser_answer(&recogniser, ts_model_table[recogniser.entry].model, ts_arena, arena_bytes,
                                 clock_of_7);
        }
    }
}

/* Numbers of samples and results so far. */
void runner_counts(uint32_t counts[2]) {
    counts[0] = recogniser.samples;
    counts[1] = recogniser.count;
}

/* Result `number`: first, answer, entry, two times, then a raw and a smoothed probability a class. */
void runner_result(uint32_t number, uint32_t *fields) {
    const ts_result *result = &recogniser.results[number % TS_RECOGNISER_RESULTS];
    *fields++ = result->first;
    *fields++ = result->answer;
    *fields++ = result->entry;
    *fields++ = result->feature_ticks;
    *fields++ = result->inference_ticks;
    for (uint32_t c = 0; c < ts_gesture_class_count; c++) {
        *fields++ = result->raw[c];
        *fields++ = result->smoothed[c];
    }
}

/* As if so many samples had been pushed long ago. */
void runner_age(uint32_t samples) {
    recogniser.samples = recogniser.start = recogniser.next = samples;
}
