/* A depthwise window over one channel, a whole output row at a time. */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdint.h>

/* The assembly knows the offsets; both pointers marked so are used up. */
typedef struct ts_window_run {
    int32_t *acc;              /*  0: 4 * quads of them */
    int32_t start;             /*  4: what each begins with */
    uint32_t quads;            /*  8: outputs / 4, rounded up */
    const int8_t *const *rows; /* 12: used up: first pixel under the window's rows, for channel 0 */
    const int8_t *const *end;  /* 16: of rows; at least one */
    uint32_t offset;           /* 20: of the channel in each row, bytes */
    const int8_t *w;           /* 24: used up: taps of the first row, those of the next behind them */
} ts_window_run;

/* acc[i] = start + sum over rows and k of w[row][k] * x[row][i * stride + k]. Of the last four outputs, rows are
 * read up to variants.py's REACH bytes from the first one's pixel, further than any output needs. */
typedef void (*ts_window_kernel)(ts_window_run *run);

/* taps 3, 5 or 7; stride 1 or 2. */
ts_window_kernel ts_window_kernel_for(uint32_t taps, uint32_t stride);

#endif
