/* Feeds the engine from a stream of bytes and packs what comes out. */
#ifndef IMAGE_H
#define IMAGE_H

#include "link.h"

/* Forgets the image in progress and makes `model` the one to use. */
void ts_image_select(ts_image *image, const ts_model *model);

/* Most stages of a model that can be profiled. */
enum { TS_IMAGE_STAGES = 160 };

/* Starts an image in the first `arena_bytes` of the arena; `profile` 1: ts_image_ticks shall have what each stage takes. Returns 0,
 * TS_LINK_ERR_ENGINE, or TS_LINK_ERR_STAGES if there are too many to profile. */
int ts_image_begin(ts_image *image, uint32_t arena_bytes, int profile);

/* Ticks of board_cycles() that the stages of the last profiled image took, modulo 2^32; each step of a stage
 * counts ts_image_overhead() ticks too many. */
extern uint32_t ts_image_ticks[TS_IMAGE_STAGES];

/* Ticks that reading the clock takes. */
uint32_t ts_image_overhead(void);

/* Takes the last n of the bytes that count as received. Computes whenever a row is complete. */
void ts_image_data(ts_image *image, const uint8_t *src, uint32_t n);

/* Bytes of all outputs together. */
uint32_t ts_image_output_bytes(const ts_image *image);

/* Copies at most `max` bytes of the outputs, put one behind the other, from `offset` on; returns how many. */
uint32_t ts_image_outputs(const ts_image *image, uint32_t offset, uint8_t *dst, uint32_t max);

/* A class and its score. */
typedef struct ts_rank {
    uint32_t index;
    int16_t score;
} ts_rank;

/* The best of output 0, best first, the lower class first among equals. Returns how many, at most
 * TS_LINK_TOP. */
uint32_t ts_image_top(const ts_image *image, ts_rank top[TS_LINK_TOP]);

#endif
