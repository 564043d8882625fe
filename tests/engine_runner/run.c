#include "run.h"

#include <string.h>

int run_model(const ts_model *model, void *arena, size_t arena_bytes, const int8_t *frame, int8_t *results) {
    ts_engine engine;
    const ts_tensor *input = &model->tensors[model->input];
    int error = ts_start(&engine, model, arena, arena_bytes);
    uint32_t rows = 0;
    for (int8_t *at; error == TS_OK && (at = ts_input_row(&engine)) != NULL; rows++) {
        memcpy(at, frame + rows * input->row_bytes, input->row_bytes);
        error = ts_run(&engine);
    }
    if (error != TS_OK || rows != input->height) {
        return error != TS_OK ? error : -100;
    }
    int total = 0;
    for (uint32_t o = 0; o < model->n_outputs; o++) {
        uint32_t bytes = 0;
        const int8_t *from = ts_output(&engine, o, &bytes);
        memcpy(results + total, from, bytes);
        total += (int)bytes;
    }
    return total;
}
