/* Requantisation of the DSP kernels: requantise.h's result in five instructions.
 *
 * For 1 <= s = -shift <= 22, |acc| < 2^30 and a multiplier m in [2^30, 2^31) (the compiler sees to that):
 *   high = (acc * m + 2^30) >> 31       is SMMLAR(acc, 2m - 2^32, acc); 2m - 2^32 is what the tables hold
 *   rounding shift, halves away from 0  is (high + (high >> 31) + 2^(s-1)) >> s
 *   + zero point                        goes into the rounding constant: + zero_point * 2^s before the shift
 * A channel with a shift of 0 or above, rare, is left to ts_requantise().
 */
#ifndef FINISH_H
#define FINISH_H

#include "../requantise.h"
#include "../stages.h"
#include "armv7em.h"

typedef struct ts_finish {
    int32_t multiplier; /* 2m - 2^32 */
    int32_t round;      /* 2^(s-1) + zero_point * 2^s */
    int32_t shift;      /* s; 0 or below: not by the short way */
    int16_t zero_point;
    int8_t low, high;
} ts_finish;

static inline ts_finish ts_finish_of(const ts_requant *q, uint32_t channel) {
    const int32_t s = -q->shift[channel];
    const int32_t round = s > 0 ? (1 << (s - 1)) + q->zero_point * (1 << s) : 0;
    const ts_finish f = {q->multiplier[channel], round, s, q->zero_point, q->low, q->high};
    return f;
}

/* clamp(requantise(acc) + zero point, -128, 127), by the short way. */
static inline int32_t ts_finish_int8(int32_t acc, ts_finish f) {
    const int32_t high = ts_smmlar(acc, f.multiplier, acc);
    return ts_ssat8((high + (high >> 31) + f.round) >> f.shift);
}

/* Whether ts_finish_int8() is all there is to do: no narrower clamp, no rare shift. */
static inline int ts_finish_is_short(ts_finish f) {
    return f.shift > 0 && f.low == INT8_MIN && f.high == INT8_MAX;
}

/* The same for any channel and clamp. */
static inline int32_t ts_finish_any(int32_t acc, ts_finish f) {
    const int32_t x =
        f.shift > 0 ? ts_finish_int8(acc, f)
                    : ts_requantise(acc, (int32_t)((uint32_t)f.multiplier >> 1), -f.shift) + f.zero_point;
    return ts_clamp(x, f.low, f.high);
}

#endif
