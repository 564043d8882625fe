/* What speech looks like: one row of 40 numbers for each step of 16 kHz audio, as TensorFlow Lite Micro's
 * micro frontend computes them, bit by bit (docs/keyword.md has the formulas).
 *
 * Integers only; the caller owns the memory; no static state. */
#ifndef TS_FRONTEND_H
#define TS_FRONTEND_H

#include <stdint.h>

#define TS_FRONTEND_RATE 16000  /* samples a second */
#define TS_FRONTEND_WINDOW 480  /* samples that a row looks at: 30 ms */
#define TS_FRONTEND_STEP 320    /* samples from one row to the next in models of micro_speech's kind: 20 ms */
#define TS_FRONTEND_CHANNELS 40 /* numbers in a row, from 125 Hz to 7.5 kHz */
#define TS_FRONTEND_ROWS 49     /* rows that such models look at: 0.99 s */
#define TS_FRONTEND_DIVISOR 666 /* a model's input is level * 256 / 666 - 128, rounded, 127 at most */

/* A stream of audio. No field is for the caller. */
typedef struct ts_frontend {
    uint32_t step;                        /* samples from one row to the next */
    uint32_t filled;                      /* samples in the window */
    int16_t samples[TS_FRONTEND_WINDOW];  /* the window, oldest first */
    uint32_t work[256];                   /* of the transform; then energies */
    uint32_t noise[TS_FRONTEND_CHANNELS]; /* estimate of each channel's noise, 10 bits behind the point */
} ts_frontend;

/* Begins a stream with a row every `step` samples. Returns 0, or -1 if step is not within 1 and the window. */
int ts_frontend_begin(ts_frontend *f, uint32_t step);

/* Takes up to `count` samples, but none beyond the window's end; returns how many (0: the window is whole, and
 * ts_frontend_row is to be called). */
uint32_t ts_frontend_add(ts_frontend *f, const int16_t *samples, uint32_t count);

/* If the window is whole, writes a row of TS_FRONTEND_CHANNELS levels, makes room for the next step's samples
 * and returns 1; else returns 0. A level is 64 times a natural logarithm. */
int ts_frontend_row(ts_frontend *f, uint16_t *levels);

/* Turns a row of levels into the int8 that models of micro_speech's kind take as their input. */
void ts_frontend_int8(const uint16_t *levels, int8_t *row);

#endif
