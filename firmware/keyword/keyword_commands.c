#include "keyword_commands.h"

#include <string.h>

#include "board.h"
#include "bytes.h"
#include "kept.h"
#include "keywords.h"
#include "model_table.h"

enum {
    CLASS_NAME_MAX = 31,
    SAMPLE_BYTES = 2,
    SOUND_SAMPLES = 64, /* at once, for the stack's sake */
    ANSWER_BYTES = 18,  /* of an answer without its probabilities */
    PROBABILITY_BYTES = 3,
    DETECTION_BYTES = 12,
};

static ts_keywords *keywords_of(const ts_link *l) {
    return l->application->context;
}

void ts_keyword_session(ts_link *l) {
    ts_keywords_session(keywords_of(l));
}

static uint8_t *describe(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    (void)l;
    const uint16_t entry = get16(f->payload);
    if (entry >= ts_model_count) {
        *refusal = ts_refuse(TS_LINK_ERR_MODEL, ts_model_count);
        return answer;
    }
    uint8_t *p = put16(put32(put16(answer, entry), TS_FRONTEND_RATE), TS_FRONTEND_WINDOW);
    p = put16(put16(put16(p, TS_FRONTEND_STEP), TS_FRONTEND_ROWS), TS_FRONTEND_CHANNELS);
    p = put8(put16(p, ts_keyword_steps[entry]), ts_stream_table[entry] != NULL);
    p = put8(put8(p, ts_keyword_first_word), ts_keyword_class_count);
    for (uint32_t c = 0; c < ts_keyword_class_count; c++) {
        p = put_string(p, ts_keyword_classes[c], CLASS_NAME_MAX);
    }
    return p;
}

static uint8_t *set_detector(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    ts_detector *d = &keywords_of(l)->spotter.detector;
    const uint16_t average = get16(f->payload);
    const uint8_t minimum = f->payload[6];
    if (average < 1 || average > TS_DETECTOR_AVERAGE_MS) {
        *refusal = ts_refuse(TS_LINK_ERR_LIMIT, TS_DETECTOR_AVERAGE_MS);
    } else if (minimum < 1 || minimum > TS_DETECTOR_MINIMUM) {
        *refusal = ts_refuse(TS_LINK_ERR_LIMIT, TS_DETECTOR_MINIMUM);
    } else {
        d->average_ms = average;
        d->threshold = get16(f->payload + 2);
        d->suppression_ms = get16(f->payload + 4);
        d->minimum = minimum;
    }
    return answer;
}

static uint8_t *listen(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    if (f->payload[0] >= TS_KEYWORDS_SOURCES) {
        *refusal = ts_refuse(TS_LINK_ERR_LIMIT, TS_KEYWORDS_SOURCES - 1);
    } else if (ts_keywords_source(keywords_of(l), f->payload[0]) != 0) {
        *refusal = ts_refuse(TS_LINK_ERR_MICROPHONE, BOARD_AUDIO_NONE);
    }
    return answer;
}

static uint8_t *sound(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    ts_keywords *k = keywords_of(l);
    if (k->source != TS_KEYWORDS_LINK) {
        *refusal = ts_refuse(TS_LINK_ERR_STATE, k->source);
        return answer;
    }
    if (f->payload_bytes % SAMPLE_BYTES != 0) {
        *refusal = ts_refuse(TS_LINK_ERR_LENGTH, f->payload_bytes);
        return answer;
    }
    int16_t samples[SOUND_SAMPLES];
    for (uint32_t at = 0, n; at < f->payload_bytes; at += n * SAMPLE_BYTES) {
        const uint32_t left = (f->payload_bytes - at) / SAMPLE_BYTES;
        n = left < SOUND_SAMPLES ? left : SOUND_SAMPLES;
        for (uint32_t i = 0; i < n; i++) {
            samples[i] = (int16_t)get16(f->payload + at + SAMPLE_BYTES * i);
        }
        ts_keywords_take(k, samples, n);
    }
    const ts_spotter *s = &k->spotter;
    return put32(put32(put32(answer, s->samples), s->rows), s->detector.answered);
}

static uint8_t *put_answer(uint8_t *p, const ts_answer *a) {
    p = put8(put8(put32(p, a->first), a->entry), a->best);
    p = put32(put32(put32(p, a->feature_ticks), a->inference_ticks), a->crc);
    for (uint32_t c = 0; c < ts_keyword_class_count; c++) {
        p = put16(put8(p, a->raw[c]), a->mean[c]);
    }
    return p;
}

static uint8_t *put_state(uint8_t *p, const ts_keywords *k) {
    const ts_spotter *s = &k->spotter;
    board_audio audio;
    board_audio_status(&audio);
    p = put32(put32(put32(put32(p, s->detector.answered), s->detector.detected), s->rows), s->samples);
    p = put8(put8(put16(p, s->entry), k->source), (uint32_t)audio.state);
    p = put32(put32(put32(p, audio.lost), audio.retries), k->longest);
    p = put32(put32(p, board_stack_peak()), board_rx_lost());
    return put16(put16(p, k->level), k->load.permille);
}

static uint8_t *scores(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    (void)refusal;
    const ts_keywords *k = keywords_of(l);
    const ts_detector *d = &k->spotter.detector;
    uint32_t number = ts_first_kept(get32(f->payload), d->answered, TS_DETECTOR_ANSWERS);
    uint8_t *p = put8(put32(put_state(answer, k), number), ts_keyword_class_count);
    const uint32_t size = ANSWER_BYTES + PROBABILITY_BYTES * ts_keyword_class_count;
    for (; number != d->answered && p + size <= answer + TS_LINK_PAYLOAD; number++) {
        p = put_answer(p, &d->answers[number % TS_DETECTOR_ANSWERS]);
    }
    return p;
}

static uint8_t *detections(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    (void)refusal;
    const ts_detector *d = &keywords_of(l)->spotter.detector;
    uint32_t number = ts_first_kept(get32(f->payload), d->detected, TS_DETECTOR_DETECTIONS);
    uint8_t *p = put32(put32(answer, d->detected), number);
    for (; number != d->detected && p + DETECTION_BYTES <= answer + TS_LINK_PAYLOAD; number++) {
        const ts_detection *found = &d->detections[number % TS_DETECTOR_DETECTIONS];
        p = put32(put32(p, found->answer), found->row);
        p = put16(put8(put8(p, found->entry), found->word), found->mean);
    }
    return p;
}

static uint8_t *features(ts_link *l, const ts_frame *f, uint8_t *answer, ts_refusal *refusal) {
    (void)refusal;
    const ts_spotter *s = &keywords_of(l)->spotter;
    uint32_t number = ts_first_kept(get32(f->payload), s->rows, TS_SPOTTER_ROWS);
    uint8_t *p = put32(put32(answer, s->rows), number);
    for (; number != s->rows && p + TS_FRONTEND_CHANNELS <= answer + TS_LINK_PAYLOAD; number++) {
        memcpy(p, s->ring[number % TS_SPOTTER_ROWS], TS_FRONTEND_CHANNELS);
        p += TS_FRONTEND_CHANNELS;
    }
    return p;
}

const ts_command ts_keyword_commands[TS_KEYWORD_COMMANDS] = {
    {TS_LINK_KEYWORD, 2, 2, describe},  {TS_LINK_DETECTOR, 7, 7, set_detector},
    {TS_LINK_LISTEN, 1, 1, listen},     {TS_LINK_SOUND, SAMPLE_BYTES, TS_LINK_PAYLOAD, sound},
    {TS_LINK_SCORES, 4, 4, scores},     {TS_LINK_DETECTIONS, 4, 4, detections},
    {TS_LINK_FEATURES, 4, 4, features},
};
