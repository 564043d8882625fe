#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

/* Fixed point as in TFLite's reference softmax (reference/softmax.h): Qm.n has m integer bits and a sign. */

/* Product of two Q0.31, rounded. */
static int32_t multiply(int32_t a, int32_t b) {
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

static int32_t divide_by_power_of_two(int32_t x, int32_t exponent) {
    const int32_t mask = (int32_t)((INT64_C(1) << exponent) - 1);
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + ((x & mask) > threshold);
}

/* x * 2^exponent, saturating. */
static int32_t scale_up(int32_t x, int32_t exponent) {
    const int64_t wide = (int64_t)x * (INT64_C(1) << exponent);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* 1 / (1 + a) for a in [0, 1), both Q0.31: three Newton-Raphson steps on d = (1 + a) / 2, in Q2.29. */
static int32_t reciprocal(int32_t a) {
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + multiply(half_denominator, -1010580540); /* 48/17 - 32/17 d */
    for (int32_t i = 0; i < 3; i++) {
        const int32_t rest = (1 << 29) - multiply(half_denominator, x);
        x += scale_up(multiply(x, rest), 2); /* Q2.29 * Q2.29 is Q4.27 */
    }
    return scale_up(x, 1); /* half of x, from Q2.29 to Q0.31 */
}

static void softmax_pixel(const ts_softmax_params *p, const int8_t *src, int8_t *dst, uint32_t n) {
    int32_t max = INT8_MIN;
    for (uint32_t c = 0; c < n; c++) {
        max = src[c] > max ? src[c] : max;
    }
    int32_t sum = 0; /* Q12.19 */
    for (uint32_t c = 0; c < n; c++) {
        sum += divide_by_power_of_two(p->exp[max - src[c]], 12);
    }
    int32_t headroom = 0;
    while ((((uint32_t)sum << headroom) & UINT32_C(0x80000000)) == 0) {
        headroom++;
    }
    const int32_t scale = reciprocal((int32_t)(((uint32_t)sum << headroom) - UINT32_C(0x80000000)));
    const int32_t exponent = 12 - headroom + 31 - 8;
    for (uint32_t c = 0; c < n; c++) {
        const int32_t v = divide_by_power_of_two(multiply(scale, p->exp[max - src[c]]), exponent);
        dst[c] = ts_clamp(v + INT8_MIN, INT8_MIN, INT8_MAX);
    }
}

void ts_softmax(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const int8_t *src = ts_row(e, stage->inputs[0], step);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (uint32_t x = 0; x < out->width; x++, src += out->channels, dst += out->channels) {
        softmax_pixel(stage->params, src, dst, out->channels);
    }
}
