#include "../engine.h"
#include "matmul.h"

void ts_pointwise_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_pointwise_dsp_params *p = stage->params;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const int8_t *row = ts_row(e, stage->inputs[0], step);
    const uint32_t words = ts_pair_words(in->channels);
    uint32_t *widened = (uint32_t *)(void *)ts_scratch(e, stage);
    int8_t *to = ts_row_out(e, stage->output, step);
    if (p->paired) {
        ts_matmul(p->weights, p->row_bytes, &p->requant, in->channels, out->channels,
                  (const uint32_t *)(const void *)row, in->width, widened,
                  ts_store_row(to, out, &p->planar, 0));
        return;
    }
    uint32_t *pairs = widened + words;
    for (uint32_t first = 0; first < in->width; first += p->chunk) {
        const uint32_t left = in->width - first;
        const uint32_t pixels = left < p->chunk ? left : p->chunk;
        for (uint32_t x = 0; x < pixels; x += 2, row += 2 * in->channels) {
            const int8_t *second = x + 1 < pixels ? row + in->channels : row;
            ts_widen(row, second, in->channels, pairs + x / 2 * words);
        }
        ts_matmul(p->weights, p->row_bytes, &p->requant, in->channels, out->channels, pairs, pixels, widened,
                  ts_store_row(to, out, &p->planar, first));
    }
}
