/* The keyword application on a board: where sound comes from, which entry looks at it, who is told.
 *
 * Until a host says hello, and again when none has been heard for 10 s, the microphones are the source and each
 * detection is a line of text on the serial port. */
#ifndef KEYWORDS_H
#define KEYWORDS_H

#include "link.h"
#include "load.h"
#include "spotter.h"

/* Where samples come from. */
enum ts_keywords_source {
    TS_KEYWORDS_OFF = 0,
    TS_KEYWORDS_MICROPHONES = 1, /* the board's own */
    TS_KEYWORDS_LINK = 2,        /* the host */
    TS_KEYWORDS_SOURCES = 3,
};

typedef struct ts_keywords {
    ts_spotter spotter;
    ts_load load;
    ts_link *link;
    uint64_t polled;      /* board_cycles() when it was last looked at what there is to do */
    uint64_t fetched;     /* the same, when the microphones were last asked */
    uint64_t work;        /* ticks spent on the window that is being heard, without those of tasks */
    uint32_t longest;     /* ticks between two fetches, the most so far */
    uint32_t told_count;  /* detections that text was written of, or need not be */
    uint32_t level_count; /* samples that `level_peak` is of */
    uint16_t level_peak;  /* loudest sample of the piece that is being heard */
    uint16_t level;       /* of the last piece, as in docs/link.md; 0..1000 */
    uint8_t source;       /* enum ts_keywords_source */
    uint8_t told_state;   /* enum board_audio_state in the last line of text */
} ts_keywords;

/* Begins: the microphones are the source if the board has some. `link` has been initialised. */
void ts_keywords_init(ts_keywords *k, ts_link *link);

/* A session of the link begins: no source, settings as at the start. */
void ts_keywords_session(ts_keywords *k);

/* Takes `source` from now on; samples and answers are forgotten. Returns 0, or -1 if the board has no microphones. */
int ts_keywords_source(ts_keywords *k, uint8_t source);

/* Takes samples, and answers the windows that they complete. */
void ts_keywords_take(ts_keywords *k, const int16_t *samples, uint32_t n);

/* To be called again and again: fetches what the microphones have, answers, tells. Returns 1 if there were samples. */
int ts_keywords_poll(ts_keywords *k);

#endif
