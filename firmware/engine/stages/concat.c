#include <string.h>

#include "../engine.h"
#include "../stages.h"

static void concat_rows(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    uint32_t row = step;
    uint32_t i = 0;
    while (row >= ts_tensor_at(e, stage->inputs[i])->height) {
        row -= ts_tensor_at(e, stage->inputs[i++])->height;
    }
    memcpy(ts_row_out(e, stage->output, step), ts_row(e, stage->inputs[i], row),
           ts_tensor_at(e, stage->output)->row_bytes);
}

void ts_concat(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_concat_params *p = stage->params;
    if (p->axis == 0) {
        concat_rows(e, stage, step);
        return;
    }
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (uint32_t i = 0; i < stage->n_inputs; i++) {
        const ts_tensor *in = ts_tensor_at(e, stage->inputs[i]);
        const int8_t *src = ts_row(e, stage->inputs[i], step);
        if (p->axis == 1) {
            memcpy(dst, src, in->row_bytes);
            dst += in->row_bytes;
            continue;
        }
        for (uint32_t x = 0; x < in->width; x++) {
            memcpy(dst + x * out->channels, src + x * in->channels, in->channels);
        }
        dst += in->channels;
    }
}
