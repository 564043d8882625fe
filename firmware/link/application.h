/* What an application adds to the link: its name, and commands of its own (firmware/gesture is an example). */
#ifndef APPLICATION_H
#define APPLICATION_H

#include <stdint.h>

struct ts_link;

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

/* A command. */
typedef struct ts_command {
    uint8_t type;   /* enum ts_link_type; none that every application has */
    uint16_t least; /* bytes of its payload ... */
    uint16_t most;  /* ... else it is refused with TS_LINK_ERR_LENGTH */
    /* Carries it out. Writes at most TS_LINK_PAYLOAD bytes to `answer` and returns behind them; `refusal` is
     * TS_LINK_OK unless it changes it. */
    uint8_t *(*handle)(struct ts_link *link, const ts_frame *frame, uint8_t *answer, ts_refusal *refusal);
} ts_command;

typedef struct ts_application {
    const char *name;                    /* for hello; ASCII, at most 63 characters */
    void (*begin)(struct ts_link *link); /* a session begins; NULL: there is nothing to do */
    const ts_command *commands;          /* n_commands of them */
    uint32_t n_commands;
    void *context; /* the application's own */
} ts_application;

#endif
