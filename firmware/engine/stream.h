/* A model that looks at a window of an endless stream of rows, computed row by row: only what is new.
 *
 * Without padding in time, a window that begins `hop` rows later shares all rows of all feature maps with the one
 * before but the last few. So the host (host/tinyswitch/compiler/stream.py) cuts such a model in two: the `body`, whose
 * rings stay in the arena from window to window and whose schedule never ends, and the `tail` (mean, dense,
 * softmax), which is run for an answer on the body's last rows. docs/engine.md explains it.
 *
 * Use:   ts_stream_begin(&stream, model, arena, sizeof arena);
 *        for each row:  if (ts_stream_push(&stream, row)) scores = ts_stream_answer(&stream, &bytes);
 *
 * Each answer equals, bit for bit, that of the whole model on the last `rows` rows. A model that cannot be streamed has
 * no ts_stream_model. As tinyswitch.h: C99, no allocation; streams are independent, none is thread-safe.
 */
#ifndef STREAM_H
#define STREAM_H

#include "tinyswitch.h"

/* What the compiler generates for a model that can be streamed. */
typedef struct ts_stream_model {
    const ts_model *body;   /* takes rows of the model's input without end: heights mean nothing in it */
    const ts_model *tail;   /* from the body's last rows to the model's outputs */
    const uint16_t *rounds; /* one a stage of the body: after so many steps its rings come round */
    uint32_t loop;          /* byte of the body's schedule that follows its end; before it rings are filled */
    uint32_t tail_offset;   /* of the tail's arena in the stream's, 8-byte aligned */
    uint32_t arena_bytes;   /* of body and tail together */
    uint32_t macs;          /* multiply-accumulates of a hop and its answer */
    uint16_t rows;          /* of a window: the height of the model's input */
    uint16_t hop;           /* rows from one window to the next, >= 1 */
    uint16_t last_stage;    /* of the body: makes the map that the tail reads */
} ts_stream_model;

/* State of one stream; the fields are the engine's own. */
typedef struct ts_stream {
    const ts_stream_model *model;
    ts_engine body;
    uint16_t missing; /* rows until the next window is complete */
    uint8_t is_due;   /* 1: a window is complete, and no row has come since */
} ts_stream;

/* Begins a stream; whatever rows came before are forgotten. `arena` must be 8-byte aligned and at least
 * model->arena_bytes long; it is the stream's from now on, between windows too. Returns TS_OK or TS_ERR_ARENA. */
int ts_stream_begin(ts_stream *stream, const ts_stream_model *model, void *arena, size_t arena_bytes);

/* Takes the next row, row_bytes of the model's input, and computes what it makes possible. Returns 1 if a window is
 * complete now, with the `rows`-th row and every `hop` rows from there on; else 0. */
int ts_stream_push(ts_stream *stream, const int8_t *row);

/* The answer to the window that is complete: the model's first output, `*bytes` long, until the next call of a function
 * of this stream. An answer that isn't asked for costs nothing. NULL if the last push did not return 1. */
const int8_t *ts_stream_answer(ts_stream *stream, uint32_t *bytes);

/* Generated where a firmware has streams: one an entry of the model table (ts_model_count of them), NULL for a model
 * that cannot be streamed. ts_arena is large enough for each. */
extern const ts_stream_model *const ts_stream_table[];

#endif
