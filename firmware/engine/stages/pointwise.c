#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

static int32_t dot(const int8_t *x, const int8_t *w, int32_t n) {
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += w[i] * x[i];
    }
    return sum;
}

void ts_pointwise(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_pointwise_params *p = stage->params;
    const ts_requant *q = &p->requant;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const int32_t depth = in->channels;
    const int8_t *pixel = ts_row(e, stage->inputs[0], step);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (int32_t x = 0; x < out->width; x++, pixel += depth) {
        const int8_t *w = p->weights;
        for (int32_t o = 0; o < out->channels; o++, w += p->row_bytes) {
            const int32_t sum = q->bias[o] + dot(pixel, w, depth);
            *dst++ =
                ts_clamp(ts_requantise(sum, q->multiplier[o], q->shift[o]) + q->zero_point, q->low, q->high);
        }
    }
}
