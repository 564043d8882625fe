#include <string.h>

#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

/* round(x), halves away from zero; x within int32. */
static int32_t round_away(double x) {
    const int32_t whole = (int32_t)x;
    const double rest = x - whole;
    return rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole;
}

int8_t ts_dense_finish(const ts_dense_params *p, uint32_t o, int32_t sum) {
    double x = sum * p->scale[p->per_channel ? o : 0];
    x = x > 1e6 ? 1e6 : x < -1e6 ? -1e6 : x; /* far beyond int8; keeps the conversion defined */
    return ts_clamp(round_away(x) + p->zero_point, p->low, p->high);
}

static int32_t dot(const int8_t *x, const int8_t *w, uint32_t n, int32_t sum) {
    for (uint32_t i = 0; i < n; i++) {
        sum += w[i] * x[i];
    }
    return sum;
}

static void at_each_pixel(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_dense_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const uint32_t outputs = ts_tensor_at(e, stage->output)->channels;
    const int8_t *pixel = ts_row(e, stage->inputs[0], step);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (uint32_t x = 0; x < in->width; x++, pixel += in->channels) {
        for (uint32_t o = 0; o < outputs; o++) {
            *dst++ =
                ts_dense_finish(p, o, dot(pixel, p->weights + o * in->channels, in->channels, p->bias[o]));
        }
    }
}

static void over_map(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_dense_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const uint32_t outputs = ts_tensor_at(e, stage->output)->row_bytes;
    const int8_t *x = ts_row(e, stage->inputs[0], step);
    const int last = step + 1u == in->height;
    int32_t *acc = in->height > 1 ? ts_scratch(e, stage) : NULL;
    if (acc != NULL && step == 0) {
        memcpy(acc, p->bias, outputs * sizeof *acc);
    }
    int8_t *dst = last ? ts_row_out(e, stage->output, 0) : NULL;
    for (uint32_t o = 0; o < outputs; o++) {
        const int8_t *w = p->weights + (o * in->height + step) * in->row_bytes;
        const int32_t sum = dot(x, w, in->row_bytes, acc != NULL ? acc[o] : p->bias[o]);
        if (last) {
            dst[o] = ts_dense_finish(p, o, sum);
        } else {
            acc[o] = sum;
        }
    }
}

void ts_dense(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_dense_params *p = stage->params;
    if (p->per_pixel) {
        at_each_pixel(e, stage, step);
    } else {
        over_map(e, stage, step);
    }
}
