#include "../engine.h"
#include "finish.h"
#include "matmul.h"
#include "window_row.h"

/* Rows of the window that lie inside the map, and what those outside would have added. */
typedef struct {
    uint32_t first, last;  /* taps [first, last) */
    const int8_t *rows[7]; /* of the input, one a tap inside */
} rows_inside;

static rows_inside find_rows(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_depthwise_dsp_params *p = stage->params;
    const int32_t height = ts_tensor_at(e, stage->inputs[0])->height;
    const int32_t y0 = (int32_t)(step * p->stride) - p->pad_top;
    rows_inside r = {0, p->taps, {NULL}};
    for (int32_t k = 0; k < p->taps; k++) {
        const int32_t y = y0 + k;
        if (y < 0) {
            r.first++;
        } else if (y >= height) {
            r.last--;
        } else {
            r.rows[k] = ts_row(e, stage->inputs[0], (uint32_t)y) + p->planar.margin - p->pad_left;
        }
    }
    return r;
}

/* The bias has the zero point of all taps folded in; this takes that of the rows outside out again. */
static int32_t outside(const ts_depthwise_dsp_params *p, const rows_inside *r, const int8_t *w) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < r->first * p->taps; i++) {
        sum += w[i];
    }
    for (uint32_t i = r->last * p->taps; i < (uint32_t)p->taps * p->taps; i++) {
        sum += w[i];
    }
    return sum * p->input_zero_point;
}

/* A channel's outputs, interleaved. */
static void finish_row(ts_finish f, const int32_t *acc, uint32_t pixels, int8_t *to, uint32_t pixel_step) {
    if (!ts_finish_is_short(f)) {
        for (uint32_t x = 0; x < pixels; x++, to += pixel_step) {
            *to = (int8_t)ts_finish_any(acc[x], f);
        }
        return;
    }
    for (uint32_t x = 0; x < pixels; x++, to += pixel_step) {
        *to = (int8_t)ts_finish_int8(acc[x], f);
    }
}

/* The same, widened to int16 and paired (matmul.h). An odd last pixel is paired with what follows it. */
static void finish_paired(ts_finish f, uint32_t channel, const int32_t *acc, uint32_t pixels, int8_t *row,
                          uint32_t words) {
    static const uint8_t place[4] = {0, 2, 1, 3};
    int16_t *to = (int16_t *)(void *)row + channel / 4 * 8 + place[channel % 4];
    if (!ts_finish_is_short(f)) {
        for (uint32_t x = 0; x < pixels; x += 2, to += 2 * words) {
            to[0] = (int16_t)ts_finish_any(acc[x], f);
            to[4] = (int16_t)ts_finish_any(acc[x + 1], f);
        }
        return;
    }
    for (const int32_t *end = acc + pixels; acc < end; acc += 2, to += 2 * words) {
        to[0] = (int16_t)ts_finish_int8(acc[0], f);
        to[4] = (int16_t)ts_finish_int8(acc[1], f);
    }
}

void ts_depthwise_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_depthwise_dsp_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const rows_inside r = find_rows(e, stage, step);
    const ts_window_row row = ts_window_row_for(p->taps, p->stride);
    const uint32_t quads = ((uint32_t)out->width + 3) / 4;
    const uint32_t channel_step = (uint32_t)in->width + p->planar.margin;
    const int all = r.first == 0 && r.last == p->taps;
    int32_t *acc = ts_scratch(e, stage);
    int8_t *dst = ts_row_out(e, stage->output, step);
    const int8_t *w = p->weights;
    for (uint32_t c = 0; c < out->channels; c++, w += p->taps * p->taps) {
        const int32_t start = p->requant.bias[c] + (all ? 0 : outside(p, &r, w));
        for (uint32_t i = 0; i < quads; i++) {
            acc[4 * i] = acc[4 * i + 1] = acc[4 * i + 2] = acc[4 * i + 3] = start;
        }
        for (uint32_t k = r.first; k < r.last; k++) {
            row(acc, r.rows[k] + c * channel_step, w + k * p->taps, quads);
        }
        const ts_finish f = ts_finish_of(&p->requant, c);
        if (p->paired) {
            finish_paired(f, c, acc, out->width, dst, ts_pair_words(out->channels));
        } else {
            finish_row(f, acc, out->width, dst + c, out->channels);
        }
    }
}
