/* Usage: main TABLES.so FRAMES < frames > results
 * Runs every model of a shared object of generated tables on each of FRAMES frames. Built with sanitizers: the
 * arena is on the heap and no byte longer than the model asks for, full of rubbish at first, and the tables
 * are apart, so that any access outside is found. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_table.h"
#include "run.h"

static void fail(const char *text) {
    fprintf(stderr, "%s\n", text);
    exit(1);
}

static void *allocate(size_t bytes) {
    void *memory = malloc(bytes);
    if (memory == NULL) {
        fail("no memory");
    }
    return memory;
}

static size_t output_bytes(const ts_model *model) {
    size_t bytes = 0;
    for (uint32_t o = 0; o < model->n_outputs; o++) {
        const ts_tensor *t = &model->tensors[model->outputs[o]];
        bytes += (size_t)t->height * t->row_bytes;
    }
    return bytes;
}

static void run_frames(const ts_model *model, const int8_t *frames, size_t frame_bytes, uint32_t count) {
    const size_t bytes = output_bytes(model);
    void *arena = allocate(model->arena_bytes);
    memset(arena, 0xA5, model->arena_bytes);
    int8_t *results = allocate(bytes);
    for (uint32_t i = 0; i < count; i++) {
        const int total = run_model(model, arena, model->arena_bytes, frames + i * frame_bytes, results);
        if (total < 0 || (size_t)total != bytes) {
            fprintf(stderr, "%s: run_model() returned %d\n", model->name, total);
            exit(1);
        }
        fwrite(results, 1, bytes, stdout);
    }
    free(results);
    free(arena);
}

int main(int argc, char **argv) {
    void *tables = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (tables == NULL) {
        fail(argc == 3 ? dlerror() : "usage: main TABLES.so FRAMES");
    }
    const ts_entry *entries = dlsym(tables, "ts_model_table");
    const uint16_t *n_entries = dlsym(tables, "ts_model_count");
    if (entries == NULL || n_entries == NULL) {
        fail("no tables");
    }
    const uint32_t count = (uint32_t)strtoul(argv[2], NULL, 10);
    const ts_tensor *input = &entries[0].model->tensors[entries[0].model->input];
    const size_t frame_bytes = (size_t)input->height * input->row_bytes;
    int8_t *frames = allocate(frame_bytes * count);
    if (fread(frames, frame_bytes, count, stdin) != count) {
        fail("frames missing");
    }
    for (uint32_t m = 0; m < *n_entries; m++) {
        run_frames(entries[m].model, frames, frame_bytes, count);
    }
    free(frames);
    return 0;
}
