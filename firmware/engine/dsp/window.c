#include "window.h"

#include "armv7em.h"
#include "finish.h"
#include "matmul.h"

/* The assembly keeps the taps of a row in registers, as pairs that fit the pairs SXTB16 makes of four pixels:
 *
 *   even (x0, x2)  odd (x1, x3)      of each word of pixels, in r12 and lr
 *   A (w0, w2)  B (w1, w3)  C (w2, w4)  D (w4, w6)  E (w3, w5)
 *
 * A product of two neighbours in a pair is SMLAD, one half alone SMLA<half of x><half of w>. Four accumulators,
 * r8-r11, are loaded and stored by one LDM and STM. r0 acc, r1 x, r3 quads left; r7 the run between rows.
 */

#if TS_DSP_ASM

#define WINDOW(name) __attribute__((naked)) static void name(UNUSED ts_window_run *run)

/* A channel begins: acc = bias + start. */
#define ENTER                                                                                                \
    "push {r0, r4-r11, lr}\n\t"                                                                              \
    "mov r7, r0\n\t"                                                                                         \
    "3:\n\t"                                                                                                 \
    "ldr r4, [r7, #32]\n\t"                                                                                  \
    "ldrd r5, r6, [r7, #60]\n\t"                                                                             \
    "ldr r8, [r4, #4]\n\t"                                                                                   \
    "ldr r9, [r5]\n\t"                                                                                       \
    "add r5, r6\n\t"                                                                                         \
    "str r5, [r7, #60]\n\t"                                                                                  \
    "add r8, r9, r8, asr #5\n\t"                                                                             \
    "ldrd r12, r3, [r7]\n\t"                                                                                 \
    "ldr r4, [r7, #8]\n\t"                                                                                   \
    "mov r9, r8\n\t"                                                                                         \
    "mov r10, r8\n\t"                                                                                        \
    "mov r11, r8\n\t"                                                                                        \
    "0: stmia r12!, {r8, r9, r10, r11}\n\t"                                                                  \
    "subs r3, #1\n\t"                                                                                        \
    "bne 0b\n\t"
/* r4: where the next row's pointer is */
#define NEXT_ROW                                                                                             \
    "2:\n\t"                                                                                                 \
    "ldrd r5, r2, [r7, #16]\n\t"                                                                             \
    "ldr r1, [r4], #4\n\t"                                                                                   \
    "ldr r6, [r7, #12]\n\t"                                                                                  \
    "add r6, r2\n\t"                                                                                         \
    "str r4, [r7, #76]\n\t"                                                                                  \
    "str r6, [r7, #20]\n\t"                                                                                  \
    "add r1, r5\n\t"                                                                                         \
    "ldrd r0, r3, [r7]\n\t"
#define LOOP "1:\n\tldm r0, {r8, r9, r10, r11}\n\t"
#define KEEP "stmia r0!, {r8, r9, r10, r11}\n\t"
/* One output in r12, another in lr: finish.h with multiplier r5, round r2, shift r6. */
#define FINISH_TWO                                                                                           \
    "ldr r12, [r0, #4]\n\t"                                                                                  \
    "ldr lr, [r0], #8\n\t"                                                                                   \
    "smmlar r12, r12, r5, r12\n\t"                                                                           \
    "smmlar lr, lr, r5, lr\n\t"                                                                              \
    "add r12, r12, r12, asr #31\n\t"                                                                         \
    "add lr, lr, lr, asr #31\n\t"                                                                            \
    "add r12, r2\n\t"                                                                                        \
    "add lr, r2\n\t"                                                                                         \
    "asr r12, r6\n\t"                                                                                        \
    "asr lr, r6\n\t"                                                                                         \
    "ssat r12, #8, r12\n\t"                                                                                  \
    "ssat lr, #8, lr\n\t"
/* The row is done; after the last one the channel is finished and stored, and the next begins. */
#define LEAVE                                                                                                \
    "subs r3, #1\n\t"                                                                                        \
    "bne 1b\n\t"                                                                                             \
    "ldr r7, [sp]\n\t"                                                                                       \
    "ldrd r4, r5, [r7, #76]\n\t"                                                                             \
    "cmp r4, r5\n\t"                                                                                         \
    "bne 2b\n\t"                                                                                             \
    "ldrd r3, r0, [r7, #68]\n\t" /* channel, paired */                                                       \
    "ldr r4, [r7, #32]\n\t"                                                                                  \
    "ldrd r8, r9, [r7, #40]\n\t" /* to, step */                                                              \
    "ldr r1, [r7, #48]\n\t"      /* pairs */                                                                 \
    "ldrd r5, r6, [r4], #8\n\t"                                                                              \
    "ldr r10, [r7, #56]\n\t"                                                                                 \
    "str r4, [r7, #32]\n\t"                                                                                  \
    "and r6, #31\n\t"                                                                                        \
    "sub r2, r6, #1\n\t"                                                                                     \
    "lsl r2, r10, r2\n\t"                                                                                    \
    "add r10, r3, #1\n\t"                                                                                    \
    "str r10, [r7, #68]\n\t"                                                                                 \
    "cmp r0, #0\n\t"                                                                                         \
    "beq.w 5f\n\t"                                                                                           \
    "ldr r0, [r7]\n\t"                                                                                       \
    "cmp r1, #0\n\t"                                                                                         \
    "beq.w 7f\n\t" /* paired: halfword 8 * (c / 4) + 2 * (c & 1) + (c >> 1 & 1) */                           \
    "bic r10, r3, #2\n\t"                                                                                    \
    "ubfx r11, r3, #1, #1\n\t"                                                                               \
    "add r8, r8, r10, lsl #2\n\t"                                                                            \
    "add r8, r8, r11, lsl #1\n\t"                                                                            \
    "4:\n\t" FINISH_TWO "strh r12, [r8, #8]\n\t"                                                             \
    "strh lr, [r8]\n\t"                                                                                      \
    "add r8, r9\n\t"                                                                                         \
    "subs r1, #1\n\t"                                                                                        \
    "bne 4b\n\t"                                                                                             \
    "b 7f\n\t"                                                                                               \
    "5: add r8, r3\n\t" /* interleaved */                                                                    \
    "ldr r0, [r7]\n\t"                                                                                       \
    "ldr r4, [r7, #52]\n\t" /* tail */                                                                       \
    "cbz r1, 9f\n\t"                                                                                         \
    "6:\n\t" FINISH_TWO "strb lr, [r8]\n\t"                                                                  \
    "strb r12, [r8, r9]\n\t"                                                                                 \
    "add r8, r8, r9, lsl #1\n\t"                                                                             \
    "subs r1, #1\n\t"                                                                                        \
    "bne 6b\n\t"                                                                                             \
    "9: cbz r4, 7f\n\t" FINISH_TWO "strb lr, [r8]\n\t"                                                       \
    "7:\n\t"                                                                                                 \
    "ldrd r4, r5, [r7, #16]\n\t"  /* offset, w */                                                            \
    "ldrd r6, r10, [r7, #24]\n\t" /* channel step, skip */                                                   \
    "ldr r1, [r7, #36]\n\t"                                                                                  \
    "add r4, r6\n\t"                                                                                         \
    "add r5, r10\n\t"                                                                                        \
    "strd r4, r5, [r7, #16]\n\t"                                                                             \
    "subs r1, #1\n\t"                                                                                        \
    "str r1, [r7, #36]\n\t"                                                                                  \
    "bne.w 3b\n\t"                                                                                           \
    "pop {r0, r4-r11, pc}\n\t"
/* pixels at [r1 + offset] */
#define PIXELS(offset) "ldr r12, [r1, #" #offset "]\n\tsxtb16 lr, r12, ror #8\n\tsxtb16 r12, r12\n\t"
#define FIRST_PIXELS(step) "ldr r12, [r1], #" #step "\n\tsxtb16 lr, r12, ror #8\n\tsxtb16 r12, r12\n\t"
#define PIXEL(offset) "ldrsb r12, [r1, #" #offset "]\n\t"
#define BOTH(acc, x, w) "smlad " acc ", " x ", " w ", " acc "\n\t"
#define HALF(halves, acc, x, w) "smla" halves " " acc ", " x ", " w ", " acc "\n\t"

#define P0 "r8"
#define P1 "r9"
#define P2 "r10"
#define P3 "r11"
#define EVEN "r12"
#define ODD "lr"
#define A "r2"
#define B "r4"
#define C "r5"
#define D "r6"
#define E "r7"

#define TAPS7                                                                                                \
    "ldr r12, [r2]\n\t"                                                                                      \
    "ldr lr, [r2, #3]\n\t"                                                                                   \
    "sxtb16 r2, r12\n\t"                                                                                     \
    "sxtb16 r4, r12, ror #8\n\t"                                                                             \
    "sxtb16 r7, lr\n\t"                                                                                      \
    "sxtb16 r6, lr, ror #8\n\t"                                                                              \
    "asr r5, r2, #16\n\t"                                                                                    \
    "pkhbt r5, r5, r6, lsl #16\n\t"

#define TAPS5                                                                                                \
    "ldr r12, [r2]\n\t"                                                                                      \
    "ldr lr, [r2, #1]\n\t"                                                                                   \
    "sxtb16 r2, r12\n\t"                                                                                     \
    "sxtb16 r4, lr\n\t"                                                                                      \
    "sxtb16 r5, lr, ror #8\n\t"

/* B holds w1 alone */
#define TAPS3                                                                                                \
    "ldrsb r12, [r2]\n\t"                                                                                    \
    "ldrsb r4, [r2, #1]\n\t"                                                                                 \
    "ldrsb lr, [r2, #2]\n\t"                                                                                 \
    "pkhbt r2, r12, lr, lsl #16\n\t"

/* 30 instructions for 28 multiply-accumulates. */
WINDOW(window_7_1) {
    __asm__ volatile(ENTER NEXT_ROW TAPS7 LOOP
                         /* x0..x3 */
                         FIRST_PIXELS(4) BOTH(P0, EVEN, A) BOTH(P1, ODD, A) HALF("tb", P2, EVEN, A)
                             HALF("tb", P3, ODD, A) BOTH(P0, ODD, B) HALF("tb", P1, EVEN, B)
                                 HALF("tb", P2, ODD, B)
                     /* x4..x7 */
                     PIXELS(0) BOTH(P0, EVEN, D) BOTH(P1, EVEN, E) BOTH(P2, EVEN, C) BOTH(P3, EVEN, B)
                         HALF("bt", P0, ODD, E) BOTH(P1, ODD, D) BOTH(P2, ODD, E) BOTH(P3, ODD, C)
                     /* x8, x9 */
                     PIXEL(4) "ldrsb lr, [r1, #5]\n\t" HALF("bt", P2, EVEN, D) HALF("bt", P3, EVEN, E)
                         HALF("bt", P3, ODD, D) KEEP LEAVE);
}

/* 33 instructions for 28. */
WINDOW(window_7_2) {
    __asm__ volatile(ENTER NEXT_ROW TAPS7 LOOP
                         /* x0..x3 */
                         FIRST_PIXELS(8) BOTH(P0, EVEN, A) HALF("tb", P1, EVEN, A) BOTH(P0, ODD, B)
                             HALF("tb", P1, ODD, B)
                     /* x4..x7 */
                     PIXELS(-4) BOTH(P0, EVEN, D) BOTH(P1, EVEN, C) BOTH(P2, EVEN, A) HALF("tb", P3, EVEN, A)
                         HALF("bt", P0, ODD, E) BOTH(P1, ODD, E) BOTH(P2, ODD, B) HALF("tb", P3, ODD, B)
                     /* x8..x11 */
                     PIXELS(0) HALF("bt", P1, EVEN, D) BOTH(P2, EVEN, D) BOTH(P3, EVEN, C)
                         HALF("bt", P2, ODD, E) BOTH(P3, ODD, E)
                     /* x12 */
                     PIXEL(4) HALF("bt", P3, EVEN, D) KEEP LEAVE);
}

/* 24 instructions for 20. */
WINDOW(window_5_1) {
    __asm__ volatile(
        ENTER NEXT_ROW TAPS5 LOOP
            /* x0..x3 */
            FIRST_PIXELS(4) BOTH(P0, EVEN, A) BOTH(P1, ODD, A) HALF("tb", P2, EVEN, A) HALF("tb", P3, ODD, A)
                BOTH(P0, ODD, B) HALF("tb", P1, EVEN, B) HALF("tb", P2, ODD, B)
        /* x4..x7 */
        PIXELS(0) HALF("bt", P0, EVEN, C) HALF("bt", P1, EVEN, B) BOTH(P2, EVEN, C) BOTH(P3, EVEN, B)
            HALF("bt", P1, ODD, C) HALF("bt", P2, ODD, B) BOTH(P3, ODD, C) KEEP LEAVE);
}

/* 27 instructions for 20. */
WINDOW(window_5_2) {
    __asm__ volatile(
        ENTER NEXT_ROW TAPS5 LOOP
            /* x0..x3 */
            FIRST_PIXELS(8) BOTH(P0, EVEN, A) HALF("tb", P1, EVEN, A) BOTH(P0, ODD, B) HALF("tb", P1, ODD, B)
        /* x4..x7 */
        PIXELS(-4) HALF("bt", P0, EVEN, C) BOTH(P1, EVEN, C) BOTH(P2, EVEN, A) HALF("tb", P3, EVEN, A)
            HALF("bt", P1, ODD, B) BOTH(P2, ODD, B) HALF("tb", P3, ODD, B)
        /* x8..x11 */
        PIXELS(0) HALF("bt", P2, EVEN, C) BOTH(P3, EVEN, C) HALF("bt", P3, ODD, B) KEEP LEAVE);
}

/* 18 instructions for 12. */
WINDOW(window_3_1) {
    __asm__ volatile(ENTER NEXT_ROW TAPS3 LOOP
                         /* x0..x3 */
                         FIRST_PIXELS(4) BOTH(P0, EVEN, A) BOTH(P1, ODD, A) HALF("bb", P0, ODD, B)
                             HALF("tb", P1, EVEN, B)
                     /* x2..x5 */
                     PIXELS(-2) BOTH(P2, EVEN, A) BOTH(P3, ODD, A) HALF("bb", P2, ODD, B)
                         HALF("tb", P3, EVEN, B) KEEP LEAVE);
}

/* 21 instructions for 12. */
WINDOW(window_3_2) {
    __asm__ volatile(ENTER NEXT_ROW TAPS3 LOOP
                         /* x0..x3 */
                         FIRST_PIXELS(8) BOTH(P0, EVEN, A) HALF("tb", P1, EVEN, A) HALF("bb", P0, ODD, B)
                             HALF("tb", P1, ODD, B)
                     /* x4..x7 */
                     PIXELS(-4) HALF("bt", P1, EVEN, A) BOTH(P2, EVEN, A) HALF("tb", P3, EVEN, A)
                         HALF("bb", P2, ODD, B) HALF("tb", P3, ODD, B)
                     /* x8 */
                     PIXEL(0) HALF("bt", P3, EVEN, A) KEEP LEAVE);
}

#else

static void store(ts_window_run *run) {
    const int32_t s = ts_shift_of(*run->q);
    if (run->pairs + run->tail == 0) {
        return;
    }
    const ts_finish f = {run->q->multiplier, run->round * (1 << (s - 1)), s};
    const uint32_t c = run->channel;
    int16_t *paired = (int16_t *)run->to + ts_pair_place(c);
    int8_t *pixel = (int8_t *)run->to + c;
    for (uint32_t i = 0; i < 2 * run->pairs + run->tail; i++) {
        const int32_t value = ts_finish_int8(run->acc[i], f);
        if (run->paired) {
            paired[i / 2 * (run->step / 2) + i % 2 * 4] = (int16_t)value;
        } else {
            pixel[i * run->step] = (int8_t)value;
        }
    }
}

static inline void window(ts_window_run *run, uint32_t taps, uint32_t stride) {
    for (; run->channels > 0; run->channels--, run->q++, run->channel++) {
        for (uint32_t i = 0; i < 4 * run->quads; i++) {
            run->acc[i] = ts_bias_of(*run->q) + *run->start;
        }
        for (const int8_t *const *row = run->rows; row < run->end; row++, run->w += run->row_bytes) {
            for (uint32_t i = 0; i < 4 * run->quads; i++) {
                for (uint32_t k = 0; k < taps; k++) {
                    run->acc[i] += run->w[k] * (*row + run->offset)[i * stride + k];
                }
            }
        }
        store(run);
        run->offset += run->channel_step;
        run->w += run->skip;
        run->start += run->start_step / sizeof *run->start;
    }
}

#define WINDOW(taps, stride)                                                                                 \
    static void window_##taps##_##stride(ts_window_run *run) {                                               \
        window(run, taps, stride);                                                                           \
    }
WINDOW(7, 1)
WINDOW(7, 2)
WINDOW(5, 1)
WINDOW(5, 2)
WINDOW(3, 1)
WINDOW(3, 2)

#endif

ts_window_kernel ts_window_kernel_for(uint32_t taps, uint32_t stride) {
    static const ts_window_kernel kernels[3][2] = {
        {window_3_1, window_3_2}, {window_5_1, window_5_2}, {window_7_1, window_7_2}};
    return kernels[(taps - 3) / 2][stride - 1];
}
