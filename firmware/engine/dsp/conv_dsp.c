#include "../engine.h"
#include "matmul.h"

/* A stretch of one input row under the window's row, the zero point where it leaves the map. */
static void copy_clipped(const ts_conv_dsp_params *p, const ts_tensor *in, const int8_t *row, int32_t x0,
                         int8_t *to) {
    const int32_t depth = in->channels;
    for (int32_t kx = 0; kx < p->window.width; kx++, to += depth) {
        const int32_t x = x0 + kx * p->window.dilation_x;
        if (x < 0 || x >= in->width) {
            memset(to, p->input_zero_point, (size_t)depth);
        } else {
            memcpy(to, row + x * depth, (size_t)depth);
        }
    }
}

/* The same for `pixels` windows that lie inside and have pixels behind them: whole words, so a little too much, which
 * the window's next row or weights of 0 make good. */
static void copy_inside(const int8_t *from, uint32_t step, uint32_t bytes, uint32_t pixels, int8_t *to,
                        uint32_t stride) {
    for (; pixels > 0; pixels--, from += step, to += stride) {
        for (uint32_t i = 0; i < bytes; i += 4) {
            memcpy(to + i, from + i, 4);
        }
    }
}

/* The windows of `pixels` output pixels from `first` on, one byte a tap and channel, `stride` bytes apart. */
static void gather(const ts_engine *e, const ts_stage *stage, uint32_t step, uint32_t first, uint32_t pixels,
                   int8_t *windows, uint32_t stride) {
    const ts_conv_dsp_params *p = stage->params;
    const ts_window *win = &p->window;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const uint32_t bytes = (uint32_t)win->width * in->channels;
    const int loose = stride - win->height * bytes >= (-bytes & 3u); /* room for whole words */
    for (int32_t ky = 0; ky < win->height; ky++) {
        const int32_t y = (int32_t)(step * win->stride_y) - win->pad_top + ky * win->dilation_y;
        const int inside = y >= 0 && y < in->height;
        const int8_t *row = inside ? ts_row(e, stage->inputs[0], (uint32_t)y) : NULL;
        int8_t *to = windows + (uint32_t)ky * bytes;
        for (uint32_t i = 0; i < pixels;) {
            const int32_t x0 = (int32_t)((first + i) * win->stride_x) - win->pad_left;
            const int32_t behind = in->width - 1 - win->width - x0; /* one pixel more than the window's */
            if (!inside) {
                memset(to + i++ * stride, p->input_zero_point, bytes);
            } else if (win->dilation_x != 1 || x0 < 0 || behind < 0 || in->channels < 3 || !loose) {
                copy_clipped(p, in, row, x0, to + i++ * stride);
            } else {
                const uint32_t possible = (uint32_t)behind / win->stride_x + 1;
                const uint32_t some = possible < pixels - i ? possible : pixels - i;
                copy_inside(row + x0 * in->channels, (uint32_t)win->stride_x * in->channels, bytes, some,
                            to + i * stride, stride);
                i += some;
            }
        }
    }
}

void ts_conv_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_conv_dsp_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const uint32_t taps = (uint32_t)p->window.height * p->window.width * in->channels;
    const uint32_t words = ts_pair_words(taps);
    uint32_t *widened = (uint32_t *)(void *)ts_scratch(e, stage);
    uint32_t *pairs = widened + words;
    int8_t *windows = (int8_t *)(pairs + p->chunk / 2u * words); /* words bytes apart: a multiple of 4 */
    int8_t *row = ts_row_out(e, stage->output, step);
    for (uint32_t x = 0; x < out->width; x += p->chunk) {
        const uint32_t left = out->width - x;
        const uint32_t pixels = left < p->chunk ? left : p->chunk;
        gather(e, stage, step, x, pixels, windows, words);
        for (uint32_t i = 0; i < pixels; i += 2) {
            /* what lies between windows meets weights of 0 */
            ts_widen(windows + i * words, windows + (i + 1) * words, words, pairs + i / 2 * words);
        }
        ts_matmul(p->weights, taps, &p->requant, taps, out->channels, pairs, pixels, widened,
                  ts_store_row(row, out, &p->planar, x));
    }
}
