/* The spotter and the detector as functions that Python can call: see tests/test_spotter.py. */
#include "model_table.h"
#include "spotter.h"

static ts_spotter spotter;
static uint32_t ticks;

/* Each reading is 7 ticks after the one before. */
static uint32_t clock_of_7(void) {
    return ticks += 7;
}

void runner_begin(void) {
    ts_spotter_begin(&spotter, clock_of_7);
}

void runner_clear(void) {
    ts_spotter_clear(&spotter);
}

void runner_set(uint32_t average, uint32_t threshold, uint32_t suppression, uint32_t minimum) {
    spotter.detector.average_ms = (uint16_t)average;
    spotter.detector.threshold = (uint16_t)threshold;
    spotter.detector.suppression_ms = (uint16_t)suppression;
    spotter.detector.minimum = (uint8_t)minimum;
}

void runner_use(uint32_t entry) {
    ts_spotter_use(&spotter, (uint8_t)entry);
}

/* Something else writes all over the arena. */
void runner_spoil(void) {
    for (uint32_t i = 0; i < ts_arena_bytes; i++) {
        ts_arena[i] = (uint8_t)(i * 37);
    }
    ts_spotter_drop(&spotter);
}

/* Pushes samples and answers every window that they complete, in `arena_bytes` of what there is; returns the windows that
 * were passed over. */
uint32_t runner_push(const int16_t *samples, uint32_t n, uint32_t arena_bytes) {
    uint32_t passed = 0;
    while (n > 0) {
        const uint32_t taken = ts_spotter_push(&spotter, samples, n);
        samples += taken;
        n -= taken;
        if (ts_spotter_row(&spotter, ts_arena, arena_bytes)) {
            passed += ts_spotter_answer(&spotter, ts_arena, arena_bytes) < 0;
        }
    }
    return passed;
}

/* An answer that comes from nowhere, of a window that ends with `row`. */
void runner_answer(uint32_t row, const uint8_t *raw) {
    ts_answer *answer = ts_detector_next(&spotter.detector);
    *answer = (ts_answer){.last = row};
    for (uint32_t c = 0; c < ts_keyword_class_count; c++) {
        answer->raw[c] = raw[c];
    }
    ts_detector_take(&spotter.detector);
}

/* Numbers of samples, rows, answers and detections so far. */
void runner_counts(uint32_t counts[4]) {
    counts[0] = spotter.samples;
    counts[1] = spotter.rows;
    counts[2] = spotter.detector.answered;
    counts[3] = spotter.detector.detected;
}

/* Answer `number`: first row, entry, best class, two times, CRC, then a raw and a mean probability a class. */
void runner_get_answer(uint32_t number, uint32_t *fields) {
    const ts_answer *a = &spotter.detector.answers[number % TS_DETECTOR_ANSWERS];
    *fields++ = a->first;
    *fields++ = a->entry;
    *fields++ = a->best;
    *fields++ = a->feature_ticks;
    *fields++ = a->inference_ticks;
    *fields++ = a->crc;
    for (uint32_t c = 0; c < ts_keyword_class_count; c++) {
        *fields++ = a->raw[c];
        *fields++ = a->mean[c];
    }
}

/* Detection `number`: answer, row, entry, word, mean. */
void runner_get_detection(uint32_t number, uint32_t fields[5]) {
    const ts_detection *d = &spotter.detector.detections[number % TS_DETECTOR_DETECTIONS];
    fields[0] = d->answer;
    fields[1] = d->row;
    fields[2] = d->entry;
    fields[3] = d->word;
    fields[4] = d->mean;
}
