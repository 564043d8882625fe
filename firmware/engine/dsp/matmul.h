/* The matrix product that pointwise and general convolutions share, on ARMv7E-M.
 *
 * Pixels are widened to int16 and *paired*: for each group of 4 channels the words
 *   p0: (c0, c2) (c1, c3)   p1: (c0, c2) (c1, c3)
 * one LDM. Weights of two outputs are widened the same way, once a row:
 *   o0: (c0, c2) (c1, c3)   o1: (c0, c2) (c1, c3)
 * so 8 SMLAD do 16 multiply-accumulates. An odd number of groups is padded with weights of zero.
 */
#ifndef MATMUL_H
#define MATMUL_H

#include "finish.h"

/* Where an output value goes: base + pixel * pixel_step + channel * channel_step. */
typedef struct ts_store {
    int8_t *base;
    uint32_t pixel_step, channel_step;
} ts_store;

/* Stores to a map's row from pixel `first` on; fills the margins of a planar one at its first pixel. */
ts_store ts_store_row(int8_t *row, const ts_tensor *out, const ts_planar *planar, uint32_t first);

/* Where a channel of a pair's first pixel lies among its halfwords; of the second, 4 further. */
static inline uint32_t ts_pair_place(uint32_t channel) {
    return channel / 4 * 8 + (channel & 1u) * 2 + (channel >> 1 & 1u);
}

/* Words of a pair of pixels, or of the widened weights of two outputs: 4 a group, groups made even. */
static inline uint32_t ts_pair_words(uint32_t channels) {
    return (channels + 7) / 8 * 8;
}

/* Widens `channels` values of two pixels, or of two outputs' weights, into ts_pair_words() words. What pads them
 * is 0. */
void ts_widen(const int8_t *a, const int8_t *b, uint32_t channels, uint32_t *to);

/* For every output: store(sum over `channels` of paired pixel * weight + bias, requantised).
 * weights: [output][channel], those of an output row_bytes behind those of the one before. widened: room for ts_pair_words(channels) words. */
void ts_matmul(const int8_t *weights, uint32_t row_bytes, const ts_requant_dsp *q, uint32_t channels,
               uint32_t outputs, const uint32_t *paired, uint32_t pixels, uint32_t *widened, ts_store store);

#endif
