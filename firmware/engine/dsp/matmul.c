#include "matmul.h"

ts_store ts_store_row(int8_t *row, const ts_tensor *out, const ts_planar *planar, uint32_t first) {
    ts_store store = {row + first * out->channels, out->channels, 1};
    if (planar->used) {
        if (first == 0) {
            memset(row, planar->zero_point, out->row_bytes);
        }
        store.base = row + planar->margin + first;
        store.pixel_step = 1;
        store.channel_step = (uint32_t)out->width + planar->margin;
    }
    return store;
}

/* Bytes that are there of 4, the others 0. */
static uint32_t load_some(const int8_t *at, uint32_t there) {
    uint32_t word = 0;
    memcpy(&word, at, there < 4 ? there : 4);
    return word;
}

void ts_widen(const int8_t *src, uint32_t stride, uint32_t channels, uint32_t pixels, uint32_t *paired) {
    const uint32_t whole = channels / 4;
    for (uint32_t p = 0; p < pixels; p += 2, src += 2 * stride) {
        const int8_t *second = p + 1 < pixels ? src + stride : src;
        uint32_t *to = paired;
        for (uint32_t g = 0; g < whole; g++, to += 4) {
            const uint32_t a = ts_load4(src + 4 * g);
            const uint32_t b = ts_load4(second + 4 * g);
            to[0] = ts_sxtb16(a);
            to[1] = ts_sxtb16_odd(a);
            to[2] = ts_sxtb16(b);
            to[3] = ts_sxtb16_odd(b);
        }
        paired += ts_pair_words(channels);
        for (uint32_t c = 4 * whole; to < paired; c += 4, to += 4) {
            const uint32_t there = c < channels ? channels - c : 0;
            const uint32_t a = load_some(src + c, there);
            const uint32_t b = load_some(second + c, there);
            to[0] = ts_sxtb16(a);
            to[1] = ts_sxtb16_odd(a);
            to[2] = ts_sxtb16(b);
            to[3] = ts_sxtb16_odd(b);
        }
    }
}

/* Weights of two outputs; returns where the next two begin. */
static const int8_t *widen_weights(const int8_t *packed, uint32_t groups, uint32_t *to) {
    uint32_t g = 0;
    for (; g < groups; g++, packed += 8, to += 4) {
        const uint32_t a = ts_load4(packed);
        const uint32_t b = ts_load4(packed + 4);
        to[0] = ts_sxtb16(a);
        to[1] = ts_sxtb16_odd(a);
        to[2] = ts_sxtb16(b);
        to[3] = ts_sxtb16_odd(b);
    }
    if (groups % 2 != 0) {
        memset(to, 0, 4 * sizeof *to);
    }
    return packed;
}

/* acc[p][o] += sum over double_groups * 8 channels. 24 instructions for 32 multiply-accumulates. */
static inline void accumulate(const uint32_t *x, const uint32_t *w, uint32_t double_groups, int32_t acc[4]) {
#if TS_DSP_ASM
    int32_t a00 = acc[0], a01 = acc[1], a10 = acc[2], a11 = acc[3];
    __asm__ volatile("1:\n\t"
                     "ldmia %[x]!, {r4, r5, r6, r7}\n\t"
                     "ldmia %[w]!, {r8, r9, r10, r11}\n\t"
                     "smlad %[a00], r4, r8, %[a00]\n\t"
                     "smlad %[a01], r4, r10, %[a01]\n\t"
                     "smlad %[a10], r6, r8, %[a10]\n\t"
                     "smlad %[a11], r6, r10, %[a11]\n\t"
                     "smlad %[a00], r5, r9, %[a00]\n\t"
                     "smlad %[a01], r5, r11, %[a01]\n\t"
                     "smlad %[a10], r7, r9, %[a10]\n\t"
                     "smlad %[a11], r7, r11, %[a11]\n\t"
                     "ldmia %[x]!, {r4, r5, r6, r7}\n\t"
                     "ldmia %[w]!, {r8, r9, r10, r11}\n\t"
                     "smlad %[a00], r4, r8, %[a00]\n\t"
                     "smlad %[a01], r4, r10, %[a01]\n\t"
                     "smlad %[a10], r6, r8, %[a10]\n\t"
                     "smlad %[a11], r6, r10, %[a11]\n\t"
                     "smlad %[a00], r5, r9, %[a00]\n\t"
                     "smlad %[a01], r5, r11, %[a01]\n\t"
                     "smlad %[a10], r7, r9, %[a10]\n\t"
                     "smlad %[a11], r7, r11, %[a11]\n\t"
                     "ldr r4, %[n]\n\t"
                     "subs r4, #1\n\t"
                     "str r4, %[n]\n\t"
                     "bne 1b"
                     : [x] "+r"(x), [w] "+r"(w), [a00] "+r"(a00), [a01] "+r"(a01), [a10] "+r"(a10),
                       [a11] "+r"(a11), [n] "+m"(double_groups)
                     :
                     : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "cc", "memory");
    acc[0] = a00;
    acc[1] = a01;
    acc[2] = a10;
    acc[3] = a11;
#else
    for (uint32_t i = 0; i < 4 * double_groups; i++) {
        const uint32_t at = i / 2 * 4 + i % 2;
        acc[0] = ts_smlad(x[at], w[at], acc[0]);
        acc[1] = ts_smlad(x[at], w[at + 2], acc[1]);
        acc[2] = ts_smlad(x[at + 2], w[at], acc[2]);
        acc[3] = ts_smlad(x[at + 2], w[at + 2], acc[3]);
    }
#endif
}

/* Two outputs of every pixel. second: the other output exists. */
static void two_outputs(const uint32_t *widened, const ts_requant *q, uint32_t o, int second,
                        const uint32_t *paired, uint32_t words, uint32_t pixels, ts_store store) {
    const ts_finish f0 = ts_finish_of(q, o), f1 = ts_finish_of(q, o + (second ? 1 : 0));
    const int32_t bias0 = q->bias[o], bias1 = q->bias[o + (second ? 1 : 0)];
    const int more = ts_clamps_more(q);
    int8_t *to = store.base + o * store.channel_step;
    for (uint32_t p = 0; p < pixels; p += 2, paired += words) {
        int32_t acc[4] = {bias0, bias1, bias0, bias1};
        accumulate(paired, widened, words / 8, acc);
        int32_t v00 = ts_finish_int8(acc[0], f0), v01 = ts_finish_int8(acc[1], f1);
        int32_t v10 = ts_finish_int8(acc[2], f0), v11 = ts_finish_int8(acc[3], f1);
        if (more) {
            v00 = ts_clamp_more(q, v00);
            v01 = ts_clamp_more(q, v01);
            v10 = ts_clamp_more(q, v10);
            v11 = ts_clamp_more(q, v11);
        }
        to[0] = (int8_t)v00;
        if (second) {
            to[store.channel_step] = (int8_t)v01;
        }
        if (p + 1 < pixels) {
            to += store.pixel_step;
            to[0] = (int8_t)v10;
            if (second) {
                to[store.channel_step] = (int8_t)v11;
            }
            to += store.pixel_step;
        }
    }
}

void ts_matmul(const int8_t *packed, const ts_requant *q, uint32_t channels, uint32_t outputs,
               const uint32_t *paired, uint32_t pixels, uint32_t *widened, ts_store store) {
    const uint32_t words = ts_pair_words(channels);
    for (uint32_t o = 0; o < outputs; o += 2) {
        packed = widen_weights(packed, (channels + 3) / 4, widened);
        two_outputs(widened, q, o, o + 1 < outputs, paired, words, pixels, store);
    }
}
