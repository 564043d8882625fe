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

/* Pairs of outputs to to[0] and to[4], `step` bytes from pair to pair; short finish. 17 instructions a pair. */
#if TS_DSP_ASM
__attribute__((naked)) static void finish_pairs(UNUSED const int32_t *acc, UNUSED uint32_t pairs,
                                                UNUSED const ts_finish *f, UNUSED int16_t *to,
                                                UNUSED uint32_t step) {
    __asm__ volatile("push {r4-r8, lr}\n\t"
                     "ldr r4, [sp, #24]\n\t"    /* step */
                     "ldm r2, {r5, r6, r7}\n\t" /* multiplier, round, shift */
                     "1:\n\t"
                     "ldr r12, [r0, #4]\n\t"
                     "ldr lr, [r0], #8\n\t"
                     "smmlar r12, r12, r5, r12\n\t"
                     "smmlar lr, lr, r5, lr\n\t"
                     "add r12, r12, r12, asr #31\n\t"
                     "add lr, lr, lr, asr #31\n\t"
                     "add r12, r6\n\t"
                     "add lr, r6\n\t"
                     "asr r12, r12, r7\n\t"
                     "asr lr, lr, r7\n\t"
                     "ssat r12, #8, r12\n\t"
                     "ssat lr, #8, lr\n\t"
                     "strh r12, [r3, #8]\n\t"
                     "strh lr, [r3]\n\t"
                     "add r3, r4\n\t"
                     "subs r1, #1\n\t"
                     "bne 1b\n\t"
                     "pop {r4-r8, pc}\n\t");
}
#else
static void finish_pairs(const int32_t *acc, uint32_t pairs, const ts_finish *f, int16_t *to, uint32_t step) {
    for (; pairs > 0; pairs--, acc += 2, to += step / sizeof *to) {
        to[0] = (int16_t)ts_finish_int8(acc[0], *f);
        to[4] = (int16_t)ts_finish_int8(acc[1], *f);
    }
}
#endif

/* A channel's outputs, interleaved. */
static void finish_row(const ts_requant_dsp *q, uint32_t channel, const int32_t *acc, uint32_t pixels,
                       int8_t *to, uint32_t pixel_step) {
    const ts_finish f = ts_finish_of(q, channel);
    for (uint32_t x = 0; x < pixels; x++, to += pixel_step) {
        *to = q->is_short ? (int8_t)ts_finish_int8(acc[x], f) : ts_finish_any(acc[x], f, q);
    }
}

/* The same, widened to int16 and paired (matmul.h). An odd last pixel is paired with what follows it. */
static void finish_paired(const ts_requant_dsp *q, uint32_t channel, const int32_t *acc, uint32_t pixels,
                          int8_t *row, uint32_t words) {
    /* of 4 channels: 0, 2, 1, 3 */
    const uint32_t place = channel / 4 * 8 + (channel & 1u) * 2 + (channel >> 1 & 1u);
    int16_t *to = (int16_t *)(void *)row + place;
    const ts_finish f = ts_finish_of(q, channel);
    if (q->is_short) {
        finish_pairs(acc, (pixels + 1) / 2, &f, to, words * sizeof(int32_t));
        return;
    }
    for (uint32_t x = 0; x < pixels; x += 2, to += 2 * words) {
        to[0] = ts_finish_any(acc[x], f, q);
        to[4] = ts_finish_any(acc[x + 1], f, q);
    }
}

void ts_depthwise_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_depthwise_dsp_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const rows_inside r = find_rows(e, stage, step);
    const ts_window_kernel kernel = ts_window_kernel_for(p->taps, p->stride);
    const uint32_t taps = (uint32_t)p->taps * p->taps;
    const uint32_t words = ts_pair_words(out->channels);
    const int all = r.first == 0 && r.last == p->taps;
    int8_t *dst = ts_row_out(e, stage->output, step);
    ts_window_run run = {
        .acc = ts_scratch(e, stage), .quads = ((uint32_t)out->width + 3) / 4, .end = r.rows + r.last};
    const int8_t *w = p->weights;
    for (uint32_t c = 0; c < out->channels; c++, w += taps) {
        run.start = ts_bias_of(p->requant.channels[c]) + (all ? 0 : outside(p, &r, w));
        run.rows = r.rows + r.first;
        run.w = w + r.first * p->taps;
        kernel(&run);
        run.offset += (uint32_t)in->width + p->planar.margin;
        if (p->paired) {
            finish_paired(&p->requant, c, run.acc, out->width, dst, words);
        } else {
            finish_row(&p->requant, c, run.acc, out->width, dst + c, out->channels);
        }
    }
}
