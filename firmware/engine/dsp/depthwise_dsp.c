#include "../engine.h"
#include "finish.h"
#include "matmul.h"
#include "window.h"

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

static int32_t sum_of(const int8_t *w, uint32_t n) {
    uint32_t sum = 0; /* of the taps + 128 */
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        sum = ts_usada8(ts_load4(w + i) ^ 0x80808080u, sum);
    }
    for (; i < n; i++) {
        sum += (uint32_t)(w[i] + 128);
    }
    return (int32_t)sum - (int32_t)(128 * n);
}

/* The bias has the zero point of all taps folded in; this takes that of the rows outside out again. */
static int32_t outside(const ts_depthwise_dsp_params *p, const rows_inside *r, const int8_t *w) {
    int32_t sum = 0;
    if (p->row_bytes == p->taps) {
        const uint32_t above = r->first * p->taps, below = ((uint32_t)p->taps - r->last) * p->taps;
        sum = sum_of(w, above) + sum_of(w + r->last * p->taps, below);
    } else {
        for (uint32_t k = 0; k < p->taps; k++, w += p->row_bytes) {
            sum += k < r->first || k >= r->last ? sum_of(w, p->taps) : 0;
        }
    }
    return sum * p->input_zero_point;
}

/* One channel, whatever its clamp and shift. */
static void any_channel(const ts_depthwise_dsp_params *p, ts_window_run run, uint32_t c, uint32_t pixels,
                        ts_window_kernel kernel) {
    const ts_finish f = ts_finish_of(&p->requant, c);
    run.channels = 1;
    run.pairs = 0;
    run.tail = 0;
    kernel(&run);
    int16_t *paired = (int16_t *)run.to + ts_pair_place(c);
    int8_t *pixel = (int8_t *)run.to + c;
    for (uint32_t x = 0; x < pixels; x++) {
        const int8_t value = ts_finish_any(run.acc[x], f, &p->requant);
        if (p->paired) {
            paired[x / 2 * (run.step / 2) + x % 2 * 4] = value;
        } else {
            pixel[x * run.step] = value;
        }
    }
}

enum { CHANNELS = 32 }; /* whose starts are worked out at a time */

void ts_depthwise_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_depthwise_dsp_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const rows_inside r = find_rows(e, stage, step);
    const ts_window_kernel kernel = ts_window_kernel_for(p->taps, p->stride);
    const int all = r.first == 0 && r.last == p->taps;
    int32_t starts[CHANNELS] = {0};
    ts_window_run run = {
        .acc = ts_scratch(e, stage),
        .quads = ((uint32_t)out->width + 3) / 4,
        .rows = r.rows + r.first,
        .end = r.rows + r.last,
        .row_bytes = p->row_bytes,
        .w = p->weights + r.first * p->row_bytes,
        .channel_step = (uint32_t)in->width + p->planar.margin,
        .skip = p->channel_bytes - (r.last - r.first) * p->row_bytes, /* may wrap: added to a pointer */
        .q = p->requant.channels,
        .to = ts_row_out(e, stage->output, step),
        .step = p->paired ? 4 * ts_pair_words(out->channels) : out->channels,
        .pairs = p->paired ? (out->width + 1u) / 2 : out->width / 2u,
        .tail = p->paired ? 0 : out->width % 2u,
        .round = 2 * p->requant.zero_point + 1,
        .start_step = all ? 0 : sizeof starts[0],
        .paired = p->paired,
    };
    for (uint32_t c = 0; c < out->channels; c += run.channels) {
        const uint32_t left = out->channels - c;
        const uint32_t some = all ? left : left < CHANNELS ? left : CHANNELS;
        for (uint32_t i = 0; !all && i < some; i++) {
            starts[i] = outside(p, &r, p->weights + (c + i) * p->channel_bytes);
        }
        run.start = starts;
        if (p->requant.is_short) {
            run.channels = some;
            kernel(&run);
            run.channels = some;
            continue;
        }
        ts_window_run one = run;
        for (uint32_t i = 0; i < some; i++) {
            any_channel(p, one, c + i, out->width, kernel);
            one.offset += one.channel_step;
            one.w += p->channel_bytes;
            one.q++;
            one.start += one.start_step / sizeof *one.start;
        }
        run.offset = one.offset;
        run.w = one.w;
        run.q = one.q;
        run.channels = some;
    }
}
