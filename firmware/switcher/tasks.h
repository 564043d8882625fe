/* The other work of the board: a list of tasks that take processor time and RAM, with priorities.
 *
 * Tasks of a priority above that of inference run in the timer's interrupt, TS_TASKS_HZ times a second, and
 * keep the processor for their share of each period. The others run only while inference has nothing to do.
 * Their RAM comes from the end of the arena, which is cut off from what inference may use; a task fills its part with
 * a pattern and looks at it again and again, so that whoever else writes there is found out.
 *
 * There is one list, since there is one timer. All functions but the handler of the timer belong to the main program.
 */
#ifndef TASKS_H
#define TASKS_H

#include <stdint.h>

enum {
    TS_TASKS = 8,           /* slots */
    TS_TASKS_SHARE = 950,   /* permille of the processor that all of them may have together */
    TS_TASKS_HZ = 1000,     /* periods a second */
    TS_TASKS_ALIGNMENT = 8, /* of a task's RAM, which is rounded up to that, bytes */
};

enum ts_tasks_error {
    TS_TASKS_OK = 0,
    TS_TASKS_ERR_SLOT = -1,  /* no such slot */
    TS_TASKS_ERR_SHARE = -2, /* more than TS_TASKS_SHARE in all */
    TS_TASKS_ERR_RAM = -3,   /* more than can ever be granted */
};

/* Forgets all tasks and counts from 0. `arena` is 8-byte aligned; `floor` of its bytes are never given to a task. Each period calls
 * `sample`, if it is not NULL, in the interrupt, before anything else, with the time and ts_tasks_stolen(). */
void ts_tasks_init(uint8_t *arena, uint32_t arena_bytes, uint32_t floor,
                   void (*sample)(uint64_t now, uint64_t stolen));

/* Makes the task in `slot` one of `priority` (more is higher), `share` permille of the processor and `ram` bytes;
 * share 0 and ram 0: there is none. Changes nothing if it returns an error. RAM is granted by
 * ts_tasks_grant(). */
int ts_tasks_set(uint32_t slot, uint8_t priority, uint32_t share, uint32_t ram);

/* From which priority on tasks are above inference: `priority` + 1. */
void ts_tasks_inference(uint8_t priority);

/* Hands out RAM, tasks of higher priority first, lower slots first among equals. Each gets what it wants as
 * far as it is there: tasks above inference leave at least `above` bytes of the arena alone, the others at least
 * `below`. What counts as less than the floor counts as the floor. */
void ts_tasks_grant(uint32_t above, uint32_t below);

/* What ts_tasks_grant(0, 0) would leave of the arena; *low: how much of the rest would be that of tasks not
 * above inference. Changes nothing. */
uint32_t ts_tasks_left(uint32_t *low);

/* Bytes at the beginning of the arena that no task has. */
uint32_t ts_tasks_free(void);

/* Bytes that the task in `slot` has been granted; 0 for a slot that there is not. */
uint32_t ts_tasks_granted(uint32_t slot);

/* Most bytes that a task can be granted. */
uint32_t ts_tasks_most(void);

/* Share of the processor, permille, that tasks above inference leave by what was asked for. */
uint32_t ts_tasks_declared(void);

/* Ticks that tasks above inference have taken in the interrupt; and those that the others have taken. */
uint64_t ts_tasks_stolen(void);
uint64_t ts_tasks_yielded(void);

/* Words of the tasks' RAM that somebody else has changed. */
uint32_t ts_tasks_damaged(void);

/* Inference has nothing to do: lets tasks not above it run for at most 250 us. Returns 1 if one has, 0 if none
 * has anything to do. */
int ts_tasks_idle(void);

#endif
