/* Chooses the entry of the model table that takes the next frame: asks the monitor what is left, the policy what to
 * do with it, and the tasks to keep their RAM off it.
 *
 * Nothing is copied when entries change; the caller uses the model of the entry from the next frame on.
 */
#ifndef SWITCHER_H
#define SWITCHER_H

#include "model_table.h"
#include "monitor.h"
#include "policy.h"

enum {
    TS_SWITCHER_OPTIONS = 32,  /* entries of a group that are looked at, the first ones */
    TS_SWITCHER_GROUPS = 8,    /* groups that have a memory of their own; those behind share the last */
    TS_SWITCHER_PRIORITY = 128 /* of inference, until it is set */
};

/* What was decided, and from what. */
typedef struct ts_decision {
    ts_budget budget;
    uint32_t predicted_us; /* time that the entry will take with the share that is left; UINT32_MAX: no end */
    uint16_t entry;        /* of the model table */
    uint8_t reason;        /* enum ts_policy_reason */
    uint8_t fits;          /* 1: the entry fits the budget */
    uint8_t escalate;      /* 1: the frame before is to be given to the entry too */
} ts_decision;

typedef struct ts_switcher {
    ts_monitor monitor;
    ts_policy policy; /* its option is an entry of the model table */
    ts_policy_state states[TS_SWITCHER_GROUPS];
    ts_option options[TS_SWITCHER_OPTIONS]; /* of the group asked about last ... */
    uint16_t entries[TS_SWITCHER_OPTIONS];  /* ... and which entries they are */
    uint64_t frame_ticks;                   /* that the frame has taken in the entries before this one */
    uint32_t deadline_us;                   /* 0: none */
    uint32_t switches;                      /* changes of `entry` by decisions */
    uint16_t battery_permille;              /* TS_BATTERY_UNKNOWN: from the supply voltage */
    uint16_t entry;                         /* in use */
    uint8_t priority;                       /* of inference */
} ts_switcher;

/* Begins anew: no tasks, no limits, entry 0 fixed. */
void ts_switcher_init(ts_switcher *switcher);

/* Takes over a policy, whose option is an entry of the model table, and the priority of inference. */
void ts_switcher_set_policy(ts_switcher *switcher, const ts_policy *policy, uint8_t priority);

/* What is left now. */
ts_budget ts_switcher_budget(ts_switcher *switcher);

/* Lets the tasks have what RAM they can: `in_use` bytes are those of a frame that has not ended, 0: there is
 * none, and the entry in use may begin one. */
void ts_switcher_grant(ts_switcher *switcher, uint32_t in_use);

/* Decides on the next frame of `group`, makes the entry the one in use and gives it its RAM. Returns 0, or -1 if
 * the group has no entry, or not the one that the policy FIXED names. */
int ts_switcher_next(ts_switcher *switcher, uint8_t group, ts_decision *decision);

/* The entry in use has answered a frame in `ticks`, with `margin` (in 1/256) between its two best scores: decides
 * whether another is to look at it; that is the one in use then. Returns 0, or -1 if the entry in use is none of
 * the TS_SWITCHER_OPTIONS first of its group. */
int ts_switcher_again(ts_switcher *switcher, uint32_t margin, uint64_t ticks, ts_decision *decision);

/* The entry in use has run once, in `cycles` without stolen ones. */
void ts_switcher_ran(ts_switcher *switcher, uint64_t cycles);

/* Cycles, as learned or from the table, of an entry of the model table; 0: unknown. */
uint32_t ts_switcher_cycles(const ts_switcher *switcher, uint16_t entry);

#endif
