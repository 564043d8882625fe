/* What each command of the link does. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "link.h"

/* The text that goes with a code. */
const char *ts_link_error_text(uint8_t code);

/* Carries out any command of the sequence but DATA, or HELLO. Writes the answer's payload, at most
 * TS_LINK_PAYLOAD bytes, to `answer` and its length to *answer_bytes. SET_BAUD and RESET are left to do once
 * the answer has been sent. */
ts_refusal ts_link_command(ts_link *link, const ts_frame *frame, uint8_t *answer, uint32_t *answer_bytes);

/* Whether a DATA frame continues the image. */
ts_refusal ts_link_check_data(const ts_link *link, const ts_frame *frame);

#endif
