#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

void ts_mean(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_mean_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const int32_t *sums = ts_scratch(e, stage);
    ts_sum_row(e, stage, step);
    if (step + 1u < in->height) {
        return;
    }
    int8_t *dst = ts_row_out(e, stage->output, 0);
    for (uint32_t c = 0; c < in->channels; c++) {
        const int32_t v = ts_requantise(sums[c] - p->offset, p->multiplier, p->shift);
        dst[c] = ts_clamp(v + p->zero_point, INT8_MIN, INT8_MAX);
    }
}
