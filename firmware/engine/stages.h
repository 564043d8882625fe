/* Parameters of every stage kind, and its portable kernel. The compiler fills these structs; what they hold
 * is checked there, so kernels check nothing. One kind = one file in stages/ = one lowering in
 * host/tinyswitch/compiler/stages/ = one test. */
#ifndef STAGES_H
#define STAGES_H

#include "tinyswitch.h"

/* How a convolution's window moves. Padding below and to the right follows from the output's size. */
typedef struct ts_window {
    uint16_t height, width;          /* taps */
    uint16_t stride_y, stride_x;     /* >= 1 */
    uint16_t dilation_y, dilation_x; /* >= 1 */
    uint16_t pad_top, pad_left;      /* rows, pixels */
} ts_window;

/* From int32 accumulators to int8: clamp(requantise(acc + bias) + zero_point, low, high). */
typedef struct ts_requant {
    const int32_t *bias;       /* one a channel */
    const int32_t *multiplier; /* one a channel, see requantise.h; those of DSP kernels dsp/finish.h */
    const int8_t *shift;       /* one a channel */
    int16_t zero_point;        /* of the output */
    int8_t low, high;          /* fused activation, within -128..127 */
} ts_requant;

/* CONV_2D. weights: [channel out][tap y][tap x][channel in of the group]. Taps outside the map count as
 * input_zero_point. */
typedef struct ts_conv_params {
    const int8_t *weights;
    ts_requant requant;
    ts_window window;
    int16_t input_zero_point;
    uint16_t groups; /* >= 1; channels are split evenly */
} ts_conv_params;
void ts_conv(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* CONV_2D with one tap, stride 1, no padding, one group. The input's zero point is folded into the bias. */
typedef struct ts_pointwise_params {
    const int8_t *weights; /* [channel out][channel in] */
    uint32_t row_bytes;    /* from the weights of a channel out to those of the next */
    ts_requant requant;
} ts_pointwise_params;
void ts_pointwise(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* DEPTHWISE_CONV_2D. weights: [tap y][tap x][channel out]; output channel o reads input channel
 * o / multiplier. */
typedef struct ts_depthwise_params {
    const int8_t *weights;
    uint32_t row_bytes, tap_bytes; /* from the weights of a row of taps, of a tap, to those of the next */
    ts_requant requant;
    ts_window window;
    int16_t input_zero_point;
    uint16_t multiplier; /* depth multiplier, >= 1 */
} ts_depthwise_params;
void ts_depthwise(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* FULLY_CONNECTED. Over a whole map it takes one input row a step and needs scratch of one int32 an output
 * if the input has several rows; or it is applied at each pixel. weights: [output][row][byte of the row], or
 * [output][channel]. The input's zero point is folded into the bias. LiteRT's reference rounds this operator
 * in double precision, so it is not a ts_requant: output = clamp(round(acc * scale) + zero_point), halves
 * away from zero. */
typedef struct ts_dense_params {
    const int8_t *weights;
    const int32_t *bias;
    const double *scale; /* one an output, or the only one */
    uint8_t per_channel; /* 1: scale has one an output */
    uint8_t per_pixel;   /* 1: at each pixel; 0: over the whole map */
    int16_t zero_point;
    int8_t low, high;
} ts_dense_params;
void ts_dense(const ts_engine *engine, const ts_stage *stage, uint32_t step);
/* Output o for its accumulator. */
int8_t ts_dense_finish(const ts_dense_params *params, uint32_t o, int32_t acc);

/* An operand of ADD or MUL: an axis it lacks is 1 long and repeats. */
typedef struct ts_operand {
    int32_t multiplier, shift; /* to the common scale; unused by MUL */
    int16_t zero_point;
    uint8_t repeat_y, repeat_x, repeat_channel; /* 1: that axis repeats */
} ts_operand;

/* ADD: each operand is shifted left by 20, requantised to the common scale, summed, requantised to the
 * output's. */
typedef struct ts_binary_params {
    ts_operand operand[2];
    int32_t multiplier, shift;
    int16_t zero_point;
    int8_t low, high;
} ts_binary_params;
void ts_add(const ts_engine *engine, const ts_stage *stage, uint32_t step);
void ts_mul(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* CONCATENATION of the stage's inputs. */
typedef struct ts_concat_params {
    uint8_t axis; /* 0 rows, 1 pixels, 2 channels */
} ts_concat_params;
void ts_concat(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* AVERAGE_POOL_2D and MAX_POOL_2D; taps outside the map don't count. Dilation is 1. */
typedef struct ts_pool_params {
    ts_window window;
    int8_t low, high;
} ts_pool_params;
void ts_average_pool(const ts_engine *engine, const ts_stage *stage, uint32_t step);
void ts_max_pool(const ts_engine *engine, const ts_stage *stage, uint32_t step);
/* AVERAGE_POOL_2D over the whole map: one int32 of scratch a channel instead of a ring; takes a row a step.
 */
void ts_global_average(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* MEAN over rows, pixels or both; one int32 of scratch a value of an output row. Over rows it takes an input
 * row a step and makes one row. */
typedef struct ts_mean_params {
    int32_t multiplier, shift; /* 1 / count is in the multiplier */
    int32_t offset;            /* input zero point * count */
    uint8_t over_rows, over_pixels;
    int16_t zero_point;
} ts_mean_params;
void ts_mean(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* PAD with the zero point. */
typedef struct ts_pad_params {
    uint16_t top, left, before; /* rows, pixels, channels in front */
    int8_t value;
} ts_pad_params;
void ts_pad(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* RESHAPE where rows change length: the same bytes, cut elsewhere. No parameters. */
void ts_reshape(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* RESIZE_NEAREST_NEIGHBOR: which input row and pixel each output row and pixel copies. */
typedef struct ts_resize_params {
    const uint16_t *rows;   /* one an output row */
    const uint16_t *pixels; /* one an output pixel */
} ts_resize_params;
void ts_resize(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* Any function of one 8-bit value: LOGISTIC, RELU, RELU6, QUANTIZE between 8-bit types. */
typedef struct ts_lookup_params {
    const uint8_t *table; /* 256, indexed by the input byte taken as unsigned */
} ts_lookup_params;
void ts_lookup(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* SOFTMAX over channels. */
typedef struct ts_softmax_params {
    const int32_t
        *exp; /* 256: exp(-d * beta * scale) as Q0.31 for d = max - x; 0 from TFLite's diff_min on */
} ts_softmax_params;
void ts_softmax(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* ---- Variants for ARMv7E-M (dsp/). Same results; rows may be laid out for them. ---- */

/* How a map's row is laid out when it is written for one reader.
 * Planar: channel after channel, `margin` bytes of the zero point in front of each and behind the last, so
 * that a window that hangs over the map's edge reads zero points. Paired: see dsp/matmul.h. */
typedef struct ts_planar {
    uint8_t used;      /* 0: pixels of interleaved channels */
    uint8_t margin;    /* bytes */
    int8_t zero_point; /* fills the margins */
} ts_planar;

/* From an int32 accumulator to int8, a channel. */
enum { TS_LEFT_SHIFT = 24 };
typedef struct ts_channel {
    int32_t multiplier; /* 2m - 2^32 for the multiplier m of requantise.h */
    int32_t
        bias_shift; /* bias * 32 + code: 1..22 a shift to the right, TS_LEFT_SHIFT + n one of n to the left */
} ts_channel;

typedef struct ts_requant_dsp {
    const ts_channel *channels;
    int16_t zero_point; /* of the output */
    int8_t low, high;   /* fused activation, within -128..127 */
    uint8_t is_short;   /* 1: every shift goes to the right, and the clamp is -128..127; see dsp/finish.h */
} ts_requant_dsp;

/* CONV_2D with one tap. The input's zero point is folded into the bias. Scratch: ts_pair_words(channels in)
 * words, and as many for each two pixels unless the input is paired. */
typedef struct ts_pointwise_dsp_params {
    const int8_t *weights; /* [channel out][channel in] */
    uint32_t row_bytes;    /* from the weights of a channel out to those of the next */
    ts_requant_dsp requant;
    ts_planar planar; /* the output */
    uint16_t chunk;   /* pixels widened at a time, even; unused if the input is paired */
    uint8_t paired;   /* 1: the input is paired */
} ts_pointwise_dsp_params;
void ts_pointwise_dsp(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* CONV_2D of one group, by gathering windows. The zero point is folded into the bias. Scratch: with n =
 * ts_pair_words(taps * channels in), n * (1 + chunk / 2) words and n * chunk bytes. */
typedef struct ts_conv_dsp_params {
    const int8_t *weights; /* [channel out][tap y][tap x][channel in] */
    ts_requant_dsp requant;
    ts_window window;
    ts_planar planar; /* the output */
    uint16_t chunk;   /* pixels gathered at a time, even */
    int8_t input_zero_point;
} ts_conv_dsp_params;
void ts_conv_dsp(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* DEPTHWISE_CONV_2D, 3x3, 5x5 or 7x7, stride 1 or 2, multiplier 1, from a planar input. The zero point is
 * folded into the bias for all taps. Scratch: one int32 an output pixel, rounded up to 4. */
typedef struct ts_depthwise_dsp_params {
    const int8_t *weights; /* [channel][tap y][tap x] */
    ts_requant_dsp requant;
    ts_planar planar;     /* the input */
    uint8_t taps, stride; /* in both directions */
    uint8_t pad_top, pad_left;
    uint8_t paired; /* 1: the output is paired; 0: interleaved */
    int8_t input_zero_point;
    uint8_t row_bytes,
        channel_bytes; /* from the weights of a row of taps, of a channel, to those of the next */
} ts_depthwise_dsp_params;
void ts_depthwise_dsp(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* FULLY_CONNECTED over a whole map. Scratch: half as many words as the row has bytes, rounded down to even, and one
 * int32 an output if the input has several rows. */
typedef struct ts_dense_dsp_params {
    ts_dense_params dense;
    const int32_t *multiplier; /* of requantise.h; as many as dense.scale */
    const int8_t *shift;       /* likewise */
} ts_dense_dsp_params;
void ts_dense_dsp(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* ADD of two maps of one shape. The first operand has the larger scale: at the common scale, twice that, it is
 * (x - zero point) * 2^19 exactly. */
typedef struct ts_add_dsp_params {
    int32_t multiplier, shift; /* of the second operand, to the common scale; shift -30..0 */
    ts_requant_dsp requant;    /* from the common scale to the output's; one channel */
    int16_t first_zero_point, second_zero_point;
} ts_add_dsp_params;
void ts_add_dsp(const ts_engine *engine, const ts_stage *stage, uint32_t step);

#endif
