/* Depthwise windows over some channels of a planar row, an output row at a time. */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdint.h>

#include "../stages.h"

/* Pointers and counts marked + move on as channels are done. The assembly knows the offsets. */
typedef struct ts_window_run {
    int32_t *acc;              /*  0: room for 4 * quads sums; those of the last channel stay */
    uint32_t quads;            /*  4: outputs / 4, rounded up */
    const int8_t *const *rows; /*  8: first pixel under each of the window's rows, for offset 0 */
    uint32_t row_bytes;        /* 12: from the taps of a row to those of the next */
    uint32_t offset;           /* 16: + of the channel in each row, bytes */
    const int8_t *w;           /* 20: + taps of the first row */
    uint32_t channel_step;     /* 24: added to offset */
    uint32_t skip; /* 28: from where a row behind a channel's last would be to the next channel's first */
    const ts_channel *q;      /* 32: + */
    uint32_t channels;        /* 36: + left to do, at least one */
    void *to;                 /* 40: first output of channel 0 */
    uint32_t step;            /* 44: bytes from pair to pair (paired), from pixel to pixel (interleaved) */
    uint32_t pairs, tail;     /* 48, 52: pixels to store: pairs, and one more; 0, 0 to store nothing */
    int32_t round;            /* 56: 2 * zero point of the output + 1 */
    const int32_t *start;     /* 60: + added to the bias */
    uint32_t start_step;      /* 64: 4: one a channel; 0: one for all */
    uint32_t channel;         /* 68: + index, for the place in a paired row */
    uint32_t paired;          /* 72: 1: int16 in the order of matmul.h; 0: int8, channels interleaved */
    const int8_t *const *row; /* 76: the assembly's own */
    const int8_t *const *end; /* 80: of rows; at least one */
} ts_window_run;

/* For each channel: acc[i] = bias + start + sum over rows and k of w[row][k] * x[row][i * stride + k], requantised the
 * short way of finish.h and stored. Of the last four outputs, rows are read up to variants.py's REACH bytes from the
 * first one's pixel, further than any output needs. */
typedef void (*ts_window_kernel)(ts_window_run *run);

/* taps 3, 5 or 7; stride 1 or 2. */
ts_window_kernel ts_window_kernel_for(uint32_t taps, uint32_t stride);

#endif
