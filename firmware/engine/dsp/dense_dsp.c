#include <string.h>

#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"
#include "armv7em.h"

/* Rounds as ts_dense() does, mostly without its double precision: acc * multiplier is within |acc| / 2 of what the
 * multiplier stands for, so its high word is off by one at most. Unless that word is next to a half, it decides. */
static int8_t finish(const ts_dense_dsp_params *p, uint32_t o, int32_t acc) {
    const uint32_t i = p->dense.per_channel ? o : 0;
    const int32_t drop = -1 - p->shift[i]; /* bits of the high word behind the point */
    if (drop >= 3 && drop <= 30) {
        const int32_t high = (int32_t)((int64_t)acc * p->multiplier[i] >> 32);
        const int32_t half = 1 << (drop - 1);
        const int32_t rest = high & (2 * half - 1);
        if (rest < half - 2 || rest > half + 2) {
            const int32_t value = (high >> drop) + (rest > half);
            return ts_clamp(value + p->dense.zero_point, p->dense.low, p->dense.high);
        }
    }
    return ts_dense_finish(&p->dense, o, acc);
}

/* The row as pairs: bytes 0 and 2, 1 and 3 of each word. */
static void widen(const int8_t *row, uint32_t words, uint32_t *pairs) {
    for (uint32_t i = 0; i < words; i++) {
        const uint32_t bytes = ts_load4(row + 4 * i);
        pairs[2 * i] = ts_sxtb16(bytes);
        pairs[2 * i + 1] = ts_sxtb16_odd(bytes);
    }
}

/* acc[0], acc[1] += products of the row with the weights of two outputs. 13 instructions for 8. */
static void two_outputs(const uint32_t *pairs, const int8_t *w0, const int8_t *w1, uint32_t words,
                        int32_t acc[2]) {
    int32_t a = acc[0], b = acc[1];
    for (uint32_t i = 0; i < words; i++, w0 += 4, w1 += 4, pairs += 2) {
        const uint32_t first = ts_load4(w0), second = ts_load4(w1);
        a = ts_smlad(pairs[0], ts_sxtb16(first), a);
        b = ts_smlad(pairs[0], ts_sxtb16(second), b);
        a = ts_smlad(pairs[1], ts_sxtb16_odd(first), a);
        b = ts_smlad(pairs[1], ts_sxtb16_odd(second), b);
    }
    acc[0] = a;
    acc[1] = b;
}

static int32_t rest_of(const int8_t *x, const int8_t *w, uint32_t from, uint32_t n, int32_t sum) {
    for (uint32_t i = from; i < n; i++) {
        sum += w[i] * x[i];
    }
    return sum;
}

void ts_dense_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_dense_dsp_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const uint32_t outputs = ts_tensor_at(e, stage->output)->row_bytes;
    const uint32_t n = in->row_bytes, words = n / 4;
    const int8_t *x = ts_row(e, stage->inputs[0], step);
    const int last = step + 1u == in->height;
    uint32_t *pairs = (uint32_t *)(void *)ts_scratch(e, stage);
    int32_t *sums = in->height > 1 ? (int32_t *)(void *)(pairs + 2 * words) : NULL;
    if (sums != NULL && step == 0) {
        memcpy(sums, p->dense.bias, outputs * sizeof *sums);
    }
    widen(x, words, pairs);
    int8_t *dst = last ? ts_row_out(e, stage->output, 0) : NULL;
    for (uint32_t o = 0; o < outputs; o += 2) {
        const uint32_t second = o + 1 < outputs ? o + 1 : o;
        const int8_t *w0 = p->dense.weights + (o * in->height + step) * n;
        const int8_t *w1 = p->dense.weights + (second * in->height + step) * n;
        const int32_t *start = sums != NULL ? sums : p->dense.bias;
        int32_t acc[2] = {start[o], start[second]};
        two_outputs(pairs, w0, w1, words, acc);
        acc[0] = rest_of(x, w0, 4 * words, n, acc[0]);
        acc[1] = rest_of(x, w1, 4 * words, n, acc[1]);
        if (last) {
            dst[o] = finish(p, o, acc[0]);
            dst[second] = finish(p, second, acc[1]);
        } else {
            sums[o] = acc[0];
            sums[second] = acc[1];
        }
    }
}
