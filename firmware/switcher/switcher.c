#include "switcher.h"

#include <string.h>

#include "board.h"
#include "tasks.h"

static ts_monitor *sampled; /* by the interrupt */

static void sample(uint64_t now, uint64_t stolen) {
    ts_monitor_sample(sampled, now, stolen);
}

/* Least arena with which every group can still run something. */
static uint32_t least_arena(void) {
    uint32_t least = 0;
    for (uint32_t i = 0; i < ts_model_count; i++) {
        uint32_t smallest = UINT32_MAX;
        for (uint32_t k = 0; k < ts_model_count; k++) {
            const uint32_t bytes = ts_model_table[k].model->arena_bytes;
            if (ts_model_table[k].group == ts_model_table[i].group && bytes < smallest) {
                smallest = bytes;
            }
        }
        least = smallest > least ? smallest : least;
    }
    return least;
}

void ts_switcher_init(ts_switcher *s) {
    ts_tasks_init(ts_arena, ts_arena_bytes, least_arena(), sample);
    ts_tasks_inference(TS_SWITCHER_PRIORITY);
    memset(s, 0, sizeof *s);
    ts_monitor_init(&s->monitor);
    sampled = &s->monitor;
    s->policy.kind = TS_POLICY_FIXED;
    s->priority = TS_SWITCHER_PRIORITY;
    s->battery_permille = TS_BATTERY_UNKNOWN;
}

void ts_switcher_set_policy(ts_switcher *s, const ts_policy *policy, uint8_t priority) {
    s->policy = *policy;
    s->priority = priority;
    memset(s->states, 0, sizeof s->states);
    ts_tasks_inference(priority);
}

ts_budget ts_switcher_budget(ts_switcher *s) {
    ts_budget b;
    memset(&b, 0, sizeof b);
    b.ram_bytes = ts_tasks_left(&b.ram_low_bytes);
    b.clock_hz = board_clock_hz;
    b.deadline_us = s->deadline_us;
    b.cpu_permille = (uint16_t)ts_monitor_cpu(&s->monitor);
    const uint32_t declared = ts_tasks_declared();
    b.cpu_high_permille = declared < b.cpu_permille ? (uint16_t)declared : b.cpu_permille;
    b.battery_permille = s->battery_permille != TS_BATTERY_UNKNOWN ? s->battery_permille
                                                                   : ts_monitor_charge(s->monitor.supply_mv);
    return b;
}

void ts_switcher_grant(ts_switcher *s, uint32_t in_use) {
    const int gives_way = s->policy.kind == TS_POLICY_PRIORITY;
    const uint32_t wanted = gives_way ? ts_model_table[s->entry].model->arena_bytes : 0;
    ts_tasks_grant(in_use, in_use > wanted ? in_use : wanted);
}

/* Makes the entries of `group` the options; returns how many. */
static uint32_t gather(ts_switcher *s, uint8_t group) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < ts_model_count && n < TS_SWITCHER_OPTIONS; i++) {
        const ts_entry *e = &ts_model_table[i];
        if (e->group != group) {
            continue;
        }
        s->entries[n] = (uint16_t)i;
        s->options[n] = (ts_option){
            .ram_bytes = e->model->arena_bytes,
            .cycles = ts_switcher_cycles(s, (uint16_t)i),
            .macs = e->model->macs,
            .accuracy = e->accuracy,
            .energy = e->energy,
        };
        n++;
    }
    return n;
}

/* Which option an entry is; n: none. */
static uint32_t option_of(const ts_switcher *s, uint32_t n, uint16_t entry) {
    uint32_t option = 0;
    while (option < n && s->entries[option] != entry) {
        option++;
    }
    return option;
}

/* Carries out a choice among n options. */
static void apply(ts_switcher *s, uint32_t n, ts_choice choice, ts_decision *d) {
    const uint16_t entry = s->entries[choice.option];
    const int high = s->policy.kind == TS_POLICY_PRIORITY;
    d->entry = entry;
    d->reason = choice.reason;
    d->fits = choice.fits;
    d->predicted_us = ts_policy_predict_us(ts_policy_cycles(s->options, n, choice.option), board_clock_hz,
                                           high ? d->budget.cpu_high_permille : d->budget.cpu_permille);
    s->switches += entry != s->entry;
    s->entry = entry;
}

int ts_switcher_next(ts_switcher *s, uint8_t group, ts_decision *d) {
    const uint32_t n = gather(s, group);
    ts_policy policy = s->policy;
    if (policy.kind == TS_POLICY_FIXED) {
        policy.option = (uint16_t)option_of(s, n, policy.option);
        if (policy.option == n) {
            return -1;
        }
    }
    if (n == 0) {
        return -1;
    }
    ts_policy_state *state = &s->states[group < TS_SWITCHER_GROUPS ? group : TS_SWITCHER_GROUPS - 1];
    d->budget = ts_switcher_budget(s);
    d->escalate = 0;
    apply(s, n, ts_policy_choose(&policy, s->options, n, &d->budget, state), d);
    s->frame_ticks = 0;
    ts_switcher_grant(s, 0);
    return 0;
}

int ts_switcher_again(ts_switcher *s, uint32_t margin, uint64_t ticks, ts_decision *d) {
    const uint32_t n = gather(s, ts_model_table[s->entry].group);
    const uint32_t current = option_of(s, n, s->entry);
    if (current == n) {
        return -1;
    }
    s->frame_ticks += ticks;
    const uint64_t us = s->frame_ticks / (board_clock_hz / 1000000);
    d->budget = ts_switcher_budget(s);
    const ts_choice choice = ts_policy_escalate(&s->policy, s->options, n, &d->budget, current, margin,
                                                us < UINT32_MAX ? (uint32_t)us : UINT32_MAX);
    d->escalate = choice.reason == TS_REASON_ESCALATE;
    apply(s, n, choice, d);
    if (d->escalate) {
        ts_switcher_grant(s, 0);
    }
    return 0;
}

void ts_switcher_ran(ts_switcher *s, uint64_t cycles) {
    ts_monitor_learn(&s->monitor, s->entry, cycles, ts_model_table[s->entry].cycles);
}

uint32_t ts_switcher_cycles(const ts_switcher *s, uint16_t entry) {
    return ts_monitor_cycles(&s->monitor, entry, ts_model_table[entry].cycles);
}
