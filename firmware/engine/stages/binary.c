#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

/* One operand's position in its tensor. */
typedef struct {
    const int8_t *row;
    uint32_t pixel_step, channel_step;
} cursor;

static cursor start(const ts_engine *e, const ts_stage *stage, uint32_t index, uint32_t step) {
    const ts_binary_params *p = stage->params;
    const ts_operand *op = &p->operand[index];
    cursor c;
    c.row = ts_row(e, stage->inputs[index], op->repeat_y ? 0 : step);
    c.channel_step = op->repeat_channel ? 0 : 1;
    c.pixel_step = op->repeat_x ? 0 : ts_tensor_at(e, stage->inputs[index])->channels;
    return c;
}

static int32_t add(const ts_binary_params *p, int32_t a, int32_t b) {
    const ts_operand *oa = &p->operand[0];
    const ts_operand *ob = &p->operand[1];
    /* 20: headroom of the 8-bit operators, tflite add.cc */
    const int32_t sa = ts_requantise((a - oa->zero_point) * (1 << 20), oa->multiplier, oa->shift);
    const int32_t sb = ts_requantise((b - ob->zero_point) * (1 << 20), ob->multiplier, ob->shift);
    return ts_requantise(sa + sb, p->multiplier, p->shift);
}

static int32_t mul(const ts_binary_params *p, int32_t a, int32_t b) {
    return ts_requantise((a - p->operand[0].zero_point) * (b - p->operand[1].zero_point), p->multiplier,
                         p->shift);
}

static inline void row(const ts_engine *e, const ts_stage *stage, uint32_t step,
                       int32_t (*apply)(const ts_binary_params *, int32_t, int32_t)) {
    const ts_binary_params *p = stage->params;
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    cursor a = start(e, stage, 0, step);
    cursor b = start(e, stage, 1, step);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (uint32_t x = 0; x < out->width; x++, a.row += a.pixel_step, b.row += b.pixel_step) {
        for (uint32_t c = 0; c < out->channels; c++) {
            const int32_t v = apply(p, a.row[c * a.channel_step], b.row[c * b.channel_step]);
            *dst++ = ts_clamp(v + p->zero_point, p->low, p->high);
        }
    }
}

void ts_add(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    row(e, stage, step, add);
}

void ts_mul(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    row(e, stage, step, mul);
}
