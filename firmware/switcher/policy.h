/* Which entry to run: a pure function of what there is to choose from and what is left to run it with.
 *
 * Knows no board and no globals; the host compiles this same file (host/tinyswitch/switcher). docs/switching.md
 * says why the rules are what they are.
 *
 * Use:   ts_policy_state state = {0};
 *        for each frame: choice = ts_policy_choose(&policy, options, n, &budget, &state);
 *
 * An option *fits* if its RAM is there and, as far as the policy looks at them, its time within the deadline
 * and its cycles within what the battery allows. Of what fits, the most accurate is taken, the one with fewer
 * cycles among equals; as long as the accuracy of any is unknown, more cycles count as more accurate. If
 * nothing fits, the smallest is taken: the one with the fewest cycles of those whose RAM is there, or if
 * there is none, the one that needs the least RAM.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdint.h>

enum ts_policy_kind {
    TS_POLICY_FIXED = 0,    /* always the entry that is named */
    TS_POLICY_RAM = 1,      /* looks at RAM alone */
    TS_POLICY_DEADLINE = 2, /* RAM and deadline, with the CPU share that was measured */
    TS_POLICY_PRIORITY = 3, /* the same with what work of higher priority leaves; the rest gives way */
    TS_POLICY_ENERGY = 4,   /* as DEADLINE, and fewer cycles as the battery empties */
    TS_POLICY_CASCADE = 5,  /* the smallest first; see ts_policy_escalate() */
    TS_POLICY_KINDS = 6,
};

/* Why an option was chosen; if not for being the best, what keeps the next better one away. */
enum ts_policy_reason {
    TS_REASON_BEST = 0,     /* it is the most accurate of all */
    TS_REASON_FIXED = 1,    /* the policy names it */
    TS_REASON_RAM = 2,      /* the next better one needs more RAM than is left */
    TS_REASON_DEADLINE = 3, /* ... would come too late */
    TS_REASON_ENERGY = 4,   /* ... takes more energy than the battery allows */
    TS_REASON_HOLD = 5,     /* ... fits, but not for long enough or with too little margin */
    TS_REASON_NONE = 6,     /* nothing fits, this is the smallest */
    TS_REASON_FIRST = 7,    /* cascade: begins with the smallest */
    TS_REASON_ESCALATE = 8, /* cascade: the answer before was not certain */
    TS_REASON_CERTAIN = 9,  /* cascade: the answer before was certain enough */
};

/* Something to choose. */
typedef struct ts_option {
    uint32_t ram_bytes; /* that it needs */
    uint32_t cycles; /* of one inference that nothing interrupts; 0: unknown, estimated from the MACs and the
                           slowest known option, or 2 a MAC if none is known */
    uint32_t macs;   /* multiply-accumulates of one inference; 0: unknown */
    uint16_t accuracy; /* top-1 in 1/100 %; 0: unknown */
    uint8_t energy;    /* class 0..15; for information, cycles say more */
    uint8_t reserved;  /* 0 */
} ts_option;

/* What is left to run it with. */
typedef struct ts_budget {
    uint32_t ram_bytes;         /* free for inference */
    uint32_t ram_low_bytes;     /* further bytes, held by work of lower priority: PRIORITY takes them back */
    uint32_t clock_hz;          /* cycles a second */
    uint32_t deadline_us;       /* from begin to end of the computation; 0: none */
    uint16_t cpu_permille;      /* share of the processor that is left, as measured; 0..1000 */
    uint16_t cpu_high_permille; /* share that work of higher priority leaves; 0..1000 */
    uint16_t battery_permille;  /* charge, 0..1000; 0xFFFF: unknown, or no battery */
    uint16_t reserved;          /* 0 */
} ts_budget;

enum { TS_BATTERY_UNKNOWN = 0xFFFF };

typedef struct ts_policy {
    uint8_t kind;             /* enum ts_policy_kind */
    uint8_t up_frames;        /* decisions in a row in which a better option must fit; 0 counts as 1 */
    uint16_t option;          /* FIXED: which; behind the last counts as the last */
    uint16_t threshold;       /* CASCADE: escalates while the two best scores differ by less, in 1/256 */
    uint16_t safety_permille; /* of the predicted time, added to it; at most 10,000 */
    uint16_t margin_permille; /* of the predicted time, added besides before a better option is taken; at most
                                 10,000 */
} ts_policy;

/* Memory from decision to decision. All zero: nothing was chosen yet. */
typedef struct ts_policy_state {
    uint16_t option;    /* the last choice */
    uint16_t candidate; /* the better option that fits with a margin */
    uint16_t streak;    /* decisions in a row in which it did */
    uint16_t since_up;  /* decisions since the last change to a better option; stops at TS_POLICY_HOLD */
    uint8_t doublings;  /* of up_frames, after changes that had to be taken back */
    uint8_t begun;      /* 1: `option` is valid */
} ts_policy_state;

enum {
    TS_POLICY_HOLD = 16,    /* decisions after which a change counts as a good one */
    TS_POLICY_DOUBLINGS = 4 /* most */
};

typedef struct ts_choice {
    uint16_t option; /* index; 0 if there are no options */
    uint8_t reason;  /* enum ts_policy_reason */
    uint8_t fits;    /* 1: it fits; 0: nothing does, or FIXED names one that does not */
} ts_choice;

/* Chooses for the next frame. Changes at once to what fits if the option in use does not; to a better one only
 * when that has fitted, with the margin, up_frames decisions in a row. A change for the better that has to be
 * taken back within TS_POLICY_HOLD decisions doubles up_frames from then on, at most TS_POLICY_DOUBLINGS times; one that
 * holds halves it again. An unknown kind counts as RAM. */
ts_choice ts_policy_choose(const ts_policy *policy, const ts_option *options, uint32_t n,
                           const ts_budget *budget, ts_policy_state *state);

/* After `current` has answered and its two best scores differ by `margin` (in 1/256), `used_us` into the
 * deadline: the next better option that takes more cycles and still fits what is left, if the policy is
 * CASCADE and the margin below the threshold: reason ESCALATE. Else `current`, and the answer stands. */
ts_choice ts_policy_escalate(const ts_policy *policy, const ts_option *options, uint32_t n,
                             const ts_budget *budget, uint32_t current, uint32_t margin, uint32_t used_us);

/* Cycles of option i, estimated if unknown. */
uint32_t ts_policy_cycles(const ts_option *options, uint32_t n, uint32_t i);

/* Time that `cycles` take with cpu_permille of a clock, in us, rounded up; UINT32_MAX: longer, or never. */
uint32_t ts_policy_predict_us(uint32_t cycles, uint32_t clock_hz, uint32_t cpu_permille);

#endif
