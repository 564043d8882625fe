/* Three models that are alternatives to each other and one that is not, for tests of switching. Each writes to
 * every byte of its arena, so that whoever shares it finds out, and takes about its cycles in nanoseconds. */
#include "model_table.h"

#include <string.h>

#include "codec.h"
#include "engine.h"

enum { FRAME_END = 64, ROWS = 8 }; /* what the engine uses of the arena; rows of an image */

/* Outputs are the first ten bytes of the last row. Before that, is busy for a time that `params` gives. */
static void look(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const uint32_t rounds = *(const uint32_t *)stage->params;
    const int8_t *row = ts_row(e, stage->inputs[0], step);
    volatile uint32_t crc = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        crc = ts_crc32(crc, (const uint8_t *)row, 24);
    }
    memset(e->arena + FRAME_END, (int)(crc | 1u), e->model->arena_bytes - FRAME_END);
    if (step == ROWS - 1) {
        memcpy(ts_row_out(e, stage->output, 0), row, 10);
    }
}

static const uint16_t map0[] = {0}, map1[] = {1};
static const uint8_t schedule[] = {TS_OP_INPUT, 0, TS_OP_INPUT, 0, TS_OP_INPUT, 0, TS_OP_INPUT, 0,
                                   TS_OP_INPUT, 0, TS_OP_INPUT, 0, TS_OP_INPUT, 0, TS_OP_INPUT, 0};
static const ts_tensor tensors[] = {{NULL, 0, 24, 1, ROWS, 8, 3}, {NULL, 24, 10, 1, 1, 1, 10}};
static const ts_quantisation half = {0.5f, 0, 0};
static const uint32_t rounds[] = {200, 1000, 4000};
static const ts_stage stages[][1] = {
    {{look, &rounds[0], map0, 1, 1, 0}},
    {{look, &rounds[1], map0, 1, 1, 0}},
    {{look, &rounds[2], map0, 1, 1, 0}},
};

#define MODEL(i, title, bytes, count)                                                                        \
    {                                                                                                        \
        .name = title,                                                                                       \
        .id = i,                                                                                             \
        .tensors = tensors,                                                                                  \
        .stages = stages[i],                                                                                 \
        .schedule = schedule,                                                                                \
        .outputs = map1,                                                                                     \
        .output_quantisation = &half,                                                                        \
        .input_quantisation = {0.25f, -128, 0},                                                              \
        .schedule_bytes = sizeof schedule,                                                                   \
        .arena_bytes = bytes,                                                                                \
        .activation_bytes = 34,                                                                              \
        .steps_offset = 40,                                                                                  \
        .macs = count,                                                                                       \
        .n_tensors = 2,                                                                                      \
        .n_stages = 1,                                                                                       \
        .n_outputs = 1,                                                                                      \
        .input = 0,                                                                                          \
    }

static const ts_model models[] = {
    MODEL(0, "small", 1024, 1000),
    MODEL(1, "middle", 8192, 4000),
    MODEL(2, "large", 20480, 16000),
};

const ts_entry ts_model_table[] = {
    {&models[2], 16000000, 7000, 8, 0},
    {&models[0], 1000000, 5000, 0, 0},
    {&models[1], 4000000, 6000, 4, 0},
    {&models[0], 0, 0, 0, 1},
};
const uint16_t ts_model_count = 4;
uint8_t ts_arena[20484] __attribute__((aligned(8)));
const uint32_t ts_arena_bytes = sizeof ts_arena;
