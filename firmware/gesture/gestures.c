#include "gestures.h"

#include <string.h>

#include "board.h"
#include "lines.h"
#include "model_table.h"
#include "switching.h"
#include "tasks.h"

enum {
    SENSOR_SAMPLES = 32, /* fetched at once: what the sensor's memory holds */
    NOTHING_TOLD = TS_RECOGNISER_UNCERTAIN - 1,
};

static uint32_t rate_of(uint8_t entry) {
    return ts_gesture_table[entry].rate_mhz;
}

static void start_sensor(ts_gestures *g) {
    board_motion_start(g->source == TS_GESTURES_SENSOR ? rate_of(g->recogniser.entry) : 0);
}

static int has_sensor(void) {
    board_motion status;
    board_motion_status(&status);
    return status.state != BOARD_MOTION_NONE;
}

int ts_gestures_source(ts_gestures *g, uint8_t source) {
    if (source == TS_GESTURES_SENSOR && !has_sensor()) {
        return -1;
    }
    g->source = source;
    ts_recogniser_clear(&g->recogniser);
    g->told_count = 0;
    board_motion_start(0); /* also where it runs already: the first sample is to be one from now on */
    start_sensor(g);
    return 0;
}

void ts_gestures_init(ts_gestures *g, ts_link *link) {
    memset(g, 0, sizeof *g);
    g->link = link;
    g->told_answer = NOTHING_TOLD;
    g->told_state = BOARD_MOTION_ON;
    ts_recogniser_begin(&g->recogniser);
    if (ts_gestures_source(g, TS_GESTURES_SENSOR) != 0) {
        g->source = TS_GESTURES_OFF;
    }
}

void ts_gestures_session(ts_gestures *g) {
    ts_recogniser_begin(&g->recogniser);
    g->told_answer = NOTHING_TOLD;
    ts_gestures_source(g, TS_GESTURES_OFF);
}

/* Cuts windows for the entry that the link or the policy has selected. Returns 1 if samples have to be taken anew. */
static int follow(ts_gestures *g) {
    const uint8_t entry = (uint8_t)g->link->switcher.entry;
    if (entry == g->recogniser.entry) {
        return 0;
    }
    const uint32_t rate = rate_of(g->recogniser.entry);
    const int anew = ts_recogniser_use(&g->recogniser, entry);
    if (rate_of(entry) != rate) {
        start_sensor(g);
    }
    return anew;
}

static uint32_t clock32(void) {
    return (uint32_t)board_cycles();
}

/* Chooses the entry for the window that is due, and lets it answer if it can use the samples. An image in progress is
 * forgotten: it lies where the model computes. */
static void answer(ts_gestures *g) {
    ts_link *l = g->link;
    ts_switcher *s = &l->switcher;
    ts_decision decision;
    uint16_t entry = s->entry;
    if (s->policy.kind != TS_POLICY_FIXED &&
        ts_switcher_next(s, ts_model_table[entry].group, &decision) == 0) {
        entry = decision.entry;
    }
    ts_link_use(l, entry);
    if (follow(g)) {
        return;
    }
    const uint64_t stolen = ts_tasks_stolen(), start = board_cycles();
    if (ts_recogniser_answer(&g->recogniser, ts_model_table[entry].model, ts_arena, ts_tasks_free(),
                             clock32) == 0) {
        ts_switcher_ran(s, board_cycles() - start - (ts_tasks_stolen() - stolen));
    }
}

uint32_t ts_gestures_take(ts_gestures *g, const int16_t *xyz, uint32_t n) {
    ts_recogniser *r = &g->recogniser;
    const uint32_t rate = rate_of(r->entry);
    uint32_t taken = 0;
    while (taken < n && rate_of(r->entry) == rate) {
        taken += ts_recogniser_push(r, xyz + taken * TS_RECOGNISER_AXES, n - taken);
        if (ts_recogniser_due(r)) {
            answer(g);
            board_watchdog_kick();
        }
    }
    return taken;
}

/* The newest answer, if it differs from the one told last. */
static void tell_answer(ts_gestures *g) {
    const ts_recogniser *r = &g->recogniser;
    if (r->count == g->told_count) {
        return;
    }
    g->told_count = r->count;
    const ts_result *result = &r->results[(r->count - 1) % TS_RECOGNISER_RESULTS];
    if (result->answer == g->told_answer) {
        return;
    }
    g->told_answer = result->answer;
    char line[TS_LINE_MAX], *p = line;
    if (result->answer == TS_RECOGNISER_UNCERTAIN) {
        p = ts_line_text(p, "uncertain");
    } else {
        p = ts_line_text(ts_line_text(p, ts_gesture_classes[result->answer]), " ");
        p = ts_line_percent(p, (result->smoothed[result->answer] * 100u + 32768) >> 16);
    }
    ts_line_send(line, p);
}

static void tell_sensor(ts_gestures *g) {
    static const char *const texts[] = {
        [BOARD_MOTION_OFF] = "motion sensor: off",
        [BOARD_MOTION_ON] = "motion sensor: answers again",
        [BOARD_MOTION_NONE] = "motion sensor: none",
        [BOARD_MOTION_SILENT] = "motion sensor: does not answer",
        [BOARD_MOTION_STUCK] = "motion sensor: its bus is stuck",
    };
    board_motion status;
    board_motion_status(&status);
    if (status.state != g->told_state) {
        char line[TS_LINE_MAX];
        g->told_state = (uint8_t)status.state;
        ts_line_send(line, ts_line_text(line, texts[status.state]));
    }
}

int ts_gestures_poll(ts_gestures *g) {
    uint32_t n = 0;
    follow(g);
    if (g->source == TS_GESTURES_SENSOR) {
        int16_t xyz[SENSOR_SAMPLES * TS_RECOGNISER_AXES];
        n = (uint32_t)board_motion_read(xyz, SENSOR_SAMPLES);
        ts_gestures_take(g, xyz, n);
    }
    if (ts_link_is_alone(g->link)) {
        if (g->source != TS_GESTURES_SENSOR) {
            ts_gestures_source(g, TS_GESTURES_SENSOR);
        }
        if (g->source == TS_GESTURES_SENSOR) {
            tell_sensor(g);
            tell_answer(g);
        }
    }
    return n > 0;
}
