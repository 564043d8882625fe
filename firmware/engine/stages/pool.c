#include <string.h>

#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

/* The part of a pooling window that lies inside the map. */
typedef struct {
    int32_t y0, y1, x0, x1;
} area;

static void clip(int32_t origin, int32_t taps, int32_t size, int32_t *first, int32_t *last) {
    *first = origin < 0 ? 0 : origin;
    *last = origin + taps > size ? size : origin + taps;
}

/* TFLite's rounded integer mean: halves away from zero. */
static int32_t rounded_mean(int32_t sum, int32_t count) {
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

static int32_t average(const ts_engine *e, uint32_t input, area a, uint32_t offset, uint32_t channels) {
    int32_t sum = 0;
    for (int32_t y = a.y0; y < a.y1; y++) {
        const int8_t *row = ts_row(e, input, (uint32_t)y) + offset;
        for (int32_t x = a.x0; x < a.x1; x++) {
            sum += row[(uint32_t)x * channels];
        }
    }
    return rounded_mean(sum, (a.y1 - a.y0) * (a.x1 - a.x0));
}

static int32_t maximum(const ts_engine *e, uint32_t input, area a, uint32_t offset, uint32_t channels) {
    int32_t best = INT8_MIN;
    for (int32_t y = a.y0; y < a.y1; y++) {
        const int8_t *row = ts_row(e, input, (uint32_t)y) + offset;
        for (int32_t x = a.x0; x < a.x1; x++) {
            const int32_t v = row[(uint32_t)x * channels];
            best = v > best ? v : best;
        }
    }
    return best;
}

static inline void pool(const ts_engine *e, const ts_stage *stage, uint32_t step,
                        int32_t (*reduce)(const ts_engine *, uint32_t, area, uint32_t, uint32_t)) {
    const ts_pool_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    int8_t *dst = ts_row_out(e, stage->output, step);
    area a;
    clip((int32_t)(step * p->window.stride_y) - p->window.pad_top, p->window.height, in->height, &a.y0,
         &a.y1);
    for (int32_t x = 0; x < out->width; x++) {
        clip(x * p->window.stride_x - p->window.pad_left, p->window.width, in->width, &a.x0, &a.x1);
        for (uint32_t c = 0; c < out->channels; c++) {
            *dst++ = ts_clamp(reduce(e, stage->inputs[0], a, c, in->channels), p->low, p->high);
        }
    }
}

void ts_average_pool(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    pool(e, stage, step, average);
}

void ts_max_pool(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    pool(e, stage, step, maximum);
}

void ts_global_average(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_pool_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    int32_t *sums = ts_scratch(e, stage);
    if (step == 0) {
        memset(sums, 0, in->channels * sizeof *sums);
    }
    ts_sum_row(sums, ts_row(e, stage->inputs[0], step), in->width, in->channels);
    if (step + 1u < in->height) {
        return;
    }
    int8_t *dst = ts_row_out(e, stage->output, 0);
    for (uint32_t c = 0; c < in->channels; c++) {
        dst[c] = ts_clamp(rounded_mean(sums[c], in->height * in->width), p->low, p->high);
    }
}
