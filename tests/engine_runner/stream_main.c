/* Usage: stream_main TABLES.so ROWS < rows > results
 * Pushes ROWS rows into every stream of a shared object of generated tables and writes their answers. All of it is done
 * twice in the same arena, with the same result. As main.c it is built with sanitizers, and the arena is on the heap,
 * no byte longer than the stream asks for and full of rubbish at first. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_table.h"
#include "stream.h"

static void check(int ok, const char *text) {
    if (!ok) {
        fprintf(stderr, "%s\n", text);
        exit(1);
    }
}

static void *allocate(size_t bytes) {
    void *memory = malloc(bytes);
    check(memory != NULL, "no memory");
    return memory;
}

static size_t output_bytes(const ts_model *model) {
    const ts_tensor *t = &model->tensors[model->outputs[0]];
    return (size_t)t->height * t->row_bytes;
}

/* Answers one behind the other in `results`; returns how many. */
static uint32_t run(ts_stream *s, const int8_t *rows, uint32_t count, int8_t *results) {
    const ts_model *body = s->model->body;
    const uint32_t row_bytes = body->tensors[body->input].row_bytes;
    const size_t bytes = output_bytes(s->model->tail);
    uint32_t answers = 0, found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int is_due = ts_stream_push(s, rows + (size_t)i * row_bytes);
        const int expected = i + 1 >= s->model->rows && (i + 1 - s->model->rows) % s->model->hop == 0;
        check(is_due == expected, "a window is complete at another row than it should");
        const int8_t *answer = ts_stream_answer(s, &found);
        check(is_due == (answer != NULL), "an answer without a window, or none to a window");
        if (is_due) {
            check(found == bytes, "an answer of another length");
            memcpy(results + answers++ * bytes, answer, bytes);
        }
    }
    return answers;
}

static void run_stream(const ts_stream_model *model, const int8_t *rows, uint32_t count) {
    const size_t room = output_bytes(model->tail) * (count + 1);
    void *arena = allocate(model->arena_bytes);
    int8_t *first = allocate(room);
    int8_t *second = allocate(room);
    ts_stream s;
    memset(arena, 0xA5, model->arena_bytes);
    check(ts_stream_begin(&s, model, arena, model->arena_bytes - 1) == TS_ERR_ARENA, "too small an arena");
    check(ts_stream_begin(&s, model, arena, model->arena_bytes) == TS_OK, "begin");
    const uint32_t answers = run(&s, rows, count, first);
    check(ts_stream_begin(&s, model, arena, model->arena_bytes) == TS_OK, "begin again");
    check(run(&s, rows, count, second) == answers, "as many answers the second time");
    const size_t bytes = answers * output_bytes(model->tail);
    check(memcmp(first, second, bytes) == 0, "another answer the second time");
    fwrite(first, 1, bytes, stdout);
    free(first);
    free(second);
    free(arena);
}

int main(int argc, char **argv) {
    void *tables = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
    check(tables != NULL, argc == 3 ? dlerror() : "usage: stream_main TABLES.so ROWS");
    const ts_stream_model *const *streams = dlsym(tables, "ts_stream_table");
    const uint16_t *n_streams = dlsym(tables, "ts_model_count");
    check(streams != NULL && n_streams != NULL, "no tables");
    const uint32_t count = (uint32_t)strtoul(argv[2], NULL, 10);
    const ts_model *body = streams[0]->body;
    const size_t row_bytes = body->tensors[body->input].row_bytes;
    int8_t *rows = allocate(row_bytes * count);
    check(fread(rows, row_bytes, count, stdin) == count, "rows missing");
    for (uint32_t m = 0; m < *n_streams; m++) {
        run_stream(streams[m], rows, count);
    }
    free(rows);
    return 0;
}
