#include "image.h"

#include <string.h>

#include "board.h"
#include "model_table.h"
#include "tasks.h"

uint32_t ts_image_ticks[TS_IMAGE_STAGES];

static uint32_t clock32(void) {
    return (uint32_t)board_cycles();
}

/* The least of several differences: an interrupt, or another process, may come between two readings. */
uint32_t ts_image_overhead(void) {
    const volatile ts_clock clock = clock32; /* called as the engine calls it */
    uint32_t least = UINT32_MAX;
    for (int i = 0; i < 8; i++) {
        const ts_clock read = clock;
        const uint32_t start = read();
        const uint32_t ticks = read() - start;
        least = ticks < least ? ticks : least;
    }
    return least;
}

void ts_image_select(ts_image *im, const ts_model *model) {
    const ts_tensor *input = &model->tensors[model->input];
    memset(im, 0, sizeof *im);
    im->model = model;
    im->input_bytes = input->height * input->row_bytes;
}

int ts_image_begin(ts_image *im, uint32_t arena_bytes, int profile) {
    ts_image_select(im, im->model);
    if (profile && im->model->n_stages > TS_IMAGE_STAGES) {
        return TS_LINK_ERR_STAGES;
    }
    const uint64_t stolen = ts_tasks_stolen(), start = board_cycles();
    if (ts_start(&im->engine, im->model, ts_arena, arena_bytes) != TS_OK) {
        return TS_LINK_ERR_ENGINE;
    }
    im->cycles = board_cycles() - start;
    im->stolen = ts_tasks_stolen() - stolen;
    if (profile) {
        ts_profile(&im->engine, clock32, ts_image_ticks);
        im->profiled = 1;
    }
    im->state = TS_LINK_RECEIVING;
    return TS_LINK_OK;
}

/* The row is complete: computes what can be computed from it. The last row sets off most of the work, which
 * may take longer than the watchdog waits. */
static void run_row(ts_image *im) {
    const uint64_t stolen = ts_tasks_stolen(), start = board_cycles();
    ts_push(&im->engine);
    while (ts_step(&im->engine)) {
        board_watchdog_kick();
    }
    im->cycles += board_cycles() - start;
    im->stolen += ts_tasks_stolen() - stolen;
    im->row_fill = 0;
}

void ts_image_data(ts_image *im, const uint8_t *src, uint32_t n) {
    const uint32_t row_bytes = im->model->tensors[im->model->input].row_bytes;
    while (n > 0) {
        int8_t *row = ts_input_row(&im->engine);
        if (row == NULL) {
            break; /* no stage looks at the rows that are left */
        }
        const uint32_t room = row_bytes - im->row_fill;
        const uint32_t take = n < room ? n : room;
        memcpy(row + im->row_fill, src, take);
        src += take;
        n -= take;
        im->row_fill += take;
        if (im->row_fill == row_bytes) {
            run_row(im);
        }
    }
    if (im->received == im->input_bytes) {
        im->state = TS_LINK_DONE;
    }
}

uint32_t ts_image_output_bytes(const ts_image *im) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < im->model->n_outputs; i++) {
        const ts_tensor *t = &im->model->tensors[im->model->outputs[i]];
        sum += t->height * t->row_bytes;
    }
    return sum;
}

uint32_t ts_image_outputs(const ts_image *im, uint32_t offset, uint8_t *dst, uint32_t max) {
    uint32_t copied = 0;
    for (uint32_t i = 0; i < im->model->n_outputs && copied < max; i++) {
        uint32_t bytes = 0;
        const int8_t *data = ts_output(&im->engine, i, &bytes);
        if (data == NULL) {
            break;
        }
        if (offset >= bytes) {
            offset -= bytes;
            continue;
        }
        const uint32_t rest = bytes - offset, room = max - copied;
        const uint32_t take = rest < room ? rest : room;
        memcpy(dst + copied, data + offset, take);
        copied += take;
        offset = 0;
    }
    return copied;
}

/* Puts a score into its place among the n best so far; returns the new n. */
static uint32_t insert(ts_rank top[TS_LINK_TOP], uint32_t n, ts_rank rank) {
    uint32_t at = n;
    while (at > 0 && top[at - 1].score < rank.score) {
        at--;
    }
    if (at == TS_LINK_TOP) {
        return n;
    }
    n = n < TS_LINK_TOP ? n + 1 : n;
    memmove(&top[at + 1], &top[at], (n - 1 - at) * sizeof *top);
    top[at] = rank;
    return n;
}

uint32_t ts_image_top(const ts_image *im, ts_rank top[TS_LINK_TOP]) {
    const int is_unsigned = im->model->output_quantisation[0].is_unsigned;
    uint32_t bytes = 0, n = 0;
    const int8_t *scores = ts_output(&im->engine, 0, &bytes);
    for (uint32_t i = 0; scores != NULL && i < bytes; i++) {
        const int16_t score = is_unsigned ? (int16_t)(uint8_t)scores[i] : scores[i];
        n = insert(top, n, (ts_rank){i, score});
    }
    return n;
}
