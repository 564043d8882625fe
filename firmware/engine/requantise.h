/* TFLite's fixed-point rescaling, to the last bit. */
#ifndef REQUANTISE_H
#define REQUANTISE_H

#include <stdint.h>

/* round(x * multiplier * 2^(shift - 31)) as TFLite's MultiplyByQuantizedMultiplier rounds it: a doubling high
 * multiply that rounds half up, then a right shift that rounds half away from zero.
 * |multiplier|: 0 or in [2^30, 2^31] (negative where a filter's scale is); shift: -31..30, positive to the
 * left (the shifted x wraps, as there). */
static inline int32_t ts_requantise(int32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int64_t product = (int64_t)(int32_t)((uint32_t)x << left) * multiplier;
    const int32_t high = (int32_t)((product + (INT64_C(1) << 30)) >> 31);
    const int32_t mask = (int32_t)((UINT32_C(1) << right) - 1u);
    const int32_t threshold = (mask >> 1) + (high < 0);
    return (high >> right) + ((high & mask) > threshold);
}

static inline int8_t ts_clamp(int32_t x, int32_t low, int32_t high) {
    return (int8_t)(x < low ? low : x > high ? high : x);
}

#endif
