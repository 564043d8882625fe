/* Three models that make every byte of an image and of the outputs visible, for tests of the link. */
#include "model_table.h"

#include "codec.h"
#include "engine.h"
#include "stages.h"

#define REPEAT4(...) __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__
#define REPEAT16(...) REPEAT4(REPEAT2(__VA_ARGS__)), REPEAT4(REPEAT2(__VA_ARGS__))
#define REPEAT2(...) __VA_ARGS__, __VA_ARGS__
#define REPEAT11(...)                                                                                        \
    REPEAT2(__VA_ARGS__, __VA_ARGS__), REPEAT2(__VA_ARGS__, __VA_ARGS__), REPEAT2(__VA_ARGS__), __VA_ARGS__

/* Output byte = input byte with all bits inverted. */
static void invert(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const int8_t *src = ts_row(e, stage->inputs[0], step);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (uint32_t i = 0; i < ts_tensor_at(e, stage->output)->row_bytes; i++) {
        dst[i] = (int8_t)~src[i];
    }
}

/* Output byte = input byte. */
static void copy(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const int8_t *src = ts_row(e, stage->inputs[0], step);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (uint32_t i = 0; i < ts_tensor_at(e, stage->output)->row_bytes; i++) {
        dst[i] = src[i];
    }
}

/* The four output bytes are the CRC-32 of the image, low byte first. */
static void digest(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    uint32_t *crc = (uint32_t *)(void *)ts_scratch(e, stage);
    int8_t *out = ts_row_out(e, stage->output, 0);
    *crc = ts_crc32(step == 0 ? 0 : *crc, (const uint8_t *)ts_row(e, stage->inputs[0], step), in->row_bytes);
    for (uint32_t i = 0; i < 4; i++) {
        out[i] = (int8_t)(*crc >> (8 * i));
    }
}

static const uint16_t map0[] = {0}, map1[] = {1}, maps12[] = {1, 2};

/* "digest": 176 x 176 x 3 int8; its output is a CRC. */
static const ts_tensor digest_tensors[] = {
    {NULL, 0, 528, 1, 176, 176, 3},
    {NULL, 528, 4, 1, 1, 1, 4},
};
/* 160 more that never run: too many to profile */
static const ts_stage digest_stages[161] = {{digest, NULL, map0, 1, 1, 536}};
static const uint8_t digest_schedule[] = {REPEAT16(REPEAT11(TS_OP_INPUT, 0))};
static const ts_quantisation signed_byte = {0.5f, -3, 0};
static const ts_model digest_model = {
    .name = "digest",
    .id = 0x01234567,
    .tensors = digest_tensors,
    .stages = digest_stages,
    .schedule = digest_schedule,
    .outputs = map1,
    .output_quantisation = &signed_byte,
    .input_quantisation = {0.25f, -128, 0},
    .schedule_bytes = sizeof digest_schedule,
    .arena_bytes = 864,
    .activation_bytes = 532,
    .steps_offset = 540,
    .macs = 81800000,
    .weight_bytes = 740000,
    .n_tensors = 2,
    .n_stages = 161,
    .n_outputs = 1,
    .input = 0,
};

/* "pair": 4 x 3 x 2 uint8; outputs: itself, uint8, and inverted, int8. */
static const ts_tensor pair_tensors[] = {
    {NULL, 0, 6, 1, 4, 3, 2},
    {NULL, 8, 6, 4, 4, 3, 2},
    {NULL, 32, 6, 4, 4, 3, 2},
};
static const ts_stage pair_stages[] = {{copy, NULL, map0, 1, 1, 0}, {invert, NULL, map0, 1, 2, 0}};
static const uint8_t pair_schedule[] = {REPEAT4(TS_OP_INPUT, 0, 1)};
static const ts_quantisation pair_quantisation[] = {{1.0f, 128, 1}, {2.0f, 7, 0}};
static const ts_model pair_model = {
    .name = "pair",
    .id = 0x89ABCDEF,
    .tensors = pair_tensors,
    .stages = pair_stages,
    .schedule = pair_schedule,
    .outputs = maps12,
    .output_quantisation = pair_quantisation,
    .input_quantisation = {1.0f, 128, 1},
    .schedule_bytes = sizeof pair_schedule,
    .arena_bytes = 64,
    .activation_bytes = 54,
    .steps_offset = 56,
    .n_tensors = 3,
    .n_stages = 2,
    .n_outputs = 2,
    .input = 0,
};

/* "wide": 4 x 1000 x 5 int8, inverted: rows and output are longer than a frame. */
static const ts_tensor wide_tensors[] = {
    {NULL, 0, 5000, 1, 4, 1000, 5},
    {NULL, 5000, 5000, 4, 4, 1000, 5},
};
static const ts_stage wide_stages[] = {{invert, NULL, map0, 1, 1, 0}};
static const uint8_t wide_schedule[] = {REPEAT4(TS_OP_INPUT, 0)};
static const ts_model wide_model = {
    .name = "wide",
    .tensors = wide_tensors,
    .stages = wide_stages,
    .schedule = wide_schedule,
    .outputs = map1,
    .output_quantisation = &signed_byte,
    .input_quantisation = {0.25f, -128, 0},
    .schedule_bytes = sizeof wide_schedule,
    .arena_bytes = 25008,
    .activation_bytes = 25000,
    .steps_offset = 25000,
    .n_tensors = 2,
    .n_stages = 1,
    .n_outputs = 1,
    .input = 0,
};

const ts_entry ts_model_table[] = {
    {&digest_model, 100000000, 6980, 14, 0},
    {&pair_model, 0, 0, 0, 1},
    {&wide_model, 0, 0, 0, 2},
};
const uint16_t ts_model_count = 3;
uint8_t ts_arena[25008] __attribute__((aligned(8)));
const uint32_t ts_arena_bytes = sizeof ts_arena;
