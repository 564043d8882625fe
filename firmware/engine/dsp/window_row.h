/* One row of a depthwise window over one channel, four outputs at a time.
 *
 * acc[i] += sum over k of w[k] * x[i * stride + k], for i in [0, 4 * quads). x may be read up to
 * ts_window_reach() bytes from its start, further than any output needs. Rows of 3, 5 and 7 taps.
 */
#ifndef WINDOW_ROW_H
#define WINDOW_ROW_H

#include <stdint.h>

typedef void (*ts_window_row)(int32_t *acc, const int8_t *x, const int8_t *w, uint32_t quads);

/* taps 3, 5 or 7; stride 1 or 2. */
ts_window_row ts_window_row_for(uint32_t taps, uint32_t stride);

#endif
