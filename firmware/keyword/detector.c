#include "detector.h"

#include <string.h>

enum {
    DEFAULT_AVERAGE_MS = 500,
    DEFAULT_THRESHOLD = 39322, /* 60 % */
    DEFAULT_SUPPRESSION_MS = 1500,
    DEFAULT_MINIMUM = 2,
};

void ts_detector_begin(ts_detector *d) {
    memset(d, 0, sizeof *d);
    d->average_ms = DEFAULT_AVERAGE_MS;
    d->threshold = DEFAULT_THRESHOLD;
    d->suppression_ms = DEFAULT_SUPPRESSION_MS;
    d->minimum = DEFAULT_MINIMUM;
}

void ts_detector_clear(ts_detector *d) {
    d->answered = d->detected = 0;
}

static ts_answer *answer_at(ts_detector *d, uint32_t number) {
    return &d->answers[number % TS_DETECTOR_ANSWERS];
}

ts_answer *ts_detector_next(ts_detector *d) {
    return answer_at(d, d->answered);
}

static uint32_t rows_of(uint32_t ms) {
    return (ms + TS_DETECTOR_ROW_MS - 1) / TS_DETECTOR_ROW_MS;
}

/* How many of the last answers, the newest included, belong to its mean. */
static uint32_t count_averaged(ts_detector *d, const ts_answer *newest) {
    const uint32_t rows = rows_of(d->average_ms);
    uint32_t n = 1;
    while (n <= d->answered && n < TS_DETECTOR_AVERAGED &&
           newest->last - answer_at(d, d->answered - n)->last < rows) {
        n++;
    }
    return n;
}

/* Fills in the means of n answers, and the class with the largest. Of equal ones the first counts. */
static void average(ts_detector *d, ts_answer *newest, uint32_t n) {
    newest->best = 0;
    for (uint32_t c = 0; c < ts_keyword_class_count; c++) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < n; i++) {
            sum += answer_at(d, d->answered - i)->raw[c];
        }
        newest->mean[c] = (uint16_t)((sum * 256 + n / 2) / n);
        newest->best = newest->mean[c] > newest->mean[newest->best] ? (uint8_t)c : newest->best;
    }
}

/* The word was detected a short while ago, and no other one since. */
static int is_suppressed(const ts_detector *d, const ts_answer *newest) {
    const ts_detection *last = &d->detections[(d->detected - 1) % TS_DETECTOR_DETECTIONS];
    return d->detected > 0 && last->word == newest->best &&
           newest->last - last->row < rows_of(d->suppression_ms);
}

int ts_detector_take(ts_detector *d) {
    ts_answer *newest = ts_detector_next(d);
    const uint32_t n = count_averaged(d, newest);
    average(d, newest, n);
    const uint32_t number = d->answered++;
    if (newest->best < ts_keyword_first_word || newest->mean[newest->best] < d->threshold || n < d->minimum ||
        is_suppressed(d, newest)) {
        return 0;
    }
    d->detections[d->detected++ % TS_DETECTOR_DETECTIONS] = (ts_detection){
        .answer = number,
        .row = newest->last,
        .mean = newest->mean[newest->best],
        .word = newest->best,
        .entry = newest->entry,
    };
    return 1;
}
