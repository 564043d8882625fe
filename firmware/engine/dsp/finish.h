/* Requantisation of the DSP kernels: requantise.h's result in six instructions.
 *
 * For 1 <= s = -shift <= 22 and |acc| < 2^30 (the compiler chooses these kernels only then), with m the
 * multiplier: high = (acc * m + 2^30) >> 31       is SMMULR(2 * acc, m) rounding shift, halves away from 0 is
 * (high + (high >> 31) + 2^(s-1)) >> s
 *   + zero point                        goes into the rounding constant: + zero_point * 2^s before the shift
 */
#ifndef FINISH_H
#define FINISH_H

#include "../stages.h"
#include "armv7em.h"

typedef struct ts_finish {
    int32_t multiplier;
    int32_t round; /* 2^(s-1) + zero_point * 2^s */
    int32_t shift; /* s */
} ts_finish;

static inline ts_finish ts_finish_of(const ts_requant *q, uint32_t channel) {
    const int32_t s = -q->shift[channel];
    const ts_finish f = {q->multiplier[channel], (1 << (s - 1)) + q->zero_point * (1 << s), s};
    return f;
}

/* clamp(requantise(acc) + zero point, -128, 127). */
static inline int32_t ts_finish_int8(int32_t acc, ts_finish f) {
    const int32_t high = ts_smmulr(acc * 2, f.multiplier);
    return ts_ssat8((high + (high >> 31) + f.round) >> f.shift);
}

static inline int ts_clamps_more(const ts_requant *q) {
    return q->low > INT8_MIN || q->high < INT8_MAX;
}

static inline int32_t ts_clamp_more(const ts_requant *q, int32_t x) {
    return x < q->low ? q->low : x > q->high ? q->high : x;
}

#endif
