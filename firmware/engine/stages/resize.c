#include <string.h>

#include "../engine.h"
#include "../stages.h"

void ts_resize(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_resize_params *p = stage->params;
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const int8_t *src = ts_row(e, stage->inputs[0], p->rows[step]);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (uint32_t x = 0; x < out->width; x++, dst += out->channels) {
        memcpy(dst, src + (uint32_t)p->pixels[x] * out->channels, out->channels);
    }
}
