/* What each command of the link does. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "link.h"

/* A frame that has arrived whole. */
typedef struct ts_frame {
    uint8_t version;
    uint8_t type; /* enum ts_link_type, or anything */
    uint8_t seq;
    uint16_t session;
    uint32_t payload_bytes;
    const uint8_t *payload;
} ts_frame;

/* Why a command isn't carried out; code TS_LINK_OK: it is. */
typedef struct ts_refusal {
    uint8_t code;    /* enum ts_link_error */
    uint32_t detail; /* see docs/link.md */
} ts_refusal;

static inline ts_refusal ts_refuse(uint8_t code, uint32_t detail) {
    const ts_refusal refusal = {code, detail};
    return refusal;
}

/* The text that goes with a code. */
const char *ts_link_error_text(uint8_t code);

/* Carries out any command of the sequence but DATA, or HELLO. Writes the answer's payload, at most
 * TS_LINK_PAYLOAD bytes, to `answer` and its length to *answer_bytes. SET_BAUD and RESET are left to do once
 * the answer has been sent. */
ts_refusal ts_link_command(ts_link *link, const ts_frame *frame, uint8_t *answer, uint32_t *answer_bytes);

/* Whether a DATA frame continues the image. */
ts_refusal ts_link_check_data(const ts_link *link, const ts_frame *frame);

#endif
