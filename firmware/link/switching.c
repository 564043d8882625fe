#include "switching.h"

#include <string.h>

#include "board.h"
#include "bytes.h"
#include "image.h"
#include "tasks.h"

enum {
    PERMILLE_MAX = 10000, /* of what is added to a predicted time */
    CHARGE_MAX = 1000,
};

void ts_link_use(ts_link *l, uint16_t entry) {
    l->switcher.entry = entry;
    ts_image_select(&l->image, ts_model_table[entry].model);
    ts_switcher_grant(&l->switcher, l->held);
}

uint8_t *ts_link_table(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    const uint16_t index = get16(payload);
    if (index >= ts_model_count) {
        *refusal = ts_refuse(TS_LINK_ERR_MODEL, ts_model_count);
        return answer;
    }
    const ts_entry *e = &ts_model_table[index];
    uint8_t *p = put32(put16(answer, index), ts_switcher_cycles(&l->switcher, index));
    p = put8(put8(put16(p, e->accuracy), e->energy), e->group);
    return put16(p, e->model->n_stages);
}

uint8_t *ts_link_policy(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    const ts_policy policy = {
        .kind = payload[0],
        .option = get16(payload + 1),
        .threshold = get16(payload + 3),
        .up_frames = payload[6],
        .safety_permille = get16(payload + 7),
        .margin_permille = get16(payload + 9),
    };
    if (policy.kind >= TS_POLICY_KINDS) {
        *refusal = ts_refuse(TS_LINK_ERR_POLICY, TS_POLICY_KINDS);
    } else if (policy.option >= ts_model_count) {
        *refusal = ts_refuse(TS_LINK_ERR_MODEL, ts_model_count);
    } else if (policy.safety_permille > PERMILLE_MAX || policy.margin_permille > PERMILLE_MAX) {
        *refusal = ts_refuse(TS_LINK_ERR_LIMIT, PERMILLE_MAX);
    } else {
        ts_switcher_set_policy(&l->switcher, &policy, payload[5]);
    }
    return answer;
}

uint8_t *ts_link_task(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    const uint8_t slot = payload[0];
    switch (ts_tasks_set(slot, payload[1], get16(payload + 2), get32(payload + 4))) {
    case TS_TASKS_ERR_SLOT:
        *refusal = ts_refuse(TS_LINK_ERR_SLOT, TS_TASKS);
        return answer;
    case TS_TASKS_ERR_SHARE:
        *refusal = ts_refuse(TS_LINK_ERR_SHARE, TS_TASKS_SHARE);
        return answer;
    case TS_TASKS_ERR_RAM:
        *refusal = ts_refuse(TS_LINK_ERR_MEMORY, ts_tasks_most());
        return answer;
    default:
        break;
    }
    const ts_image *im = &l->image;
    const uint32_t used = im->state == TS_LINK_IDLE ? 0 : im->model->arena_bytes;
    ts_switcher_grant(&l->switcher, used > l->held ? used : l->held);
    return put32(answer, ts_tasks_granted(slot));
}

uint8_t *ts_link_limits(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    const uint16_t battery = get16(payload + 4);
    if (battery > CHARGE_MAX && battery != TS_BATTERY_UNKNOWN) {
        *refusal = ts_refuse(TS_LINK_ERR_LIMIT, CHARGE_MAX);
        return answer;
    }
    l->switcher.deadline_us = get32(payload);
    l->switcher.battery_permille = battery;
    return answer;
}

static uint8_t *put_budget(uint8_t *p, const ts_budget *b) {
    p = put32(put32(put32(p, b->ram_bytes), b->ram_low_bytes), b->deadline_us);
    return put16(put16(put16(p, b->cpu_permille), b->cpu_high_permille), b->battery_permille);
}

/* Difference of the two best scores of the image that is complete, in 1/256 of the output's unit. With one score
 * only there is no doubt. */
static uint32_t score_margin(const ts_image *im) {
    ts_rank top[TS_LINK_TOP];
    if (ts_image_top(im, top) < 2) {
        return UINT32_MAX;
    }
    const float margin = (float)(top[0].score - top[1].score) * im->model->output_quantisation[0].scale * 256;
    return margin >= 65535 ? UINT32_MAX : margin > 0 ? (uint32_t)margin : 0;
}

uint8_t *ts_link_next(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    const uint64_t stolen = ts_tasks_stolen(), start = board_cycles();
    const ts_image *im = &l->image;
    ts_switcher *s = &l->switcher;
    const uint8_t group = payload[0], again = payload[1];
    ts_decision d;
    if (again) {
        if (im->state != TS_LINK_DONE || ts_model_table[s->entry].group != group ||
            ts_switcher_again(s, score_margin(im), im->cycles, &d) != 0) {
            *refusal = ts_refuse(TS_LINK_ERR_STATE, im->state);
            return answer;
        }
    } else if (ts_switcher_next(s, group, &d) != 0) {
        *refusal = ts_refuse(TS_LINK_ERR_GROUP, group);
        return answer;
    }
    if (!again || d.escalate) {
        l->held = 0; /* the tasks may have got it */
        ts_image_select(&l->image, ts_model_table[d.entry].model);
    }
    uint8_t *p = put8(put8(put16(answer, d.entry), d.reason), (uint32_t)(d.fits | d.escalate << 1));
    p = put_budget(put32(p, d.predicted_us), &d.budget);
    const uint64_t passed = board_cycles() - start, taken = ts_tasks_stolen() - stolen;
    const uint64_t ticks = passed > taken ? passed - taken : 0;
    return put32(p, ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
}

uint8_t *ts_link_status(ts_link *l, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal) {
    (void)payload, (void)refusal;
    ts_switcher *s = &l->switcher;
    const ts_budget budget = ts_switcher_budget(s);
    uint8_t *p = put64(put64(put64(answer, board_cycles()), ts_tasks_stolen()), ts_tasks_yielded());
    p = put_budget(put32(put16(p, s->entry), s->switches), &budget);
    p = put32(put32(p, s->monitor.supply_mv), ts_tasks_damaged());
    for (uint32_t slot = 0; slot < TS_TASKS; slot++) {
        p = put32(p, ts_tasks_granted(slot));
    }
    return p;
}
