#include "../engine.h"
#include "matmul.h"

void ts_pointwise_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_pointwise_dsp_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const int8_t *row = ts_row(e, stage->inputs[0], step);
    uint32_t *widened = (uint32_t *)(void *)ts_scratch(e, stage);
    const uint32_t *paired = (const uint32_t *)(const void *)row;
    if (!p->paired) {
        uint32_t *pairs = widened + ts_pair_words(in->channels);
        for (uint32_t x = 0; x < in->width; x += 2, row += 2 * in->channels) {
            const int8_t *second = x + 1 < in->width ? row + in->channels : row;
            ts_widen(row, second, in->channels, pairs + x / 2 * ts_pair_words(in->channels));
        }
        paired = pairs;
    }
    const ts_store store = ts_store_row(ts_row_out(e, stage->output, step), out, &p->planar, 0);
    ts_matmul(p->weights, &p->requant, in->channels, out->channels, paired, in->width, widened, store);
}
