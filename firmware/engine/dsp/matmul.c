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

/* Two outputs of some pixels. The assembly below knows the offsets. */
typedef struct {
    const uint32_t *x;         /*  0: paired pixels */
    const uint32_t *w, *w_end; /*  4,  8: widened weights of the two outputs */
    const ts_channel *q;       /* 12: of the two outputs */
    int32_t round;             /* 16: 2 * zero_point + 1 */
    int8_t *to;                /* 20: first pixel's first output */
    uint32_t channel_step;     /* 24 */
    uint32_t pixel_step;       /* 28 */
    uint32_t pixels;           /* 32: >= 1 */
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

/* Stack: 0 bias, 8 multiplier, 16 round, 24 shift, of two outputs each; 32 weights, 36 their end, 40 to,
 * 44 channel step, 48 pixel step, 52 pixels left. 23 instructions for 32 multiply-accumulates, and 42 for the start,
 * finish and store of four outputs. The second pixel is stored first: of an odd last one only the first stays. */
__attribute__((naked)) static void run(UNUSED const block *b) {
    __asm__ volatile("push {r4-r11, lr}\n\t"
                     "sub sp, #60\n\t"
                     "ldm r0, {r0, r1, r2, r3, r4, r5, r6, r7, r8}\n\t"
                     "strd r1, r2, [sp, #32]\n\t"
                     "strd r5, r6, [sp, #40]\n\t"
                     "strd r7, r8, [sp, #48]\n\t"
                     "ldm r3, {r5, r6, r7, r8}\n\t"
                     "strd r5, r7, [sp, #8]\n\t"
                     "asr r9, r6, #5\n\t"
                     "asr r10, r8, #5\n\t"
                     "strd r9, r10, [sp]\n\t"
                     "and r6, #31\n\t"
                     "and r8, #31\n\t"
                     "strd r6, r8, [sp, #24]\n\t"
                     "sub r6, #1\n\t"
                     "sub r8, #1\n\t"
                     "lsl r6, r4, r6\n\t"
                     "lsl r8, r4, r8\n\t"
                     "strd r6, r8, [sp, #16]\n\t"
                     "1:\n\t"
                     "ldrd r2, r3, [sp]\n\t"
                     "ldr r1, [sp, #32]\n\t"
                     "mov r12, r2\n\t"
                     "mov lr, r3\n\t"
                     "2:\n\t" PRODUCTS PRODUCTS "ldr r4, [sp, #36]\n\t"
                     "cmp r1, r4\n\t"
                     "bne 2b\n\t"
                     "ldrd r5, r6, [sp, #8]\n\t" EACH(MULTIPLY) EACH(SIGN) "ldrd r5, r6, [sp, #16]\n\t" EACH(
                         ROUND) "ldrd r5, r6, [sp, #24]\n\t" EACH(SHIFT)
                         EACH(SATURATE) "ldrd r5, r6, [sp, #40]\n\t"
                                        "ldrd r7, r8, [sp, #48]\n\t"
                                        "subs r8, #2\n\t"
                                        "it mi\n\t"
                                        "movmi r7, #0\n\t"
                                        "add r9, r5, r7\n\t"
                                        "strb r12, [r9]\n\t"
                                        "strb lr, [r9, r6]\n\t"
                                        "strb r2, [r5]\n\t"
                                        "strb r3, [r5, r6]\n\t"
                                        "add r9, r7\n\t"
                                        "str r9, [sp, #40]\n\t"
                                        "str r8, [sp, #52]\n\t"
                                        "bgt 1b\n\t"
                                        "add sp, #60\n\t"
                                        "pop {r4-r11, pc}\n\t");
}

#else

static void run(const block *b) {
    const uint32_t *x = b->x;
    for (uint32_t pixel = 0; pixel < b->pixels; pixel += 2) {
        int32_t acc[2][2] = {{0}}; /* pixel, output */
        for (const uint32_t *w = b->w; w < b->w_end; w += 4, x += 4) {
            for (uint32_t i = 0; i < 8; i++) {
                const uint32_t p = i / 4, o = i / 2 % 2, word = i % 2;
                acc[p][o] = ts_smlad(x[2 * p + word], w[2 * o + word], acc[p][o]);
            }
        }
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t p = i / 2, o = i % 2;
            const int32_t s = ts_shift_of(b->q[o]);
            const ts_finish f = {b->q[o].multiplier, b->round * (1 << (s - 1)), s};
            if (pixel + p < b->pixels) {
                b->to[(pixel + p) * b->pixel_step + o * b->channel_step] =
                    (int8_t)ts_finish_int8(acc[p][o] + ts_bias_of(b->q[o]), f);
            }
        }
    }
}

#endif

/* One output of every pixel, whatever its clamp and shift. w: every other pair of words of the widened weights. */
static void any_output(const block *b, const uint32_t *w, const ts_requant_dsp *q, uint32_t channel,
                       int8_t *to) {
    const ts_finish f = ts_finish_of(q, channel);
    const uint32_t words = (uint32_t)(b->w_end - b->w);
    for (uint32_t p = 0; p < b->pixels; p++, to += b->pixel_step) {
        const uint32_t *pixel = b->x + p / 2 * words + p % 2 * 2;
        int32_t acc = ts_bias_of(q->channels[channel]);
        for (uint32_t i = 0; i < words; i += 4) {
            acc = ts_smlad(pixel[i], w[i], acc);
            acc = ts_smlad(pixel[i + 1], w[i + 1], acc);
        }
        *to = ts_finish_any(acc, f, q);
    }
}

void ts_matmul(const int8_t *weights, const ts_requant_dsp *q, uint32_t channels, uint32_t outputs,
               const uint32_t *paired, uint32_t pixels, uint32_t *widened, ts_store store) {
    block b = {.x = paired,
               .w = widened,
               .w_end = widened + ts_pair_words(channels),
               .round = 2 * q->zero_point + 1,
               .to = store.base,
               .channel_step = store.channel_step,
               .pixel_step = store.pixel_step,
               .pixels = pixels};
    for (uint32_t o = 0; o < outputs; o += 2) {
        const uint32_t both = o + 1 < outputs ? 1 : 0;
        ts_widen(weights, weights + both * channels, channels, widened);
        weights += 2 * channels;
        b.q = q->channels + o;
        if (both && q->is_short) {
            run(&b);
        } else {
            any_output(&b, widened, q, o, b.to);
            if (both) {
                any_output(&b, widened + 2, q, o + 1, b.to + b.channel_step);
            }
        }
        b.to += 2 * b.channel_step;
    }
}
