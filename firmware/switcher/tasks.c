#include "tasks.h"

#include <stddef.h>
#include <string.h>

#include "board.h"

enum {
    WORDS_A_LOOK = 16,      /* of a task's RAM between two looks at the clock */
    ROUNDS_A_LOOK = 32,     /* of computing, of a task without RAM */
    SLICES_A_SECOND = 4000, /* of tasks not above inference */
    CREDITS_A_SECOND = 50,  /* what such a task may at most be owed, as a part of a second's share */
};

typedef struct task {
    uint32_t *words; /* its RAM */
    uint32_t granted;
    uint32_t filled;   /* words of it that hold the pattern */
    uint32_t position; /* the next word to look at */
    uint32_t wanted;   /* bytes of RAM */
    int64_t credit;    /* ticks * 1000 it is owed; of tasks not above inference */
    uint16_t share;    /* permille */
    uint8_t priority;
} task;

/* The interrupt reads and writes `tasks` and the counters; the main program changes tasks only while the timer
 * stands still, and calls functions of the board in between, over which no compiler moves an access. */
static task tasks[TS_TASKS];
static uint8_t order[TS_TASKS]; /* slots, the highest priority first */
static uint32_t above;          /* how many of these are above inference */
static uint8_t inference;       /* its priority */
static uint8_t *arena;
static uint32_t arena_bytes, arena_floor;
static volatile uint64_t stolen;
static uint64_t yielded, looked; /* looked: when credits were last given */
static volatile uint32_t damaged;
static volatile uint32_t computed; /* by tasks without RAM; of no meaning */
static uint32_t turn;              /* place in `order` of the task not above inference that comes next */
static void (*sample_period)(uint64_t now, uint64_t stolen);

/* What a task without RAM does for some 250 cycles: between two looks at the clock there is work, as there is
 * in real tasks. Random numbers by Marsaglia's xorshift (2003). */
static void compute(void) {
    uint32_t x = computed | 1;
    for (int i = 0; i < ROUNDS_A_LOOK; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
    }
    computed = x;
}

/* Uses the task's RAM for a moment: the words that it has filled must be as it left them. */
static void use(task *t, uint32_t slot) {
    const uint32_t words = t->granted / sizeof(uint32_t);
    if (words == 0) {
        compute();
    }
    for (uint32_t i = 0; i < WORDS_A_LOOK && words > 0; i++) {
        const uint32_t at = t->position;
        const uint32_t pattern = (at + 1) * 0x9E3779B9u ^ slot * 0x01010101u;
        if (at >= t->filled) {
            t->filled = at + 1;
        } else if (t->words[at] != pattern) {
            damaged++;
        }
        t->words[at] = pattern;
        t->position = at + 1 < words ? at + 1 : 0;
    }
}

/* Keeps the processor until `end`. Returns what time it is then. */
static uint64_t work(task *t, uint32_t slot, uint64_t end) {
    uint64_t now;
    do {
        use(t, slot);
        now = board_cycles();
    } while (now < end);
    return now;
}

static void period(void) {
    const uint32_t ticks = board_clock_hz / TS_TASKS_HZ;
    const uint64_t start = board_cycles();
    if (sample_period != NULL) {
        sample_period(start, stolen);
    }
    uint64_t now = start, end = start;
    for (uint32_t i = 0; i < above; i++) {
        task *t = &tasks[order[i]];
        if (t->share > 0) {
            end += (uint64_t)ticks * t->share / 1000;
            now = work(t, order[i], end);
        }
    }
    stolen += now - start;
}

static void stop(void) {
    board_timer_start(0, NULL);
}

/* The timer also wakes the processor for tasks below inference. */
static void go_on(void) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < TS_TASKS; i++) {
        sum += tasks[i].share;
    }
    if (sum > 0) {
        board_timer_start(TS_TASKS_HZ, period);
    }
}

static int is_above(const task *t) {
    return t->priority > inference;
}

/* Puts the slots into order. */
static void arrange(void) {
    above = 0;
    for (uint32_t slot = 0; slot < TS_TASKS; slot++) {
        uint32_t at = slot;
        for (; at > 0 && tasks[order[at - 1]].priority < tasks[slot].priority; at--) {
            order[at] = order[at - 1];
        }
        order[at] = (uint8_t)slot;
        above += (uint32_t)is_above(&tasks[slot]);
    }
    turn = above;
}

static uint32_t usable_end(void) {
    return arena_bytes & ~(uint32_t)(TS_TASKS_ALIGNMENT - 1);
}

/* Rounds up; `bytes` is at most usable_end(). */
static uint32_t aligned(uint32_t bytes) {
    return (bytes + TS_TASKS_ALIGNMENT - 1) & ~(uint32_t)(TS_TASKS_ALIGNMENT - 1);
}

uint32_t ts_tasks_most(void) {
    const uint32_t floor = aligned(arena_floor);
    return floor < usable_end() ? usable_end() - floor : 0;
}

/* What each place of `order` gets, as ts_tasks_grant() says. Returns where the last one's RAM begins. */
static uint32_t lay_out(uint32_t leave_above, uint32_t leave_below, uint32_t grants[TS_TASKS]) {
    uint32_t end = usable_end();
    for (uint32_t i = 0; i < TS_TASKS; i++) {
        uint32_t leave = i < above ? leave_above : leave_below;
        leave = leave > arena_floor ? leave : arena_floor;
        leave = leave < arena_bytes ? aligned(leave) : end;
        const uint32_t room = end > leave ? end - leave : 0;
        const uint32_t wanted = aligned(tasks[order[i]].wanted);
        grants[i] = wanted < room ? wanted : room;
        end -= grants[i];
    }
    return end;
}

/* Whether the tasks' RAM is already as `grants` says. */
static int laid_out(const uint32_t grants[TS_TASKS]) {
    const uint8_t *end = arena + usable_end();
    for (uint32_t i = 0; i < TS_TASKS; i++) {
        const task *t = &tasks[order[i]];
        end -= grants[i];
        if (t->granted != grants[i] || (grants[i] > 0 && (const uint8_t *)t->words != end)) {
            return 0;
        }
    }
    return 1;
}

void ts_tasks_grant(uint32_t leave_above, uint32_t leave_below) {
    uint32_t grants[TS_TASKS];
    lay_out(leave_above, leave_below, grants);
    if (laid_out(grants)) {
        return;
    }
    stop();
    uint32_t end = usable_end();
    for (uint32_t i = 0; i < TS_TASKS; i++) {
        task *t = &tasks[order[i]];
        end -= grants[i];
        uint32_t *words = (uint32_t *)(void *)(arena + end);
        if (t->words != words || t->granted != grants[i]) {
            t->words = words;
            t->granted = grants[i];
            t->filled = t->position = 0;
        }
    }
    go_on();
}

uint32_t ts_tasks_left(uint32_t *low) {
    uint32_t grants[TS_TASKS];
    const uint32_t end = lay_out(0, 0, grants);
    *low = 0;
    for (uint32_t i = above; i < TS_TASKS; i++) {
        *low += grants[i];
    }
    return end == usable_end() ? arena_bytes : end;
}

uint32_t ts_tasks_free(void) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < TS_TASKS; i++) {
        sum += tasks[i].granted;
    }
    return sum == 0 ? arena_bytes : usable_end() - sum;
}

void ts_tasks_init(uint8_t *new_arena, uint32_t bytes, uint32_t floor, void (*sample)(uint64_t, uint64_t)) {
    stop();
    memset(tasks, 0, sizeof tasks);
    arena = new_arena;
    arena_bytes = bytes;
    arena_floor = floor;
    sample_period = sample;
    looked = board_cycles();
    stolen = yielded = damaged = 0;
    arrange();
    ts_tasks_grant(0, 0);
}

int ts_tasks_set(uint32_t slot, uint8_t priority, uint32_t share, uint32_t ram) {
    if (slot >= TS_TASKS) {
        return TS_TASKS_ERR_SLOT;
    }
    uint32_t sum = 0;
    for (uint32_t i = 0; i < TS_TASKS; i++) {
        sum += i == slot ? 0 : tasks[i].share;
    }
    if (share > TS_TASKS_SHARE - sum) {
        return TS_TASKS_ERR_SHARE;
    }
    if (ram > ts_tasks_most()) {
        return TS_TASKS_ERR_RAM;
    }
    stop();
    tasks[slot].priority = priority;
    tasks[slot].share = (uint16_t)share;
    tasks[slot].wanted = ram;
    tasks[slot].credit = 0;
    arrange();
    go_on();
    return TS_TASKS_OK;
}

void ts_tasks_inference(uint8_t priority) {
    stop();
    inference = priority;
    arrange();
    go_on();
}

uint32_t ts_tasks_granted(uint32_t slot) {
    return slot < TS_TASKS ? tasks[slot].granted : 0;
}

uint32_t ts_tasks_declared(void) {
    uint32_t left = 1000;
    for (uint32_t i = 0; i < above; i++) {
        left -= tasks[order[i]].share;
    }
    return left;
}

uint64_t ts_tasks_stolen(void) {
    uint64_t first, second = stolen;
    do { /* 64 bits are read in two halves, and the interrupt may come between them */
        first = second;
        second = stolen;
    } while (first != second);
    return second;
}

uint64_t ts_tasks_yielded(void) {
    return yielded;
}

uint32_t ts_tasks_damaged(void) {
    return damaged;
}

/* Gives the tasks not above inference their share of the time that has passed. */
static void give_credit(uint64_t now) {
    const int64_t most = board_clock_hz / CREDITS_A_SECOND;
    const int64_t passed = now - looked < (uint64_t)most ? (int64_t)(now - looked) : most;
    looked = now;
    for (uint32_t i = above; i < TS_TASKS; i++) {
        task *t = &tasks[order[i]];
        t->credit += passed * t->share;
        t->credit = t->credit < most * t->share ? t->credit : most * t->share;
    }
}

int ts_tasks_idle(void) {
    const uint64_t start = board_cycles();
    const int64_t slice = board_clock_hz / SLICES_A_SECOND;
    give_credit(start);
    for (uint32_t i = above; i < TS_TASKS; i++) {
        turn = turn + 1 < TS_TASKS ? turn + 1 : above;
        task *t = &tasks[order[turn]];
        const int64_t owed = t->credit / 1000;
        if (t->share > 0 && owed > slice / 4) {
            const uint64_t before = ts_tasks_stolen();
            const uint64_t end = work(t, order[turn], start + (uint64_t)(owed < slice ? owed : slice));
            const uint64_t ran = end - start - (ts_tasks_stolen() - before);
            t->credit -= (int64_t)ran * 1000;
            yielded += ran;
            return 1;
        }
    }
    for (uint32_t i = 0; i < TS_TASKS; i++) {
        if (tasks[i].share == 0) {
            use(&tasks[i], i); /* RAM alone */
        }
    }
    return 0;
}
