#include <string.h>

#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

enum { BLOCK = 16 }; /* channels accumulated together: one vector on most hosts, and little stack */

/* acc[c] += taps of output channels [o, o + n) over the part of the window at (y0, x0) inside the map. */
static void accumulate(const ts_engine *e, const ts_stage *stage, int32_t y0, int32_t x0, int32_t o,
                       int32_t n, int32_t *acc) {
    const ts_depthwise_params *p = stage->params;
    const ts_window *win = &p->window;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    for (int32_t ky = 0; ky < win->height; ky++) {
        const int32_t y = y0 + ky * win->dilation_y;
        if (y < 0 || y >= in->height) {
            continue;
        }
        const int8_t *row = ts_row(e, stage->inputs[0], (uint32_t)y);
        for (int32_t kx = 0; kx < win->width; kx++) {
            const int32_t x = x0 + kx * win->dilation_x;
            if (x < 0 || x >= in->width) {
                continue;
            }
            const int8_t *pixel = row + x * in->channels;
            const int8_t *w = p->weights + (uint32_t)ky * p->row_bytes + (uint32_t)kx * p->tap_bytes + o;
            if (p->multiplier == 1 && n == BLOCK) {
                for (int32_t c = 0; c < BLOCK; c++) {
                    acc[c] += w[c] * (pixel[o + c] - p->input_zero_point);
                }
            } else {
                for (int32_t c = 0; c < n; c++) {
                    acc[c] += w[c] * (pixel[(o + c) / p->multiplier] - p->input_zero_point);
                }
            }
        }
    }
}

void ts_depthwise(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_depthwise_params *p = stage->params;
    const ts_requant *q = &p->requant;
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const int32_t y0 = (int32_t)(step * p->window.stride_y) - p->window.pad_top;
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (int32_t x = 0; x < out->width; x++) {
        const int32_t x0 = x * p->window.stride_x - p->window.pad_left;
        for (int32_t o = 0; o < out->channels; o += BLOCK) {
            const int32_t n = out->channels - o < BLOCK ? out->channels - o : BLOCK;
            int32_t acc[BLOCK];
            memcpy(acc, q->bias + o, (size_t)n * sizeof *acc);
            accumulate(e, stage, y0, x0, o, n, acc);
            for (int32_t c = 0; c < n; c++) {
                const int32_t v = ts_requantise(acc[c], q->multiplier[o + c], q->shift[o + c]);
                *dst++ = ts_clamp(v + q->zero_point, q->low, q->high);
            }
        }
    }
}
