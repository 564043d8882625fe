#include "commands.h"

#include <string.h>

#include "board.h"
#include "bytes.h"
#include "image.h"
#include "model_table.h"
#include "switching.h"
#include "tasks.h"

enum {
    TENSOR_BYTES = 16,
    STAGE_BYTES = 8,
    NAME_MAX = 47,  /* characters of a model's name */
    TEXT_MAX = 63,  /* characters of the strings of hello */
    FAULT_MAX = 255 /* characters of a fault report */
};

static const ts_refusal none = {TS_LINK_OK, 0};

const char *ts_link_error_text(uint8_t code) {
    static const char *const texts[] = {
        [TS_LINK_ERR_SESSION] = "not in this session: say hello",
        [TS_LINK_ERR_VERSION] = "no common protocol version",
        [TS_LINK_ERR_TYPE] = "unknown command",
        [TS_LINK_ERR_LENGTH] = "payload has the wrong length",
        [TS_LINK_ERR_MODEL] = "no such model",
        [TS_LINK_ERR_STATE] = "not now",
        [TS_LINK_ERR_OFFSET] = "data does not continue the image",
        [TS_LINK_ERR_INCOMPLETE] = "image is not complete",
        [TS_LINK_ERR_BAUD] = "speed out of range",
        [TS_LINK_ERR_RANGE] = "offset behind the end",
        [TS_LINK_ERR_ENGINE] = "engine refused the model",
        [TS_LINK_ERR_STAGES] = "too many stages to profile",
        [TS_LINK_ERR_POLICY] = "no such policy",
        [TS_LINK_ERR_LIMIT] = "number out of range",
        [TS_LINK_ERR_SLOT] = "no such slot for a task",
        [TS_LINK_ERR_SHARE] = "tasks would take too much time",
        [TS_LINK_ERR_MEMORY] = "more memory than a task can have",
        [TS_LINK_ERR_GROUP] = "policy finds no entry in the group",
        [TS_LINK_ERR_RAM] = "tasks leave too little memory",
        [TS_LINK_ERR_SENSOR] = "board has no motion sensor",
        [TS_LINK_ERR_RATE] = "samples have another rate",
        [TS_LINK_ERR_MICROPHONE] = "board has no microphone",
    };
    return texts[code];
}

/* A handler gets a payload of the length that the table below says, and returns behind the answer it has
 * written; `refusal` is TS_LINK_OK unless it changes it. */
typedef uint8_t *(*handler)(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal);

static uint8_t *hello(ts_link *l, const uint8_t *payload, uint8_t *p, ts_refusal *refusal) {
    (void)payload, (void)refusal;
    const char *fault = board_fault();
    p = put8(put8(p, TS_LINK_VERSION), board_reset_cause());
    p = put32(put16(p, ts_model_count), board_clock_hz);
    p = put32(put32(p, ts_arena_bytes), board_rx_bytes);
    p = put16(p, TS_LINK_PAYLOAD);
    p = put_string(p, board_name, TEXT_MAX);
    p = put_string(p, TS_FIRMWARE_VERSION, TEXT_MAX);
    p = put_string(p, l->application->name, TEXT_MAX);
    return put_string(p, fault ? fault : "", FAULT_MAX);
}

static uint8_t *put_tensor(uint8_t *p, const ts_tensor *t, const ts_quantisation *q) {
    p = put16(put16(put16(p, t->height), t->width), t->channels);
    p = put8(put8(p, q->is_unsigned), 0);
    return put32(put_float(p, q->scale), (uint32_t)q->zero_point);
}

static uint8_t *describe(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    (void)l;
    const uint16_t index = get16(payload);
    uint16_t output = get16(payload + 2);
    if (index >= ts_model_count) {
        *refusal = ts_refuse(TS_LINK_ERR_MODEL, ts_model_count);
        return answer;
    }
    const ts_model *m = ts_model_table[index].model;
    if (output > m->n_outputs) {
        *refusal = ts_refuse(TS_LINK_ERR_RANGE, m->n_outputs);
        return answer;
    }
    uint8_t *p = put32(put32(put16(answer, index), m->id), m->macs);
    p = put32(put32(put32(p, m->arena_bytes), m->activation_bytes), m->weight_bytes);
    p = put_tensor(p, &m->tensors[m->input], &m->input_quantisation);
    p = put_string(put16(p, m->n_outputs), m->name, NAME_MAX);
    while (output < m->n_outputs && p + TENSOR_BYTES <= answer + TS_LINK_PAYLOAD) {
        p = put_tensor(p, &m->tensors[m->outputs[output]], &m->output_quantisation[output]);
        output++;
    }
    return p;
}

static uint8_t *select_model(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    const uint16_t index = get16(payload);
    if (index < ts_model_count) {
        ts_link_use(l, index);
    } else {
        *refusal = ts_refuse(TS_LINK_ERR_MODEL, ts_model_count);
    }
    return answer;
}

static uint8_t *begin(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    (void)payload;
    l->held = 0;
    ts_link_use(l, l->switcher.entry);
    const uint32_t free_bytes = ts_tasks_free();
    if (l->image.model->arena_bytes > free_bytes) {
        *refusal = ts_refuse(TS_LINK_ERR_RAM, free_bytes);
        return answer;
    }
    const int error = ts_image_begin(&l->image, free_bytes, l->profile);
    if (error != TS_LINK_OK) {
        *refusal = ts_refuse((uint8_t)error, error == TS_LINK_ERR_STAGES ? TS_IMAGE_STAGES : 0);
    }
    return put32(answer, l->image.input_bytes);
}

static uint8_t *finish(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    (void)payload;
    const ts_image *im = &l->image;
    if (im->state != TS_LINK_DONE) {
        *refusal = im->state == TS_LINK_IDLE ? ts_refuse(TS_LINK_ERR_STATE, TS_LINK_IDLE)
                                             : ts_refuse(TS_LINK_ERR_INCOMPLETE, im->received);
        return answer;
    }
    ts_rank top[TS_LINK_TOP];
    const uint32_t n = ts_image_top(im, top);
    uint8_t *p = put32(put64(put64(answer, im->cycles), im->stolen), board_stack_peak());
    p = put32(put32(p, im->model->arena_bytes), board_rx_lost());
    p = put8(put32(p, ts_image_output_bytes(im)), n);
    for (uint32_t i = 0; i < n; i++) {
        p = put16(put32(p, top[i].index), (uint16_t)top[i].score);
    }
    return p + ts_image_outputs(im, 0, p, (uint32_t)(answer + TS_LINK_PAYLOAD - p));
}

static uint8_t *read_outputs(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    const uint32_t offset = get32(payload);
    if (l->image.state != TS_LINK_DONE) {
        *refusal = ts_refuse(TS_LINK_ERR_STATE, l->image.state);
        return answer;
    }
    const uint32_t end = ts_image_output_bytes(&l->image);
    if (offset > end) {
        *refusal = ts_refuse(TS_LINK_ERR_RANGE, end);
        return answer;
    }
    return put32(answer, offset) + ts_image_outputs(&l->image, offset, answer + 4, TS_LINK_PAYLOAD - 4);
}

static uint8_t *abort_image(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    (void)payload, (void)refusal;
    ts_link_use(l, l->switcher.entry);
    return answer;
}

static uint8_t *check_baud(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    (void)l;
    const uint32_t baud = get32(payload);
    if (baud < TS_LINK_BAUD || baud > TS_LINK_BAUD_MAX) {
        *refusal = ts_refuse(TS_LINK_ERR_BAUD, TS_LINK_BAUD_MAX);
    }
    return put32(answer, baud);
}

static uint8_t *reset(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    (void)l, (void)payload, (void)refusal;
    return answer;
}

static uint8_t *profile(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    (void)refusal;
    l->profile = payload[0] != 0;
    return answer;
}

static uint8_t *stages(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    const ts_image *im = &l->image;
    uint16_t stage = get16(payload);
    if (im->state != TS_LINK_DONE || !im->profiled) {
        *refusal = ts_refuse(TS_LINK_ERR_STATE, im->state);
        return answer;
    }
    if (stage > im->model->n_stages) {
        *refusal = ts_refuse(TS_LINK_ERR_RANGE, im->model->n_stages);
        return answer;
    }
    uint8_t *p = put16(put32(answer, ts_image_overhead()), im->model->n_stages);
    while (stage < im->model->n_stages && p + STAGE_BYTES <= answer + TS_LINK_PAYLOAD) {
        p = put32(put32(p, ts_image_ticks[stage]), ts_steps(&im->engine, stage));
        stage++;
    }
    return p;
}

/* A command that the application has added. */
static ts_refusal application_command(ts_link *l, const ts_frame *f, uint8_t *answer,
                                      uint32_t *answer_bytes) {
    const ts_application *app = l->application;
    for (uint32_t i = 0; i < app->n_commands; i++) {
        const ts_command *c = &app->commands[i];
        if (c->type != f->type) {
            continue;
        }
        if (f->payload_bytes < c->least || f->payload_bytes > c->most) {
            return ts_refuse(TS_LINK_ERR_LENGTH, f->payload_bytes);
        }
        ts_refusal refusal = none;
        *answer_bytes = (uint32_t)(c->handle(l, f, answer, &refusal) - answer);
        return refusal;
    }
    return ts_refuse(TS_LINK_ERR_TYPE, 0);
}

ts_refusal ts_link_command(ts_link *l, const ts_frame *f, uint8_t *answer, uint32_t *answer_bytes) {
    static const struct {
        handler handle;
        uint8_t payload_bytes;
    } commands[] = {
        [TS_LINK_HELLO] = {hello, 2},
        [TS_LINK_DESCRIBE] = {describe, 4},
        [TS_LINK_SELECT] = {select_model, 2},
        [TS_LINK_BEGIN] = {begin, 0},
        [TS_LINK_FINISH] = {finish, 0},
        [TS_LINK_READ] = {read_outputs, 4},
        [TS_LINK_ABORT] = {abort_image, 0},
        [TS_LINK_SET_BAUD] = {check_baud, 4},
        [TS_LINK_RESET] = {reset, 0},
        [TS_LINK_PROFILE] = {profile, 1},
        [TS_LINK_STAGES] = {stages, 2},
        [TS_LINK_TABLE] = {ts_link_table, 2},
        [TS_LINK_POLICY] = {ts_link_policy, 11},
        [TS_LINK_TASK] = {ts_link_task, 8},
        [TS_LINK_LIMITS] = {ts_link_limits, 6},
        [TS_LINK_NEXT] = {ts_link_next, 2},
        [TS_LINK_STATUS] = {ts_link_status, 0},
    };
    if (f->type >= sizeof commands / sizeof *commands || commands[f->type].handle == NULL) {
        return application_command(l, f, answer, answer_bytes);
    }
    if (f->payload_bytes != commands[f->type].payload_bytes) {
        return ts_refuse(TS_LINK_ERR_LENGTH, f->payload_bytes);
    }
    ts_refusal refusal = none;
    *answer_bytes = (uint32_t)(commands[f->type].handle(l, f->payload, answer, &refusal) - answer);
    return refusal;
}

ts_refusal ts_link_check_data(const ts_link *l, const ts_frame *f) {
    const ts_image *im = &l->image;
    if (im->state != TS_LINK_RECEIVING) {
        return ts_refuse(TS_LINK_ERR_STATE, im->state);
    }
    if (f->payload_bytes < 5 || f->payload_bytes - 4 > im->input_bytes - im->received) {
        return ts_refuse(TS_LINK_ERR_LENGTH, f->payload_bytes);
    }
    return get32(f->payload) == im->received ? none : ts_refuse(TS_LINK_ERR_OFFSET, im->received);
}
