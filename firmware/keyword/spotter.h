/* Sound in, answers and detections out: features, windows of them, a model, the detector.
 *
 * Knows no board: samples may come from anywhere, and so may the choice of the entry that looks at a window. A model
 * that can be streamed (stream.h) gets each row when it is there and keeps what it has made of it in the arena; any
 * other is given all rows of a window when that is complete.
 *
 * Use:   ts_spotter_begin(&s, clock); ts_spotter_use(&s, entry);
 *        while (n > 0) {
 *            taken = ts_spotter_push(&s, samples, n); samples += taken; n -= taken;
 *            if (ts_spotter_row(&s, arena, bytes)) { ts_spotter_use(&s, entry for it); ts_spotter_answer(&s, arena, bytes); }
 *        }
 */
#ifndef SPOTTER_H
#define SPOTTER_H

#include <stddef.h>

#include "detector.h"
#include "frontend.h"
#include "stream.h"
#include "tinyswitch.h"

enum { TS_SPOTTER_ROWS = 64 /* that are kept, more than a window has; a power of 2: numbers may wrap */ };

typedef struct ts_spotter {
    ts_frontend frontend;
    ts_detector detector;
    ts_stream
        stream; /* of the entry in use; if `held`, it has seen all rows so far, or the window's at least */
    int8_t ring[TS_SPOTTER_ROWS][TS_FRONTEND_CHANNELS]; /* row n is at n modulo TS_SPOTTER_ROWS */
    ts_clock clock;                                     /* NULL: nothing is measured */
    uint32_t samples;                                   /* pushed so far */
    uint32_t rows;                                      /* so far: the number of the next */
    uint32_t since;           /* rows since the last window, answered or passed over */
    uint32_t crc;             /* of all rows */
    uint32_t feature_ticks;   /* since the last answer ... */
    uint32_t inference_ticks; /* ... of the model */
    uint32_t held;            /* bytes of the arena that the stream computes in; 0: there is none */
    uint8_t caught_up;        /* 1: for the last answer a stream was given all rows of the window at once */
    uint8_t entry;            /* of the model table */
} ts_spotter;

/* Forgets everything, settings too. Entry 0 is in use. */
void ts_spotter_begin(ts_spotter *spotter, ts_clock clock);

/* Forgets samples, rows, answers and detections; numbers begin at 0. The entry and the settings stay. */
void ts_spotter_clear(ts_spotter *spotter);

/* `entry` of the model table looks at windows from now on: at the rows that there are. */
void ts_spotter_use(ts_spotter *spotter, uint8_t entry);

/* Something else has been in the arena, or will be: the stream has to be filled anew. */
void ts_spotter_drop(ts_spotter *spotter);

/* Takes samples until a row can be made or there are no more; returns how many. */
uint32_t ts_spotter_push(ts_spotter *spotter, const int16_t *samples, uint32_t n);

/* Makes a row if its samples are there, and what the model can make of it in the first `bytes` of `arena`. Returns 1 if a
 * window is complete and wants an answer, else 0. */
int ts_spotter_row(ts_spotter *spotter, void *arena, size_t bytes);

/* Answers the window that has just been completed. Returns 1 if that is a detection, else 0, or -1 if the arena is too
 * small: the window is passed over then. */
int ts_spotter_answer(ts_spotter *spotter, void *arena, size_t bytes);

#endif
