/* Samples of an accelerometer in, gestures out: windows, features, a model, smoothing.
 *
 * Knows no board: the samples may come from anywhere, and so may the choice of the entry that looks at a window.
 *
 * Use:   ts_recogniser_begin(&r); ts_recogniser_use(&r, entry);
 *        while (n > 0) {
 *            taken = ts_recogniser_push(&r, xyz, n); xyz += 3 * taken; n -= taken;
 *            if (ts_recogniser_due(&r)) { ts_recogniser_use(&r, entry for it); ts_recogniser_answer(&r, ...); }
 *        }
 */
#ifndef RECOGNISER_H
#define RECOGNISER_H

#include "gesture_table.h"
#include "spectral.h"
#include "tinyswitch.h"

enum {
    TS_RECOGNISER_AXES = 3,
    TS_RECOGNISER_FEATURES = TS_RECOGNISER_AXES * TS_SPECTRAL_FEATURES,
    TS_RECOGNISER_RING = 512,     /* samples that are kept, 4.3 s of 119 Hz; a power of 2: numbers may wrap */
    TS_RECOGNISER_RESULTS = 64,   /* results that are kept */
    TS_RECOGNISER_SMOOTHING = 16, /* most windows that an answer is the mean of */
    TS_RECOGNISER_UNCERTAIN = 0xFF, /* an answer: no class is likely enough */
};

/* What was made of a window. */
typedef struct ts_result {
    uint32_t first;                        /* number of its first sample */
    uint32_t feature_ticks;                /* of the clock, that its features took ... */
    uint32_t inference_ticks;              /* ... and the model */
    uint16_t smoothed[TS_GESTURE_CLASSES]; /* mean probability over the last windows, in 1/65536, rounded */
    uint8_t raw[TS_GESTURE_CLASSES];       /* probability, in 1/256 */
    uint8_t answer;                        /* class, or TS_RECOGNISER_UNCERTAIN */
    uint8_t entry;                         /* of the model table */
} ts_result;

typedef struct ts_recogniser {
    ts_spectral spectral;
    int16_t ring[TS_RECOGNISER_RING * TS_RECOGNISER_AXES]; /* sample n is at n modulo TS_RECOGNISER_RING */
    ts_result results[TS_RECOGNISER_RESULTS];              /* result n is at n modulo TS_RECOGNISER_RESULTS */
    uint8_t history[TS_RECOGNISER_SMOOTHING]
                   [TS_GESTURE_CLASSES]; /* raw; window n of `windows` is at n modulo that */
    uint32_t samples;                    /* pushed so far: the number of the next */
    uint32_t start;                      /* number of the first sample at this rate */
    uint32_t next;                       /* number of the first sample of the next window */
    uint32_t count;                      /* results so far: the number of the next */
    uint32_t windows;                    /* answered at this rate */
    uint16_t threshold;                  /* probability that an answer needs, in 1/65536 */
    uint8_t smoothing; /* windows that an answer is the mean of, 1 to TS_RECOGNISER_SMOOTHING */
    uint8_t entry;     /* of the model table, that windows are cut for */
} ts_recogniser;

/* Forgets samples, results and settings; answers are the mean of 3 windows and need 60 %. Entry 0 is in use. */
void ts_recogniser_begin(ts_recogniser *r);

/* Forgets samples and results; numbers begin at 0. The entry and the settings stay. */
void ts_recogniser_clear(ts_recogniser *r);

/* Windows are for `entry` of the model table from now on. If it wants other samples than the one before, those that
 * there are do not count any more, nor do earlier answers: returns 1 then, else 0. */
int ts_recogniser_use(ts_recogniser *r, uint8_t entry);

/* Takes samples (three values each, in steps of TS_SPECTRAL_UG) until a window is complete or there are no more;
 * returns how many. None as long as a window is due. */
uint32_t ts_recogniser_push(ts_recogniser *r, const int16_t *xyz, uint32_t n);

/* 1: a window is complete and wants an answer. */
int ts_recogniser_due(const ts_recogniser *r);

/* Answers the window that is due with `model`, that of the entry in use, in the first `arena_bytes` of `arena`; `clock`
 * may be NULL. Returns 0, or -1 if the arena is too small: the window is passed over then. */
int ts_recogniser_answer(ts_recogniser *r, const ts_model *model, void *arena, size_t arena_bytes,
                         ts_clock clock);

#endif
