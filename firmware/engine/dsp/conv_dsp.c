#include "../engine.h"
#include "matmul.h"

/* The window of output pixel x in a row, one byte a tap and channel; the zero point outside the map. */
static void gather(const ts_engine *e, const ts_stage *stage, int32_t y0, int32_t x, int8_t *to) {
    const ts_conv_dsp_params *p = stage->params;
    const ts_window *win = &p->window;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const int32_t depth = in->channels;
    const int32_t x0 = x * win->stride_x - win->pad_left;
    const int inside = win->dilation_x == 1 && x0 >= 0 && x0 + win->width <= in->width;
    for (int32_t ky = 0; ky < win->height; ky++) {
        const int32_t y = y0 + ky * win->dilation_y;
        if (y < 0 || y >= in->height) {
            memset(to, p->input_zero_point, (size_t)(win->width * depth));
            to += win->width * depth;
            continue;
        }
        const int8_t *row = ts_row(e, stage->inputs[0], (uint32_t)y);
        if (inside) {
            memcpy(to, row + x0 * depth, (size_t)(win->width * depth));
            to += win->width * depth;
            continue;
        }
        for (int32_t kx = 0; kx < win->width; kx++, to += depth) {
            const int32_t at = x0 + kx * win->dilation_x;
            if (at < 0 || at >= in->width) {
                memset(to, p->input_zero_point, (size_t)depth);
            } else {
                memcpy(to, row + at * depth, (size_t)depth);
            }
        }
    }
}

void ts_conv_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_conv_dsp_params *p = stage->params;
    const ts_window *win = &p->window;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const uint32_t taps = (uint32_t)win->height * win->width * in->channels;
    const uint32_t words = ts_pair_words(taps);
    uint32_t *widened = (uint32_t *)(void *)ts_scratch(e, stage);
    uint32_t *pairs = widened + words;
    int8_t *bytes = (int8_t *)(pairs + TS_CONV_PIXELS / 2 * words);
    const int32_t y0 = (int32_t)(step * win->stride_y) - win->pad_top;
    int8_t *row = ts_row_out(e, stage->output, step);
    for (uint32_t x = 0; x < out->width; x += TS_CONV_PIXELS) {
        const uint32_t left = out->width - x;
        const uint32_t pixels = left < TS_CONV_PIXELS ? left : TS_CONV_PIXELS;
        for (uint32_t i = 0; i < pixels; i += 2) {
            const uint32_t two = pixels - i < 2 ? 1 : 2;
            gather(e, stage, y0, (int32_t)(x + i), bytes);
            if (two == 2) {
                gather(e, stage, y0, (int32_t)(x + i + 1), bytes + taps);
            }
            ts_widen(bytes, taps, taps, two, pairs + i / 2 * words);
        }
        ts_matmul(p->weights, &p->requant, taps, out->channels, pairs, pixels, widened,
                  ts_store_row(row, out, &p->planar, x));
    }
}
