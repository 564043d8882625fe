/* The gesture application on a board: where samples come from, which entry looks at them, who is told.
 *
 * Until a host says hello, and again when none has been heard for 10 s, the sensor is the source and each change
 * of the answer is a line of text on the serial port. */
#ifndef GESTURES_H
#define GESTURES_H

#include "link.h"
#include "recogniser.h"

/* Where samples come from. */
enum ts_gestures_source {
    TS_GESTURES_OFF = 0,
    TS_GESTURES_SENSOR = 1, /* the board's own */
    TS_GESTURES_LINK = 2,   /* the host */
    TS_GESTURES_SOURCES = 3,
};

typedef struct ts_gestures {
    ts_recogniser recogniser;
    ts_link *link;
    uint32_t told_count; /* results when text was last considered */
    uint8_t source;      /* enum ts_gestures_source */
    uint8_t told_answer; /* answer in the last line of text; UINT8_MAX - 1: none */
    uint8_t told_state;  /* enum board_motion_state in the last line of text */
} ts_gestures;

/* Begins: the sensor is the source if the board has one. `link` has been initialised. */
void ts_gestures_init(ts_gestures *g, ts_link *link);

/* A session of the link begins: no source, settings as at the start. */
void ts_gestures_session(ts_gestures *g);

/* Takes `source` from now on; samples and results are forgotten. Returns 0, or -1 if the board has no sensor. */
int ts_gestures_source(ts_gestures *g, uint8_t source);

/* Takes samples at the rate of the entry in use and answers the windows that they complete. Returns how many were
 * taken: fewer if the policy has changed to an entry with another rate. */
uint32_t ts_gestures_take(ts_gestures *g, const int16_t *xyz, uint32_t n);

/* To be called again and again: fetches what the sensor has, answers, tells. Returns 1 if there were samples. */
int ts_gestures_poll(ts_gestures *g);

#endif
