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

/* `groups` times 4 bytes of a and of b, side by side as pairs of int16. Even groups: 16 instructions for 16 bytes. */
#if TS_DSP_ASM
#define GROUP(offset)                                                                                        \
    "ldr r12, [r0, #" #offset "]\n\t"                                                                        \
    "ldr lr, [r1, #" #offset "]\n\t"                                                                         \
    "sxtb16 r4, r12\n\t"                                                                                     \
    "sxtb16 r5, r12, ror #8\n\t"                                                                             \
    "sxtb16 r6, lr\n\t"                                                                                      \
    "sxtb16 r7, lr, ror #8\n\t"                                                                              \
    "stmia r3!, {r4, r5, r6, r7}\n\t"
__attribute__((naked)) static void widen_groups(UNUSED const int8_t *a, UNUSED const int8_t *b,
                                                UNUSED uint32_t groups, UNUSED uint32_t *to) {
    __asm__ volatile("push {r4-r7, lr}\n\t"
                     "lsrs r2, r2, #1\n\t" /* carry: an odd group */
                     "bcc 1f\n\t" GROUP(0) "adds r0, #4\n\t"
                                           "adds r1, #4\n\t"
                                           "1: cbz r2, 3f\n\t"
                                           "2:\n\t" GROUP(0) GROUP(4) "adds r0, #8\n\t"
                                                                      "adds r1, #8\n\t"
                                                                      "subs r2, #1\n\t"
                                                                      "bne 2b\n\t"
                                                                      "3: pop {r4-r7, pc}\n\t");
}
#else
static void widen_groups(const int8_t *a, const int8_t *b, uint32_t groups, uint32_t *to) {
    for (; groups > 0; groups--, a += 4, b += 4, to += 4) {
        to[0] = ts_sxtb16(ts_load4(a));
        to[1] = ts_sxtb16_odd(ts_load4(a));
        to[2] = ts_sxtb16(ts_load4(b));
        to[3] = ts_sxtb16_odd(ts_load4(b));
    }
}
#endif

void ts_widen(const int8_t *a, const int8_t *b, uint32_t channels, uint32_t *to) {
    const uint32_t whole = channels / 4;
    uint32_t *const end = to + ts_pair_words(channels);
    widen_groups(a, b, whole, to);
    to += 4 * whole;
    if (channels % 4 != 0) {
        int8_t rest[8] = {0};
        memcpy(rest, a + 4 * whole, channels % 4);
        memcpy(rest + 4, b + 4 * whole, channels % 4);
        widen_groups(rest, rest + 4, 1, to);
        to += 4;
    }
    if (to < end) {
        memset(to, 0, 4 * sizeof *to);
    }
}

/* Two outputs of pairs of pixels. The assembly below knows the offsets. */
typedef struct {
    const uint32_t *x;         /*  0: paired pixels */
    const uint32_t *w, *w_end; /*  4,  8: widened weights of the two outputs */
    uint32_t pairs;            /* 12: of pixels, >= 1 */
    int32_t bias[2];           /* 16 */
    int32_t multiplier[2];     /* 24 */
    int32_t round[2];          /* 32 */
    int32_t shift[2];          /* 40 */
    int8_t *to;                /* 48 */
    uint32_t channel_step;     /* 52 */
    uint32_t pixel_step;       /* 56 */
} block;

#if TS_DSP_ASM

/* r2, r3, r12, lr += products of 4 channels: pixel 0 with outputs 0, 1; pixel 1 with outputs 0, 1. */
#define PRODUCTS                                                                                             \
    "ldmia r0!, {r4, r5, r6, r7}\n\t"                                                                        \
    "ldmia r1!, {r8, r9, r10, r11}\n\t"                                                                      \
    "smlad r2, r4, r8, r2\n\t"                                                                               \
    "smlad r3, r4, r10, r3\n\t"                                                                              \
    "smlad r12, r6, r8, r12\n\t"                                                                             \
    "smlad lr, r6, r10, lr\n\t"                                                                              \
    "smlad r2, r5, r9, r2\n\t"                                                                               \
    "smlad r3, r5, r11, r3\n\t"                                                                              \
    "smlad r12, r7, r9, r12\n\t"                                                                             \
    "smlad lr, r7, r11, lr\n\t"

/* One instruction on each accumulator: those of output 0 with r5, of output 1 with r6. */
#define EACH(op) op(r2, r5) op(r3, r6) op(r12, r5) op(lr, r6)
#define MULTIPLY(acc, p) "smmlar " #acc ", " #acc ", " #p ", " #acc "\n\t"
#define SIGN(acc, p) "add " #acc ", " #acc ", " #acc ", asr #31\n\t"
#define ROUND(acc, p) "add " #acc ", " #acc ", " #p "\n\t"
#define SHIFT(acc, p) "asr " #acc ", " #acc ", " #p "\n\t"
#define SATURATE(acc, p) "ssat " #acc ", #8, " #acc "\n\t"

/* 23 instructions for 32 multiply-accumulates, and 42 for the four outputs' start, finish and store. */
__attribute__((naked)) static void run(UNUSED block *b) {
    __asm__ volatile("push {r4-r11, lr}\n\t"
                     "ldr r1, [r0, #8]\n\t"
                     "push {r0, r1}\n\t" /* sp: block, end of the weights */
                     "ldr r1, [r0, #4]\n\t"
                     "mov r4, r0\n\t"
                     "ldr r0, [r0]\n\t"
                     "1:\n\t"
                     "ldrd r2, r3, [r4, #16]\n\t"
                     "mov r12, r2\n\t"
                     "mov lr, r3\n\t"
                     "2:\n\t" PRODUCTS PRODUCTS "ldr r4, [sp, #4]\n\t"
                     "cmp r1, r4\n\t"
                     "bne 2b\n\t"
                     "ldr r4, [sp]\n\t"
                     "ldrd r5, r6, [r4, #24]\n\t" EACH(MULTIPLY) EACH(SIGN) "ldrd r5, r6, [r4, #32]\n\t" EACH(
                         ROUND) "ldrd r5, r6, [r4, #40]\n\t" EACH(SHIFT)
                         EACH(SATURATE) "ldrd r5, r6, [r4, #48]\n\t"
                                        "ldr r7, [r4, #56]\n\t"
                                        "strb r2, [r5]\n\t"
                                        "strb r3, [r5, r6]\n\t"
                                        "add r5, r7\n\t"
                                        "strb r12, [r5]\n\t"
                                        "strb lr, [r5, r6]\n\t"
                                        "add r5, r7\n\t"
                                        "ldr r7, [r4, #12]\n\t"
                                        "ldr r1, [r4, #4]\n\t"
                                        "str r5, [r4, #48]\n\t"
                                        "subs r7, #1\n\t"
                                        "str r7, [r4, #12]\n\t"
                                        "bne 1b\n\t"
                                        "add sp, #8\n\t"
                                        "pop {r4-r11, pc}\n\t");
}

#else

static void run(block *b) {
    const uint32_t *x = b->x;
    for (; b->pairs > 0; b->pairs--) {
        int32_t acc[4] = {b->bias[0], b->bias[1], b->bias[0], b->bias[1]};
        for (const uint32_t *w = b->w; w < b->w_end; w += 4, x += 4) {
            for (uint32_t i = 0; i < 2; i++) {
                acc[0] = ts_smlad(x[i], w[i], acc[0]);
                acc[1] = ts_smlad(x[i], w[i + 2], acc[1]);
                acc[2] = ts_smlad(x[i + 2], w[i], acc[2]);
                acc[3] = ts_smlad(x[i + 2], w[i + 2], acc[3]);
            }
        }
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t o = i % 2;
            const ts_finish f = {b->multiplier[o], b->round[o], b->shift[o], 0, INT8_MIN, INT8_MAX};
            b->to[i / 2 * b->pixel_step + o * b->channel_step] = (int8_t)ts_finish_int8(acc[i], f);
        }
        b->to += 2 * b->pixel_step;
    }
}

#endif

/* One output of every pixel, whatever its clamp and shift. */
static void any_output(const uint32_t *w, const uint32_t *w_end, ts_finish f, int32_t bias, const uint32_t *x,
                       uint32_t pixels, int8_t *to, uint32_t pixel_step) {
    const uint32_t words = (uint32_t)(w_end - w);
    for (uint32_t p = 0; p < pixels; p++, to += pixel_step) {
        const uint32_t *pixel = x + p / 2 * words + p % 2 * 2;
        int32_t acc = bias;
        for (uint32_t i = 0; i < words; i += 4) {
            acc = ts_smlad(pixel[i], w[i], acc);
            acc = ts_smlad(pixel[i + 1], w[i + 1], acc);
        }
        *to = (int8_t)ts_finish_any(acc, f);
    }
}

/* Outputs o and o + 1, by the short way. An odd last pixel goes through a buffer, as its pair is no pixel. */
static void two_outputs(block b, const ts_finish f[2], uint32_t pixels, uint32_t words, ts_store store) {
    for (uint32_t i = 0; i < 2; i++) {
        b.multiplier[i] = f[i].multiplier;
        b.round[i] = f[i].round;
        b.shift[i] = f[i].shift;
    }
    b.channel_step = store.channel_step;
    b.pixel_step = store.pixel_step;
    b.pairs = pixels / 2;
    if (b.pairs > 0) {
        run(&b);
    }
    if (pixels % 2 != 0) {
        int8_t last[4];
        int8_t *to = b.to;
        b.x += pixels / 2 * words;
        b.pairs = 1;
        b.to = last;
        b.channel_step = 1;
        b.pixel_step = 2;
        run(&b);
        to[0] = last[0];
        to[store.channel_step] = last[1];
    }
}

void ts_matmul(const int8_t *weights, const ts_requant *q, uint32_t channels, uint32_t outputs,
               const uint32_t *paired, uint32_t pixels, uint32_t *widened, ts_store store) {
    const uint32_t words = ts_pair_words(channels);
    for (uint32_t o = 0; o < outputs; o += 2) {
        const uint32_t second = o + 1 < outputs ? 1 : 0;
        const ts_finish f[2] = {ts_finish_of(q, o), ts_finish_of(q, o + second)};
        int8_t *to = store.base + o * store.channel_step;
        ts_widen(weights + o * channels, weights + (o + second) * channels, channels, widened);
        if (second && ts_finish_is_short(f[0]) && ts_finish_is_short(f[1])) {
            const block b = {.x = paired,
                             .w = widened,
                             .w_end = widened + words,
                             .bias = {q->bias[o], q->bias[o + 1]},
                             .to = to};
            two_outputs(b, f, pixels, words, store);
            continue;
        }
        for (uint32_t i = 0; i <= second; i++) {
            any_output(widened + 2 * i, widened + 2 * i + words, f[i], q->bias[o + i], paired, pixels,
                       to + i * store.channel_step, store.pixel_step);
        }
    }
}
