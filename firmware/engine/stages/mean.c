#include <string.h>

#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

void ts_mean(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_mean_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const uint32_t pixels = p->over_pixels ? in->width : 1;
    const uint32_t sums_count = in->row_bytes / pixels;
    int32_t *sums = ts_scratch(e, stage);
    if (step == 0 || !p->over_rows) {
        memset(sums, 0, sums_count * sizeof *sums);
    }
    ts_sum_row(sums, ts_row(e, stage->inputs[0], step), pixels, sums_count);
    if (p->over_rows && step + 1u < in->height) {
        return;
    }
    int8_t *dst = ts_row_out(e, stage->output, p->over_rows ? 0 : step);
    for (uint32_t c = 0; c < sums_count; c++) {
        const int32_t v = ts_requantise(sums[c] - p->offset, p->multiplier, p->shift);
        dst[c] = ts_clamp(v + p->zero_point, INT8_MIN, INT8_MAX);
    }
}
