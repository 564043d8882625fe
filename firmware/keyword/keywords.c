#include "keywords.h"

#include <string.h>

#include "board.h"
#include "kept.h"
#include "lines.h"
#include "model_table.h"
#include "switching.h"
#include "tasks.h"

enum {
    FETCH_SAMPLES = TS_FRONTEND_STEP, /* at once: one window at most is complete then */
    POLLS_A_SECOND = 100,             /* unless something takes longer */
    LEVEL_SAMPLES = TS_FRONTEND_RATE / 10,
    LEVEL_DOUBLING = 100, /* of the level, for twice the amplitude */
    LEVEL_FULL = 1000,    /* full scale */
    FULL_SCALE_BITS = 15, /* of a sample */
};

static void start_microphones(const ts_keywords *k) {
    board_audio_start(k->source == TS_KEYWORDS_MICROPHONES ? TS_FRONTEND_RATE : 0);
}

static int has_microphones(void) {
    board_audio status;
    board_audio_status(&status);
    return status.state != BOARD_AUDIO_NONE;
}

/* The rows so far, and what was made of them, are forgotten. */
static void clear(ts_keywords *k) {
    ts_spotter_clear(&k->spotter);
    k->link->held = 0;
    k->work = 0;
    k->longest = 0;
    k->told_count = 0;
    k->level = k->level_peak = 0;
    k->level_count = 0;
    k->fetched = board_cycles();
}

int ts_keywords_source(ts_keywords *k, uint8_t source) {
    if (source == TS_KEYWORDS_MICROPHONES && !has_microphones()) {
        return -1;
    }
    k->source = source;
    clear(k);
    board_audio_start(0); /* also where they run already: the first sample is to be one from now on */
    start_microphones(k);
    return 0;
}

static uint32_t clock32(void) {
    return (uint32_t)board_cycles();
}

void ts_keywords_init(ts_keywords *k, ts_link *link) {
    memset(k, 0, sizeof *k);
    k->link = link;
    k->told_state = BOARD_AUDIO_ON;
    ts_load_begin(&k->load);
    ts_spotter_begin(&k->spotter, clock32);
    if (ts_keywords_source(k, TS_KEYWORDS_MICROPHONES) != 0) {
        k->source = TS_KEYWORDS_OFF;
    }
}

void ts_keywords_session(ts_keywords *k) {
    ts_spotter_begin(&k->spotter, clock32);
    ts_keywords_source(k, TS_KEYWORDS_OFF);
}

/* Looks at sound with the entry that the link or the policy has selected. */
static void follow(ts_keywords *k) {
    ts_spotter_use(&k->spotter, (uint8_t)k->link->switcher.entry);
}

/* Chooses the entry for the window that is complete. */
static void choose(ts_keywords *k) {
    ts_link *l = k->link;
    ts_decision decision;
    if (l->switcher.policy.kind != TS_POLICY_FIXED &&
        ts_switcher_next(&l->switcher, ts_model_table[l->switcher.entry].group, &decision) == 0) {
        if (ts_tasks_free() < l->held) {
            l->held = 0; /* tasks have got the end of it */
            ts_spotter_drop(&k->spotter);
        }
        ts_link_use(l, decision.entry);
    }
    follow(k);
}

/* Makes a row if its samples are there, and answers the window that it completes. Returns 1 if there is an answer that
 * took what answers of its entry take. */
static int advance(ts_keywords *k) {
    ts_link *l = k->link;
    ts_spotter *s = &k->spotter;
    int usual = 0;
    if (l->image.state != TS_LINK_IDLE) {
        ts_link_use(l, l->switcher.entry); /* it lies where the model computes */
    }
    if (l->held == 0) {
        ts_spotter_drop(s); /* something else has been in the arena */
    }
    follow(k);
    if (ts_spotter_row(s, ts_arena, ts_tasks_free())) {
        choose(k);
        usual = ts_spotter_answer(s, ts_arena, ts_tasks_free()) >= 0 && !s->caught_up;
    }
    l->held = s->held;
    return usual;
}

/* A sample's amplitude on a scale of doublings, with straight lines in between. */
static uint16_t level_of(uint32_t peak) {
    uint32_t bits = 0;
    while (peak >> bits > 1) {
        bits++;
    }
    const uint32_t base = UINT32_C(1) << bits;
    const uint32_t above = (FULL_SCALE_BITS * LEVEL_DOUBLING) - LEVEL_FULL;
    const uint32_t level = bits * LEVEL_DOUBLING + (peak - base) * LEVEL_DOUBLING / base;
    return (uint16_t)(peak > 0 && level > above ? level - above : 0);
}

static void meter(ts_keywords *k, const int16_t *samples, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const uint16_t amplitude = (uint16_t)(samples[i] < 0 ? -samples[i] : samples[i]);
        k->level_peak = amplitude > k->level_peak ? amplitude : k->level_peak;
        if (++k->level_count == LEVEL_SAMPLES) {
            k->level = level_of(k->level_peak);
            k->level_peak = 0;
            k->level_count = 0;
        }
    }
}

void ts_keywords_take(ts_keywords *k, const int16_t *samples, uint32_t n) {
    meter(k, samples, n);
    while (n > 0) {
        const uint64_t stolen = ts_tasks_stolen(), start = board_cycles();
        const uint32_t taken = ts_spotter_push(&k->spotter, samples, n);
        const int usual = advance(k);
        k->work += board_cycles() - start - (ts_tasks_stolen() - stolen);
        if (k->spotter.since == 0) {
            if (usual) {
                ts_switcher_ran(&k->link->switcher, k->work);
            }
            k->work = 0;
        }
        samples += taken;
        n -= taken;
        board_watchdog_kick();
    }
}

/* What the microphones have; returns how many samples. */
static uint32_t fetch(ts_keywords *k) {
    int16_t samples[FETCH_SAMPLES];
    const uint64_t now = board_cycles(), passed = now - k->fetched;
    const uint32_t n = (uint32_t)board_audio_read(samples, FETCH_SAMPLES);
    k->longest = passed > k->longest ? (uint32_t)passed : k->longest;
    k->fetched = now;
    ts_keywords_take(k, samples, n);
    return n;
}

static void tell_detections(ts_keywords *k) {
    const ts_detector *d = &k->spotter.detector;
    k->told_count = ts_first_kept(k->told_count, d->detected, TS_DETECTOR_DETECTIONS);
    for (; k->told_count != d->detected; k->told_count++) {
        const ts_detection *found = &d->detections[k->told_count % TS_DETECTOR_DETECTIONS];
        char line[TS_LINE_MAX];
        char *p = ts_line_text(ts_line_text(line, ts_keyword_classes[found->word]), " ");
        ts_line_send(line, ts_line_percent(p, (found->mean * 100u + 32768) >> 16));
    }
}

static void tell_microphones(ts_keywords *k) {
    static const char *const texts[] = {
        [BOARD_AUDIO_OFF] = "microphones: off",
        [BOARD_AUDIO_ON] = "microphones: codec answers again",
        [BOARD_AUDIO_NONE] = "microphones: none",
        [BOARD_AUDIO_SILENT] = "microphones: codec does not answer",
    };
    board_audio status;
    board_audio_status(&status);
    if (status.state != k->told_state) {
        char line[TS_LINE_MAX];
        k->told_state = (uint8_t)status.state;
        ts_line_send(line, ts_line_text(line, texts[status.state]));
    }
}

int ts_keywords_poll(ts_keywords *k) {
    const uint64_t now = board_cycles();
    if (now - k->polled < board_clock_hz / POLLS_A_SECOND) {
        return 0;
    }
    const uint32_t n = k->source == TS_KEYWORDS_MICROPHONES ? fetch(k) : 0;
    if (n < FETCH_SAMPLES) {
        k->polled = now; /* else there may be more: at once again */
    }
    ts_load_tick(&k->load);
    if (ts_link_is_alone(k->link)) {
        if (k->source != TS_KEYWORDS_MICROPHONES) {
            ts_keywords_source(k, TS_KEYWORDS_MICROPHONES);
        }
        if (k->source == TS_KEYWORDS_MICROPHONES) {
            tell_microphones(k);
            tell_detections(k);
        }
    } else {
        k->told_count = k->spotter.detector.detected;
    }
    return n > 0;
}
