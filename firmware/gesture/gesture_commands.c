#include "gesture_commands.h"

#include <string.h>

#include "board.h"
#include "bytes.h"
#include "gestures.h"
#include "kept.h"
#include "model_table.h"

enum {
    CLASS_NAME_MAX = 31,
    SAMPLE_BYTES = TS_RECOGNISER_AXES * 2,
    RATE_BYTES = 4,    /* in front of samples */
    RESULT_BYTES = 14, /* of a result without its probabilities */
    PROBABILITY_BYTES = 3,
};

static ts_gestures *gestures_of(const ts_link *l) {
    return l->application->context;
}

void ts_gesture_session(ts_link *l) {
    ts_gestures_session(gestures_of(l));
}

static uint8_t *describe(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    (void)l;
    const uint16_t entry = get16(f->payload);
    if (entry >= ts_model_count) {
        *refusal = ts_refuse(TS_LINK_ERR_MODEL, ts_model_count);
        return answer;
    }
    const ts_gesture *g = &ts_gesture_table[entry];
    uint8_t *p = put16(put32(put16(answer, entry), g->rate_mhz), g->samples);
    p = put8(put16(put8(p, g->log2_length), g->step), g->n_features);
    memcpy(p, g->features, g->n_features);
    p = put8(p + g->n_features, ts_gesture_class_count);
    for (uint32_t c = 0; c < ts_gesture_class_count; c++) {
        p = put_string(p, ts_gesture_classes[c], CLASS_NAME_MAX);
    }
    return p;
}

static uint8_t *set_smoothing(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    ts_recogniser *r = &gestures_of(l)->recogniser;
    if (f->payload[0] < 1 || f->payload[0] > TS_RECOGNISER_SMOOTHING) {
        *refusal = ts_refuse(TS_LINK_ERR_LIMIT, TS_RECOGNISER_SMOOTHING);
        return answer;
    }
    r->smoothing = f->payload[0];
    r->threshold = get16(f->payload + 1);
    return answer;
}

static uint8_t *set_source(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    if (f->payload[0] >= TS_GESTURES_SOURCES) {
        *refusal = ts_refuse(TS_LINK_ERR_LIMIT, TS_GESTURES_SOURCES - 1);
    } else if (ts_gestures_source(gestures_of(l), f->payload[0]) != 0) {
        *refusal = ts_refuse(TS_LINK_ERR_SENSOR, BOARD_MOTION_NONE);
    }
    return answer;
}

static uint8_t *push(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    ts_gestures *g = gestures_of(l);
    ts_recogniser *r = &g->recogniser;
    const uint32_t rate = ts_gesture_table[r->entry].rate_mhz;
    if (g->source != TS_GESTURES_LINK) {
        *refusal = ts_refuse(TS_LINK_ERR_STATE, g->source);
        return answer;
    }
    if ((f->payload_bytes - RATE_BYTES) % SAMPLE_BYTES != 0) {
        *refusal = ts_refuse(TS_LINK_ERR_LENGTH, f->payload_bytes);
        return answer;
    }
    if (get32(f->payload) != rate) {
        *refusal = ts_refuse(TS_LINK_ERR_RATE, rate);
        return answer;
    }
    const uint8_t *src = f->payload + RATE_BYTES, *end = f->payload + f->payload_bytes;
    int more = 1;
    for (; more && src < end; src += SAMPLE_BYTES) {
        int16_t xyz[TS_RECOGNISER_AXES];
        for (uint32_t axis = 0; axis < TS_RECOGNISER_AXES; axis++) {
            xyz[axis] = (int16_t)get16(src + 2 * axis);
        }
        ts_gestures_take(g, xyz, 1);
        more = ts_gesture_table[r->entry].rate_mhz == rate;
    }
    return put32(put16(put32(answer, r->samples), r->entry), ts_gesture_table[r->entry].rate_mhz);
}

static uint8_t *put_result(uint8_t *p, const ts_result *result) {
    p = put8(put8(put32(p, result->first), result->entry), result->answer);
    p = put32(put32(p, result->feature_ticks), result->inference_ticks);
    for (uint32_t c = 0; c < ts_gesture_class_count; c++) {
        p = put16(put8(p, result->raw[c]), result->smoothed[c]);
    }
    return p;
}

static uint8_t *results(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    (void)refusal;
    const ts_gestures *g = gestures_of(l);
    const ts_recogniser *r = &g->recogniser;
    board_motion motion;
    board_motion_status(&motion);
    uint8_t *p = put32(put32(answer, r->count), r->samples);
    p = put8(put8(put16(p, r->entry), g->source), (uint32_t)motion.state);
    p = put32(put32(put32(put32(p, motion.rate_mhz), motion.lost), motion.errors), motion.restarts);
    p = put32(put32(p, board_stack_peak()), board_rx_lost());
    uint32_t number = ts_first_kept(get32(f->payload), r->count, TS_RECOGNISER_RESULTS);
    const uint32_t size = RESULT_BYTES + PROBABILITY_BYTES * ts_gesture_class_count;
    p = put8(put32(p, number), ts_gesture_class_count);
    while (number != r->count && p + size <= answer + TS_LINK_PAYLOAD) {
        p = put_result(p, &r->results[number % TS_RECOGNISER_RESULTS]);
        number++;
    }
    return p;
}

static uint8_t *motion(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    (void)refusal;
    const ts_recogniser *r = &gestures_of(l)->recogniser;
    uint32_t number = ts_first_kept(get32(f->payload), r->samples, TS_RECOGNISER_RING);
    uint8_t *p = put32(put32(answer, number), ts_gesture_table[r->entry].rate_mhz);
    while (number != r->samples && p + SAMPLE_BYTES <= answer + TS_LINK_PAYLOAD) {
        const int16_t *xyz = &r->ring[number % TS_RECOGNISER_RING * TS_RECOGNISER_AXES];
        for (uint32_t axis = 0; axis < TS_RECOGNISER_AXES; axis++) {
            p = put16(p, (uint16_t)xyz[axis]);
        }
        number++;
    }
    return p;
}

const ts_command ts_gesture_commands[TS_GESTURE_COMMANDS] = {
    {TS_LINK_GESTURE, 2, 2, describe},  {TS_LINK_SMOOTHING, 3, 3, set_smoothing},
    {TS_LINK_SOURCE, 1, 1, set_source}, {TS_LINK_PUSH, RATE_BYTES + SAMPLE_BYTES, TS_LINK_PAYLOAD, push},
    {TS_LINK_RESULTS, 4, 4, results},   {TS_LINK_MOTION, 4, 4, motion},
};
