/* tinyswitch engine: int8 networks, row by row, without a heap.
 *
 * A model is a set of constant tables that the compiler (host/tinyswitch/compiler) generates. Feature maps
 * live in one arena, most of them as rings of a few rows. The host has worked out in advance which stage
 * makes its next row when; the engine replays that schedule and stops at each point where it needs another
 * row of the input. docs/engine.md explains the plan.
 *
 * Use:   ts_start(&engine, model, arena, sizeof arena);
 *        while ((row = ts_input_row(&engine)) != NULL) { fill row; ts_run(&engine); }
 *        scores = ts_output(&engine, 0, &bytes);
 *
 * C99; no allocation, no recursion, no libc beyond mem*. Not thread-safe per engine; engines are independent.
 */
#ifndef TINYSWITCH_H
#define TINYSWITCH_H

#include <stddef.h>
#include <stdint.h>

/* Errors: negative; 0 is success. */
enum ts_error {
    TS_OK = 0,
    TS_ERR_ARENA = -1, /* arena too small or not 8-byte aligned */
    TS_ERR_STATE = -2, /* call out of order: no input row expected now */
};

typedef struct ts_engine ts_engine;
typedef struct ts_stage ts_stage;

/* Makes the next step of a stage: output row `step` for most kinds; kinds that accumulate over the input
 * (mean, dense over several rows) take input row `step` and write their output at the last one. A kernel
 * reads only rows that the schedule has made available, so it checks nothing. Variants (portable C, ARMv7E-M
 * DSP) share this signature; the generated tables name the one to link. */
typedef void (*ts_kernel)(const ts_engine *engine, const ts_stage *stage, uint32_t step);

/* A feature map of height x width x channels int8 (batch 1), channels innermost. */
typedef struct ts_tensor {
    const int8_t *constant; /* data in flash, all rows; NULL: the tensor lives in the arena */
    uint32_t offset;        /* of ring slot 0 in the arena, bytes; 0 for a constant */
    uint32_t row_bytes;     /* width * channels */
    uint16_t slots;         /* rows held: row r is in slot r % slots; == height: all of it */
    uint16_t height;        /* rows, >= 1 */
    uint16_t width;         /* pixels of a row, >= 1 */
    uint16_t channels;      /* >= 1 */
} ts_tensor;

/* One operator of a model. */
struct ts_stage {
    ts_kernel kernel;
    const void *params;     /* struct of that kind, see stages.h */
    const uint16_t *inputs; /* indices into ts_model.tensors */
    uint16_t n_inputs;
    uint16_t output; /* index into ts_model.tensors */
    uint32_t
        scratch; /* offset of the stage's int32 accumulators in the arena, 4-byte aligned; 0 if it has none */
};

/* How a tensor's integers stand for numbers: real = scale * (q - zero_point). */
typedef struct ts_quantisation {
    float scale;
    int32_t zero_point;
    uint8_t is_unsigned; /* 1: the bytes are uint8; 0: int8 */
} ts_quantisation;

typedef struct ts_model {
    const char *name;         /* ASCII, at most 47 characters */
    uint32_t id;              /* CRC-32 of the .tflite this was compiled from */
    const ts_tensor *tensors; /* n_tensors of them */
    const ts_stage *stages;   /* n_stages of them */
    const uint8_t *schedule;  /* schedule_bytes of TS_OP_* and stage indices; see below */
    const uint16_t *outputs;  /* n_outputs indices into tensors; whole when the schedule ends */
    const ts_quantisation *output_quantisation; /* n_outputs of them */
    ts_quantisation input_quantisation;
    uint32_t schedule_bytes;
    uint32_t arena_bytes;      /* feature maps + scratch + step counters */
    uint32_t activation_bytes; /* of these, feature maps (peak, rings included) */
    uint32_t steps_offset;     /* of n_stages uint16_t step counters in the arena */
    uint32_t macs;             /* multiply-accumulates of one inference */
    uint32_t weight_bytes;     /* int8 weights in flash */
    uint16_t n_tensors;
    uint16_t n_stages;
    uint16_t n_outputs;
    uint16_t input; /* index into tensors */
} ts_model;

/* Schedule: one byte an entry. A value below TS_OP_WIDE runs that stage's next step. */
enum {
    TS_OP_WIDE = 0xFE,  /* the stage index follows as two bytes, low byte first */
    TS_OP_INPUT = 0xFF, /* wait for the next row of the input */
};

/* A clock of any rate; it may wrap. */
typedef uint32_t (*ts_clock)(void);

/* State of one inference; the fields are the engine's own. */
struct ts_engine {
    const ts_model *model;
    uint8_t *arena;
    ts_clock clock;      /* NULL: no profile is taken */
    uint32_t *ticks;     /* of each stage */
    uint32_t position;   /* next entry of the schedule */
    uint16_t input_rows; /* rows of the input received */
    uint8_t waiting;     /* 1: ts_input_row() has a slot to fill */
};

/* Begins an inference. `arena` must be 8-byte aligned and at least model->arena_bytes long; it is the
 * engine's until the output has been read. Returns TS_OK or TS_ERR_ARENA. */
int ts_start(ts_engine *engine, const ts_model *model, void *arena, size_t arena_bytes);

/* Where to put the next input row: tensors[input].row_bytes bytes. NULL: the inference is complete. */
int8_t *ts_input_row(const ts_engine *engine);

/* Call when the slot of ts_input_row() is filled: computes as far as the rows received allow.
 * Returns TS_OK, or TS_ERR_STATE if no row was expected. */
int ts_run(ts_engine *engine);

/* ts_run() in pieces, for who has something else to do in between (a watchdog: the last row may take
 * seconds): ts_push() hands the row over, then ts_step() makes one step of one stage at a time until it
 * returns 0. */
int ts_push(ts_engine *engine);
int ts_step(ts_engine *engine);

/* From now until the inference ends, adds the ticks of `clock` that each step of stage i takes to ticks[i]
 * (modulo 2^32); sets the first model->n_stages of them to 0. Call it after ts_start(); steps that need no
 * input row have been made by then. What a step is charged with includes one call of `clock`. */
void ts_profile(ts_engine *engine, ts_clock clock, uint32_t *ticks);

/* Steps that stage `index` has made so far. */
uint32_t ts_steps(const ts_engine *engine, uint32_t index);

/* Output `index` after completion: `*bytes` = height * row_bytes. NULL if it isn't complete or there is no
 * such output. */
const int8_t *ts_output(const ts_engine *engine, uint32_t index, uint32_t *bytes);

#endif
