/* The commands that are about switching: docs/link.md from TABLE to STATUS. Handlers as in commands.c. */
#ifndef SWITCHING_H
#define SWITCHING_H

#include "commands.h"

uint8_t *ts_link_table(ts_link *link, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal);
uint8_t *ts_link_policy(ts_link *link, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal);
uint8_t *ts_link_task(ts_link *link, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal);
uint8_t *ts_link_limits(ts_link *link, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal);
uint8_t *ts_link_next(ts_link *link, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal);
uint8_t *ts_link_status(ts_link *link, const uint8_t *payload, uint8_t *answer, ts_refusal *refusal);

/* Forgets the image and uses `entry` of the model table, which there is, from now on. */
void ts_link_use(ts_link *link, uint16_t entry);

#endif
