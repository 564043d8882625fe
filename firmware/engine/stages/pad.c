#include <string.h>

#include "../engine.h"
#include "../stages.h"

void ts_pad(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_pad_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    int8_t *dst = ts_row_out(e, stage->output, step);
    memset(dst, p->value, out->row_bytes);
    if (step < p->top || step - p->top >= in->height) {
        return;
    }
    const int8_t *src = ts_row(e, stage->inputs[0], step - p->top);
    dst += p->left * out->channels + p->before;
    for (uint32_t x = 0; x < in->width; x++) {
        memcpy(dst + x * out->channels, src + x * in->channels, in->channels);
    }
}
