/* The board's end of the link: receives frames, runs the engine on the rows in them, answers.
 *
 * Use:   static const ts_application application = {.name = "image"};
 *        ts_link_init(&link, &application);
 *        for (;;) { if (!ts_link_poll(&link) && !ts_tasks_idle()) board_idle(); board_watchdog_kick(); }
 *
 * Works on firmware/boards/board.h, the generated model table and the engine; no allocation, no waiting.
 */
#ifndef LINK_H
#define LINK_H

#include "application.h"
#include "codec.h"
#include "protocol.h"
#include "switcher.h"
#include "tinyswitch.h"

#define TS_FIRMWARE_VERSION "0.1.0"

/* One image on its way through the engine. */
typedef struct ts_image {
    ts_engine engine;
    const ts_model *model;
    uint64_t cycles;      /* spent computing */
    uint64_t stolen;      /* of these, in tasks above inference */
    uint32_t input_bytes; /* of the whole image */
    uint32_t received;    /* of these, bytes accepted */
    uint32_t row_fill;    /* of these, bytes in the row that isn't complete */
    uint8_t state;        /* enum ts_link_state */
    uint8_t profiled;     /* 1: ts_image_ticks has what its stages take */
} ts_image;

typedef struct ts_link {
    const ts_application *application;
    ts_image image;
    ts_switcher switcher;
    uint64_t heard;   /* board_cycles() at the last frame, change of speed, or first strange byte */
    uint32_t strange; /* bytes since then */
    uint32_t baud;
    uint32_t answer_bytes;  /* payload of the last answer; its header is in `answer` */
    uint16_t session;       /* 0: none */
    uint8_t next;           /* sequence number expected */
    uint8_t has_answer;     /* 1: `answer` answers command next - 1 */
    uint8_t profile;        /* 1: images that begin are profiled */
    uint8_t lost_told;      /* 1: LOST was sent for the present gap */
    uint8_t speed_on_trial; /* 1: no frame has arrived at this speed yet */
    uint32_t
        held; /* bytes of the arena that the application computes in between commands, which sets it; 0: none,
                    * or something else has been there since */
    ts_cobs_decoder decoder;
    uint8_t frame[TS_LINK_BODY];  /* being received */
    uint8_t answer[TS_LINK_BODY]; /* last answer, to be sent again if it gets lost */
} ts_link;

/* Begins without a session and announces the start. `application` stays valid. */
void ts_link_init(ts_link *link, const ts_application *application);

/* Handles what has arrived; computes as far as that allows. Returns 1 if something had arrived, else 0. */
int ts_link_poll(ts_link *link);

/* No host is there: none has ever said hello, or none has been heard for 10 s. */
int ts_link_is_alone(const ts_link *link);

#endif
