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

/* Some outputs, two at a time, of some pixels. The assembly below knows the offsets. */
typedef struct {
    const uint32_t *x;     /*  0: paired pixels */
    uint32_t *w, *w_end;   /*  4,  8: room for the widened weights of two outputs */
    const ts_channel *q;   /* 12: of the first output */
    int32_t round;         /* 16: 2 * zero_point + 1 */
    int8_t *to;            /* 20: first pixel's first output */
    uint32_t channel_step; /* 24 */
    uint32_t pixel_step;   /* 28 */
    uint32_t pixels;       /* 32: >= 1 */
    uint32_t twos;         /* 36: outputs / 2, >= 1 */
    const int8_t *weights; /* 40: of the first output */
    uint32_t row_bytes;    /* 44: of weights, from output to output */
    uint32_t groups;       /* 48: times 4 weights to widen; 0: w holds them already */
    uint32_t channels;     /* 52: weights of an output */
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
/* The same for pixel 0 alone, which lies beside what is no pixel. */
#define PRODUCTS_OF_ONE                                                                                      \
    "ldrd r4, r5, [r0], #16\n\t"                                                                             \
    "ldmia r1!, {r8, r9, r10, r11}\n\t"                                                                      \
    "smlad r2, r4, r8, r2\n\t"                                                                               \
    "smlad r3, r4, r10, r3\n\t"                                                                              \
    "smlad r2, r5, r9, r2\n\t"                                                                               \
    "smlad r3, r5, r11, r3\n\t"
#define OF_ONE(op) op(r2, r5) op(r3, r6)
#define MULTIPLY(acc, p) "smmlar " #acc ", " #acc ", " #p ", " #acc "\n\t"
#define SIGN(acc, p) "add " #acc ", " #acc ", " #acc ", asr #31\n\t"
#define ROUND(acc, p) "add " #acc ", " #acc ", " #p "\n\t"
#define SHIFT(acc, p) "asr " #acc ", " #acc ", " #p "\n\t"
#define SATURATE(acc, p) "ssat " #acc ", #8, " #acc "\n\t"

/* Stack: 0 bias, 8 multiplier, 16 round, 24 shift, of two outputs each; 32 weights, 36 their end, 40 to,
 * 44 channel step, 48 pixel step, 52 pixels left - 2; 56 block. 23 instructions for 32 multiply-accumulates, 40 for the
 * start, finish and store of four outputs, 8 to widen 8 weights, 38 for each two outputs. */
__attribute__((naked)) static void run(UNUSED block *b) {
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, #60\n\t"
        "str r0, [sp, #56]\n\t"
        "mov r12, r0\n\t"
        "3:\n\t" /* two outputs; r12: block */
        "ldrd r4, r5, [r12, #40]\n\t"
        "ldr r2, [r12, #48]\n\t"
        "ldr r3, [r12, #4]\n\t"
        "add r1, r4, r5\n\t"
        "mov r0, r4\n\t"
        "add r4, r1, r5\n\t"
        "str r4, [r12, #40]\n\t"
        "lsrs r2, r2, #1\n\t" /* carry: an odd group */
        "bcc 4f\n\t" GROUP(
            0) "adds r0, #4\n\t"
               "adds r1, #4\n\t"
               "4: cbz r2, 6f\n\t"
               "5:\n\t" GROUP(0) GROUP(
                   4) "adds r0, #8\n\t"
                      "adds r1, #8\n\t"
                      "subs r2, #1\n\t"
                      "bne 5b\n\t"
                      "6: ldr r12, [sp, #56]\n\t"
                      "ldm r12, {r0, r1, r2, r3, r4, r5, r6, r7, r8}\n\t"
                      "sub r8, #2\n\t"
                      "strd r1, r2, [sp, #32]\n\t"
                      "strd r5, r6, [sp, #40]\n\t"
                      "strd r7, r8, [sp, #48]\n\t"
                      "add r5, r5, r6, lsl #1\n\t"
                      "str r5, [r12, #20]\n\t"
                      "mov r9, r8\n\t"
                      "ldmia r3!, {r5, r6, r7, r8}\n\t"
                      "str r3, [r12, #12]\n\t"
                      "strd r5, r7, [sp, #8]\n\t"
                      "asr r10, r6, #5\n\t"
                      "asr r11, r8, #5\n\t"
                      "strd r10, r11, [sp]\n\t"
                      "and r6, #31\n\t"
                      "and r8, #31\n\t"
                      "strd r6, r8, [sp, #24]\n\t"
                      "sub r6, #1\n\t"
                      "sub r8, #1\n\t"
                      "lsl r6, r4, r6\n\t"
                      "lsl r8, r4, r8\n\t"
                      "strd r6, r8, [sp, #16]\n\t"
                      "cmp r9, #0\n\t"
                      "blt 7f\n\t"
                      "1:\n\t" /* two pixels */
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
                                         "strb r2, [r5]\n\t"
                                         "strb r3, [r5, r6]\n\t"
                                         "add r5, r7\n\t"
                                         "strb r12, [r5]\n\t"
                                         "strb lr, [r5, r6]\n\t"
                                         "add r5, r7\n\t"
                                         "subs r8, #2\n\t"
                                         "str r5, [sp, #40]\n\t"
                                         "str r8, [sp, #52]\n\t"
                                         "bge 1b\n\t"
                                         "adds r8, #1\n\t"
                                         "bne 9f\n\t"
                                         "7:\n\t" /* an odd last pixel */
                                         "ldrd r2, r3, [sp]\n\t"
                                         "ldr r1, [sp, #32]\n\t"
                                         "8:\n\t" PRODUCTS_OF_ONE PRODUCTS_OF_ONE "ldr r4, [sp, #36]\n\t"
                                         "cmp r1, r4\n\t"
                                         "bne 8b\n\t"
                                         "ldrd r5, r6, [sp, #8]\n\t" OF_ONE(MULTIPLY)
                                             OF_ONE(SIGN) "ldrd r5, r6, [sp, #16]\n\t" OF_ONE(
                                                 ROUND) "ldrd r5, r6, [sp, #24]\n\t" OF_ONE(SHIFT)
                                                 OF_ONE(SATURATE) "ldrd r5, r6, [sp, #40]\n\t"
                                                                  "strb r2, [r5]\n\t"
                                                                  "strb r3, [r5, r6]\n\t"
                                                                  "9: ldr r12, [sp, #56]\n\t"
                                                                  "ldr r4, [r12, #36]\n\t"
                                                                  "subs r4, #1\n\t"
                                                                  "str r4, [r12, #36]\n\t"
                                                                  "bne.w 3b\n\t"
                                                                  "add sp, #60\n\t"
                                                                  "pop {r4-r11, pc}\n\t");
}

#else

static void two_outputs(const block *b) {
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

static void run(block *b) {
    for (; b->twos > 0; b->twos--, b->q += 2, b->to += 2 * b->channel_step, b->weights += 2 * b->row_bytes) {
        widen_groups(b->weights, b->weights + b->row_bytes, b->groups, b->w);
        two_outputs(b);
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

/* Outputs from `first` on that the short way or the assembly's widening does not do. */
static void one_by_one(block b, const ts_requant_dsp *q, uint32_t first, uint32_t outputs) {
    for (uint32_t o = first; o < outputs; o += 2) {
        const uint32_t both = o + 1 < outputs ? 1 : 0;
        ts_widen(b.weights, b.weights + both * b.row_bytes, b.channels, b.w);
        if (both && q->is_short) {
            b.twos = 1;
            b.groups = 0;
            run(&b); /* moves on to the next two */
            continue;
        }
        any_output(&b, b.w, q, o, b.to);
        if (both) {
            any_output(&b, b.w + 2, q, o + 1, b.to + b.channel_step);
        }
        b.q += 2;
        b.to += 2 * b.channel_step;
        b.weights += 2 * b.row_bytes;
    }
}

void ts_matmul(const int8_t *weights, uint32_t row_bytes, const ts_requant_dsp *q, uint32_t channels,
               uint32_t outputs, const uint32_t *paired, uint32_t pixels, uint32_t *widened, ts_store store) {
    block b = {.x = paired,
               .w = widened,
               .w_end = widened + ts_pair_words(channels),
               .q = q->channels,
               .round = 2 * q->zero_point + 1,
               .to = store.base,
               .channel_step = store.channel_step,
               .pixel_step = store.pixel_step,
               .pixels = pixels,
               .twos = outputs / 2,
               .weights = weights,
               .row_bytes = row_bytes,
               .channels = channels,
               .groups = channels / 4};
    uint32_t done = 0;
    if (q->is_short && channels % 4 == 0 && b.twos > 0) {
        memset(b.w_end - 4, 0, 4 * sizeof *b.w); /* what pads an odd number of groups */
        run(&b);
        done = outputs / 2 * 2;
    }
    one_by_one(b, q, done, outputs);
}
