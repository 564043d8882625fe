#include "policy.h"

#include <string.h>

enum {
    CYCLES_A_MAC = 2,       /* where no option's cycles are known; the engine's kernels take 1.1 to 1.9 */
    BATTERY_LOW = 100,      /* permille: only the smallest from here down ... */
    BATTERY_HIGH = 900,     /* ... and everything from here up */
    BATTERY_MARGIN = 20,    /* more that a better option needs */
    PERCENT_100 = 1000,     /* permille */
    PERMILLE_LIMIT = 10000, /* of safety and margin */
    NOBODY = 0xFFFF         /* no option */
};

/* What the rules of one decision are about. */
typedef struct view {
    const ts_policy *policy;
    const ts_option *options;
    const ts_budget *budget;
    uint32_t n;
    uint32_t slowest;       /* the option with the most cycles a MAC of those known; NOBODY: none is */
    uint32_t least, most;   /* cycles of all options */
    uint32_t used_us;       /* of the deadline */
    uint8_t accuracy_known; /* 1: of all */
} view;

static uint32_t minimum(uint64_t a, uint64_t b) {
    return (uint32_t)(a < b ? a : b);
}

static uint32_t slowest_known(const ts_option *options, uint32_t n) {
    uint32_t found = NOBODY;
    for (uint32_t i = 0; i < n; i++) {
        const ts_option *o = &options[i];
        if (o->cycles != 0 && o->macs != 0 &&
            (found == NOBODY ||
             (uint64_t)o->cycles * options[found].macs > (uint64_t)options[found].cycles * o->macs)) {
            found = i;
        }
    }
    return found;
}

static uint32_t cycles_of(const ts_option *options, uint32_t slowest, uint32_t i) {
    const ts_option *o = &options[i];
    if (o->cycles != 0) {
        return o->cycles;
    }
    if (slowest == NOBODY) {
        return minimum((uint64_t)o->macs * CYCLES_A_MAC, UINT32_MAX);
    }
    const ts_option *s = &options[slowest];
    return minimum(((uint64_t)o->macs * s->cycles + s->macs - 1) / s->macs, UINT32_MAX);
}

uint32_t ts_policy_cycles(const ts_option *options, uint32_t n, uint32_t i) {
    return cycles_of(options, slowest_known(options, n), i);
}

static uint32_t cycles(const view *v, uint32_t i) {
    return cycles_of(v->options, v->slowest, i);
}

uint32_t ts_policy_predict_us(uint32_t cycles, uint32_t clock_hz, uint32_t cpu_permille) {
    const uint64_t rate = (uint64_t)clock_hz * cpu_permille; /* cycles in 1000 s */
    if (rate == 0) {
        return cycles == 0 ? 0 : UINT32_MAX;
    }
    return minimum(((uint64_t)cycles * 1000000000u + rate - 1) / rate, UINT32_MAX);
}

static view look(const ts_policy *policy, const ts_option *options, uint32_t n, const ts_budget *budget) {
    view v = {policy, options, budget, n, slowest_known(options, n), UINT32_MAX, 0, 0, 1};
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t c = cycles(&v, i);
        v.least = c < v.least ? c : v.least;
        v.most = c > v.most ? c : v.most;
        v.accuracy_known &= options[i].accuracy != 0;
    }
    return v;
}

/* 1 if option a is to be preferred to b when both fit. A total order. */
static int better(const view *v, uint32_t a, uint32_t b) {
    const uint32_t cycles_a = cycles(v, a), cycles_b = cycles(v, b);
    if (!v->accuracy_known) {
        return cycles_a != cycles_b ? cycles_a > cycles_b : a < b;
    }
    const uint32_t accuracy_a = v->options[a].accuracy, accuracy_b = v->options[b].accuracy;
    if (accuracy_a != accuracy_b) {
        return accuracy_a > accuracy_b;
    }
    return cycles_a != cycles_b ? cycles_a < cycles_b : a < b;
}

static int fits_ram(const view *v, uint32_t i) {
    const ts_budget *b = v->budget;
    const uint64_t back = v->policy->kind == TS_POLICY_PRIORITY ? b->ram_low_bytes : 0;
    return v->options[i].ram_bytes <= b->ram_bytes + back;
}

static int looks_at_time(uint8_t kind) {
    return kind == TS_POLICY_FIXED || (kind >= TS_POLICY_DEADLINE && kind < TS_POLICY_KINDS);
}

/* `extra` 1: with the margin that a better option needs. */
static int fits_deadline(const view *v, uint32_t i, int extra) {
    const ts_budget *b = v->budget;
    if (b->deadline_us == 0 || !looks_at_time(v->policy->kind)) {
        return 1;
    }
    const uint32_t share =
        minimum(v->policy->kind == TS_POLICY_PRIORITY ? b->cpu_high_permille : b->cpu_permille, PERCENT_100);
    const uint64_t us = ts_policy_predict_us(cycles(v, i), b->clock_hz, share);
    uint32_t factor = PERCENT_100 + minimum(v->policy->safety_permille, PERMILLE_LIMIT);
    factor += extra ? minimum(v->policy->margin_permille, PERMILLE_LIMIT) : 0;
    return v->used_us < b->deadline_us && us < UINT32_MAX &&
           us * factor <= (uint64_t)(b->deadline_us - v->used_us) * PERCENT_100;
}

/* From BATTERY_LOW to BATTERY_HIGH the cycles allowed rise in a straight line from the fewest to the most that
 * an option takes: at a fixed clock, energy goes with the cycles that the processor is awake. */
static int fits_energy(const view *v, uint32_t i, int extra) {
    uint32_t charge = v->budget->battery_permille;
    if (v->policy->kind != TS_POLICY_ENERGY || charge == TS_BATTERY_UNKNOWN) {
        return 1;
    }
    const uint32_t needed = BATTERY_LOW + (extra ? BATTERY_MARGIN : 0);
    charge = charge > needed ? minimum(charge - needed, BATTERY_HIGH - BATTERY_LOW) : 0;
    return (uint64_t)(cycles(v, i) - v->least) * (BATTERY_HIGH - BATTERY_LOW) <=
           (uint64_t)(v->most - v->least) * charge;
}

static int fits(const view *v, uint32_t i, int extra) {
    return fits_ram(v, i) && fits_deadline(v, i, extra) && fits_energy(v, i, extra);
}

/* The best option that fits; NOBODY: none does. */
static uint32_t best(const view *v, int extra) {
    uint32_t found = NOBODY;
    for (uint32_t i = 0; i < v->n; i++) {
        if (fits(v, i, extra) && (found == NOBODY || better(v, i, found))) {
            found = i;
        }
    }
    return found;
}

static int smaller(const view *v, uint32_t a, uint32_t b) {
    if (fits_ram(v, a) != fits_ram(v, b)) {
        return fits_ram(v, a);
    }
    const ts_option *oa = &v->options[a], *ob = &v->options[b];
    const uint32_t cycles_a = cycles(v, a), cycles_b = cycles(v, b);
    if (!fits_ram(v, a) || cycles_a == cycles_b) {
        return oa->ram_bytes < ob->ram_bytes;
    }
    return cycles_a < cycles_b;
}

static uint32_t smallest(const view *v) {
    uint32_t found = 0;
    for (uint32_t i = 1; i < v->n; i++) {
        found = smaller(v, i, found) ? i : found;
    }
    return found;
}

/* The worst of the options that are better than i; NOBODY: i is the best. */
static uint32_t next_better(const view *v, uint32_t i) {
    uint32_t found = NOBODY;
    for (uint32_t k = 0; k < v->n; k++) {
        if (better(v, k, i) && (found == NOBODY || better(v, found, k))) {
            found = k;
        }
    }
    return found;
}

/* What keeps the next better option than i away. */
static uint8_t obstacle(const view *v, uint32_t i) {
    const uint32_t next = next_better(v, i);
    if (next == NOBODY) {
        return TS_REASON_BEST;
    }
    if (!fits_ram(v, next)) {
        return TS_REASON_RAM;
    }
    if (!fits_deadline(v, next, 0)) {
        return TS_REASON_DEADLINE;
    }
    return fits_energy(v, next, 0) ? TS_REASON_HOLD : TS_REASON_ENERGY;
}

static ts_choice choice(uint32_t option, uint8_t reason, int fits) {
    const ts_choice c = {(uint16_t)option, reason, (uint8_t)fits};
    return c;
}

/* Counts in how many decisions in a row the same option, better than the one in use, fitted with the margin.
 * Returns 1 if it is enough. */
static int has_waited(const view *v, ts_policy_state *s) {
    const uint32_t found = best(v, 1);
    if (found == NOBODY || !better(v, found, s->option)) {
        s->streak = 0;
        return 0;
    }
    if (s->streak == 0 || s->candidate >= v->n || !fits(v, s->candidate, 1)) {
        s->candidate = (uint16_t)found;
        s->streak = 0;
    }
    s->streak++;
    const uint32_t needed = v->policy->up_frames > 0 ? v->policy->up_frames : 1;
    return s->streak >= needed << s->doublings;
}

static void change(ts_policy_state *s, uint32_t option, int up) {
    if (!up && s->since_up < TS_POLICY_HOLD && s->doublings < TS_POLICY_DOUBLINGS) {
        s->doublings++; /* it was too early */
    }
    s->option = (uint16_t)option;
    s->streak = 0;
    s->since_up = up ? 0 : TS_POLICY_HOLD;
}

/* Lets a change that was good count for the next. */
static void grow_older(ts_policy_state *s) {
    if (s->since_up < TS_POLICY_HOLD && ++s->since_up == TS_POLICY_HOLD && s->doublings > 0) {
        s->doublings--;
    }
}

static ts_choice settle(const view *v, ts_policy_state *s) {
    const uint32_t found = best(v, 0);
    const uint32_t wanted = found == NOBODY ? smallest(v) : found;
    if (!s->begun || s->option >= v->n) {
        memset(s, 0, sizeof *s);
        s->option = (uint16_t)wanted;
        s->since_up = TS_POLICY_HOLD;
        s->begun = 1;
    } else if (!fits(v, s->option, 0)) {
        if (wanted != s->option) {
            change(s, wanted, 0);
        }
    } else {
        grow_older(s);
        if (has_waited(v, s)) {
            change(s, s->candidate, 1);
        }
    }
    return found == NOBODY ? choice(s->option, TS_REASON_NONE, 0)
                           : choice(s->option, obstacle(v, s->option), 1);
}

ts_choice ts_policy_choose(const ts_policy *policy, const ts_option *options, uint32_t n,
                           const ts_budget *budget, ts_policy_state *state) {
    if (n == 0) {
        return choice(0, TS_REASON_NONE, 0);
    }
    const view v = look(policy, options, n, budget);
    if (policy->kind == TS_POLICY_FIXED) {
        const uint32_t option = policy->option < n ? policy->option : n - 1;
        return choice(option, TS_REASON_FIXED, fits(&v, option, 0));
    }
    if (policy->kind == TS_POLICY_CASCADE) {
        const uint32_t option = smallest(&v);
        const int ok = fits(&v, option, 0);
        return choice(option, ok ? TS_REASON_FIRST : TS_REASON_NONE, ok);
    }
    return settle(&v, state);
}

ts_choice ts_policy_escalate(const ts_policy *policy, const ts_option *options, uint32_t n,
                             const ts_budget *budget, uint32_t current, uint32_t margin, uint32_t used_us) {
    if (n == 0) {
        return choice(0, TS_REASON_NONE, 0);
    }
    current = current < n ? current : n - 1;
    view v = look(policy, options, n, budget);
    v.used_us = used_us;
    if (policy->kind != TS_POLICY_CASCADE || margin >= policy->threshold) {
        return choice(current, TS_REASON_CERTAIN, 1);
    }
    uint32_t found = NOBODY;
    for (uint32_t i = 0; i < n; i++) {
        if (better(&v, i, current) && cycles(&v, i) > cycles(&v, current) && fits(&v, i, 0) &&
            (found == NOBODY || better(&v, found, i))) {
            found = i;
        }
    }
    return found == NOBODY ? choice(current, obstacle(&v, current), 1) : choice(found, TS_REASON_ESCALATE, 1);
}
