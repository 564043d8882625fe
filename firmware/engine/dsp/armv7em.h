/* The ARMv7E-M instructions that the DSP kernels use, and the same operations in C for other processors, so
 * that the kernels' logic is tested (and sanitised) on the host. Names and meanings: ARMv7-M Architecture
 * Reference Manual, A7. A halfword pair is a uint32_t: low half first. */
#ifndef ARMV7EM_H
#define ARMV7EM_H

#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_7EM__)
#define TS_DSP_ASM 1
#else
#define TS_DSP_ASM 0
#endif

#define UNUSED __attribute__((unused)) /* arguments of naked functions */

/* Four bytes from any address; one LDR on ARMv7-M, which loads unaligned words. */
static inline uint32_t ts_load4(const void *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline int32_t ts_low(uint32_t pair) {
    return (int16_t)(pair & 0xFFFFu);
}

static inline int32_t ts_high(uint32_t pair) {
    return (int16_t)(pair >> 16);
}

/* Bytes 0 and 2 of a word as a pair of int16. */
static inline uint32_t ts_sxtb16(uint32_t bytes) {
#if TS_DSP_ASM
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(bytes));
    return pair;
#else
    return (uint32_t)(uint16_t)(int8_t)(bytes & 0xFFu) | (uint32_t)(uint16_t)(int8_t)(bytes >> 16 & 0xFFu)
                                                             << 16;
#endif
}

/* Bytes 1 and 3. */
static inline uint32_t ts_sxtb16_odd(uint32_t bytes) {
#if TS_DSP_ASM
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
    return pair;
#else
    return ts_sxtb16(bytes >> 8);
#endif
}

/* acc + low * low + high * high. */
static inline int32_t ts_smlad(uint32_t a, uint32_t b, int32_t acc) {
#if TS_DSP_ASM
    __asm__("smlad %0, %1, %2, %0" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
#else
    return acc + ts_low(a) * ts_low(b) + ts_high(a) * ts_high(b);
#endif
}

/* High word of a * b, rounded: (a * b + 2^31) >> 32. */
static inline int32_t ts_smmulr(int32_t a, int32_t b) {
#if TS_DSP_ASM
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
#else
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
#endif
}

/* acc + high word of a * b, rounded: (acc * 2^32 + a * b + 2^31) >> 32. */
static inline int32_t ts_smmlar(int32_t a, int32_t b, int32_t acc) {
#if TS_DSP_ASM
    int32_t high;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(high) : "r"(a), "r"(b), "r"(acc));
    return high;
#else
    return acc + ts_smmulr(a, b);
#endif
}

/* acc + the sum of four bytes, taken as unsigned. */
static inline uint32_t ts_usada8(uint32_t bytes, uint32_t acc) {
#if TS_DSP_ASM
    uint32_t sum;
    __asm__("usada8 %0, %1, %2, %3" : "=r"(sum) : "r"(bytes), "r"(0), "r"(acc));
    return sum;
#else
    return acc + (bytes & 0xFFu) + (bytes >> 8 & 0xFFu) + (bytes >> 16 & 0xFFu) + (bytes >> 24);
#endif
}

static inline int32_t ts_ssat8(int32_t x) {
#if TS_DSP_ASM
    __asm__("ssat %0, #8, %0" : "+r"(x));
    return x;
#else
    return x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x;
#endif
}

#endif
