/* Requantisation of the DSP kernels: requantise.h's result in five instructions.
 *
 * For 1 <= s = -shift <= 22, |acc| < 2^30 and a multiplier m in [2^30, 2^31) (the compiler sees to that):
 *   high = (acc * m + 2^30) >> 31       is SMMLAR(acc, 2m - 2^32, acc); 2m - 2^32 is what the tables hold
 *   rounding shift, halves away from 0  is (high + (high >> 31) + 2^(s-1)) >> s
 *   + zero point                        goes into the rounding constant: (2 * zero_point + 1) * 2^(s-1)
 * A channel with a shift of 0 or above, rare, is left to ts_requantise().
 */
#ifndef FINISH_H
#define FINISH_H

#include "../requantise.h"
#include "../stages.h"
#include "armv7em.h"

typedef struct ts_finish {
    int32_t multiplier; /* 2m - 2^32 */
    int32_t round;      /* (2 * zero_point + 1) * 2^(s-1) */
    int32_t shift;      /* s; 0 or below: the rare way */
} ts_finish;

static inline int32_t ts_bias_of(ts_channel q) {
    return q.bias_shift >> 5;
}

/* s, 1..22, or -7..0 for the rare way. */
static inline int32_t ts_shift_of(ts_channel q) {
    const int32_t code = q.bias_shift & 31;
    return code < TS_LEFT_SHIFT ? code : TS_LEFT_SHIFT - code;
}

static inline ts_finish ts_finish_of(const ts_requant_dsp *q, uint32_t channel) {
    const int32_t s = ts_shift_of(q->channels[channel]);
    const int32_t round = s > 0 ? (2 * q->zero_point + 1) * (1 << (s - 1)) : 0;
    const ts_finish f = {q->channels[channel].multiplier, round, s};
    return f;
}

/* clamp(requantise(acc) + zero point, -128, 127), by the short way. */
static inline int32_t ts_finish_int8(int32_t acc, ts_finish f) {
    const int32_t high = ts_smmlar(acc, f.multiplier, acc);
    return ts_ssat8((high + (high >> 31) + f.round) >> f.shift);
}

/* The same for any channel and clamp. */
static inline int8_t ts_finish_any(int32_t acc, ts_finish f, const ts_requant_dsp *q) {
    const int32_t x =
        f.shift > 0 ? ts_finish_int8(acc, f)
                    : ts_requantise(acc, (int32_t)((uint32_t)f.multiplier >> 1), -f.shift) + q->zero_point;
    return ts_clamp(x, q->low, q->high);
}

#endif
