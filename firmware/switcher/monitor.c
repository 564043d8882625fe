#include "monitor.h"

#include <string.h>

#include "board.h"
#include "policy.h"
#include "tasks.h"

enum {
    TICKS_A_SECOND = 500, /* samples that the main program takes: every 2 ms */
    LONG_A_SECOND = 31,   /* 32 ms */
    SHORT_A_SECOND = 125, /* 8 ms */
    LEAST_A_SECOND = 250, /* 4 ms: what is shorter says nothing */
};

void ts_monitor_init(ts_monitor *m) {
    memset(m, 0, sizeof *m);
    ts_monitor_tick(m);
}

static void note(ts_monitor *m, uint64_t now, uint64_t stolen) {
    const uint32_t at = m->count % TS_MONITOR_SAMPLES;
    m->time[at] = now;
    m->stolen[at] = stolen;
    m->count++;
}

void ts_monitor_sample(ts_monitor *m, uint64_t now, uint64_t stolen) {
    if (!m->busy) {
        note(m, now, stolen);
    }
}

static uint32_t newest(const ts_monitor *m) {
    return (m->count - 1) % TS_MONITOR_SAMPLES;
}

/* With m->busy set. */
static void keep_up(ts_monitor *m) {
    const uint64_t stolen = ts_tasks_stolen();
    const uint64_t now = board_cycles();
    if (m->count == 0 || now - m->time[newest(m)] >= board_clock_hz / TICKS_A_SECOND) {
        note(m, now, stolen);
    }
}

void ts_monitor_tick(ts_monitor *m) {
    m->busy = 1;
    keep_up(m);
    m->busy = 0;
}

/* Share left over the last `window` ticks before the newest sample: that of the oldest sample within, or of the one
 * before if there is none that is at least `least` older. */
static uint32_t left(const ts_monitor *m, uint64_t window, uint64_t least) {
    const uint32_t kept = m->count < TS_MONITOR_SAMPLES ? m->count : TS_MONITOR_SAMPLES;
    const uint32_t last = newest(m);
    uint64_t passed = 0, stolen = 0;
    for (uint32_t back = 1; back < kept; back++) {
        const uint32_t at = (m->count - 1 - back) % TS_MONITOR_SAMPLES;
        if (m->time[last] - m->time[at] > window && passed >= least) {
            break;
        }
        passed = m->time[last] - m->time[at];
        stolen = m->stolen[last] - m->stolen[at];
    }
    if (passed < least || passed == 0) {
        return 1000;
    }
    stolen = stolen < passed ? stolen : passed;
    return (uint32_t)(1000 - (stolen * 1000 + passed / 2) / passed);
}

uint32_t ts_monitor_cpu(ts_monitor *m) {
    m->busy = 1;
    keep_up(m);
    const uint64_t least = board_clock_hz / LEAST_A_SECOND;
    const uint32_t overall = left(m, board_clock_hz / LONG_A_SECOND, least);
    const uint32_t lately = left(m, board_clock_hz / SHORT_A_SECOND, least);
    m->busy = 0;
    return overall < lately ? overall : lately;
}

void ts_monitor_measure_supply(ts_monitor *m) {
    const uint64_t now = board_cycles();
    if (m->supply_time == 0 || now - m->supply_time >= board_clock_hz) {
        m->supply_mv = board_supply_mv();
        m->supply_time = now;
    }
}

uint16_t ts_monitor_charge(uint32_t mv) {
    static const struct {
        uint16_t mv, permille;
    } curve[] = {{2000, 0}, {2200, 100}, {2400, 300}, {2800, 800}, {3000, 1000}};
    enum { POINTS = sizeof curve / sizeof *curve };
    if (mv == 0) {
        return TS_BATTERY_UNKNOWN;
    }
    if (mv <= curve[0].mv) {
        return 0;
    }
    for (uint32_t i = 1; i < POINTS; i++) {
        if (mv <= curve[i].mv) {
            const uint32_t rise = curve[i].permille - curve[i - 1].permille;
            const uint32_t width = curve[i].mv - curve[i - 1].mv;
            return (uint16_t)(curve[i - 1].permille + (mv - curve[i - 1].mv) * rise / width);
        }
    }
    return curve[POINTS - 1].permille;
}

static uint64_t within(uint64_t value, uint64_t least, uint64_t most) {
    return value < least ? least : value > most ? most : value;
}

void ts_monitor_learn(ts_monitor *m, uint32_t entry, uint64_t cycles, uint32_t table) {
    if (entry >= TS_MONITOR_ENTRIES || cycles == 0) {
        return;
    }
    const uint64_t before = m->learned[entry];
    if (before != 0) {
        cycles = (3 * before + within(cycles, 0, 2 * before) + 2) / 4;
    }
    if (table != 0) {
        cycles = within(cycles, table / 2, 2 * (uint64_t)table);
    }
    m->learned[entry] = (uint32_t)within(cycles, 1, UINT32_MAX);
}

uint32_t ts_monitor_cycles(const ts_monitor *m, uint32_t entry, uint32_t table) {
    return entry < TS_MONITOR_ENTRIES && m->learned[entry] != 0 ? m->learned[entry] : table;
}
