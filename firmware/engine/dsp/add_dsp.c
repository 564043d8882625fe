#include "../engine.h"
#include "finish.h"

/* What is the same for every value of a row. */
typedef struct {
    int32_t offset;     /* of the first operand at the common scale: -zero_point * 2^19 */
    int32_t other_zero; /* -zero_point * 2^21 of the second operand */
    int32_t multiplier, round, shift;
    ts_finish finish;
} add_row;

/* The second operand is (b - zero point) * 2^20 requantised; SMMULR wants it doubled. 17 instructions, 12 if both
 * operands have the same scale. */
static inline int32_t add(const add_row *r, int32_t a, int32_t b, int same_scale) {
    int32_t other = ts_smmulr(b * (1 << 21) + r->other_zero, r->multiplier);
    if (!same_scale) {
        other = (other + (other >> 31) + r->round) >> r->shift;
    }
    return a * (1 << 19) + r->offset + other;
}

static inline void row(add_row r, const ts_requant_dsp *q, const int8_t *a, const int8_t *b, int8_t *dst,
                       uint32_t n, int same_scale) {
    uint32_t i = 0;
    if (q->is_short) {
        for (; i + 4 <= n; i += 4) {
            const uint32_t wa = ts_load4(a + i);
            const uint32_t wb = ts_load4(b + i);
            dst[i] = (int8_t)ts_finish_int8(add(&r, (int8_t)wa, (int8_t)wb, same_scale), r.finish);
            dst[i + 1] =
                (int8_t)ts_finish_int8(add(&r, (int8_t)(wa >> 8), (int8_t)(wb >> 8), same_scale), r.finish);
            dst[i + 2] =
                (int8_t)ts_finish_int8(add(&r, (int8_t)(wa >> 16), (int8_t)(wb >> 16), same_scale), r.finish);
            dst[i + 3] =
                (int8_t)ts_finish_int8(add(&r, (int8_t)(wa >> 24), (int8_t)(wb >> 24), same_scale), r.finish);
        }
    }
    for (; i < n; i++) {
        dst[i] = ts_finish_any(add(&r, a[i], b[i], same_scale), r.finish, q);
    }
}

void ts_add_dsp(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_add_dsp_params *p = stage->params;
    const int8_t *a = ts_row(e, stage->inputs[0], step);
    const int8_t *b = ts_row(e, stage->inputs[1], step);
    int8_t *dst = ts_row_out(e, stage->output, step);
    const uint32_t n = ts_tensor_at(e, stage->output)->row_bytes;
    const int32_t s = -p->shift;
    const add_row r = {
        .offset = -p->first_zero_point * (1 << 19),
        .other_zero = -p->second_zero_point * (1 << 21),
        .multiplier = p->multiplier,
        .round = s > 0 ? 1 << (s - 1) : 0,
        .shift = s,
        .finish = ts_finish_of(&p->requant, 0),
    };
    if (s == 0) {
        row(r, &p->requant, a, b, dst, n, 1);
    } else {
        row(r, &p->requant, a, b, dst, n, 0);
    }
}
