/* From answers to detections: a mean over time, a threshold, and no word twice. The way of
 * tensorflow/lite/micro/examples/micro_speech/recognize_commands, in whole numbers; docs/link.md says what exactly. */
#ifndef DETECTOR_H
#define DETECTOR_H

#include "keyword_table.h"

enum {
    TS_DETECTOR_ANSWERS = 128,     /* that are kept; a power of 2: numbers may wrap */
    TS_DETECTOR_DETECTIONS = 64,   /* that are kept; a power of 2 */
    TS_DETECTOR_AVERAGED = 64,     /* answers that a mean is of, at most */
    TS_DETECTOR_ROW_MS = 20,       /* from a row of features to the next */
    TS_DETECTOR_AVERAGE_MS = 2000, /* most that can be set */
    TS_DETECTOR_MINIMUM = 100,     /* most that can be set */
};

/* What was made of a window. */
typedef struct ts_answer {
    uint32_t first;                    /* number of its first row */
    uint32_t last;                     /* number of its last row */
    uint32_t feature_ticks;            /* of the clock, that features took since the answer before ... */
    uint32_t inference_ticks;          /* ... and the model */
    uint32_t crc;                      /* of all rows so far, to the window's last */
    uint16_t mean[TS_KEYWORD_CLASSES]; /* mean probability of the last answers, in 1/65536 */
    uint8_t raw[TS_KEYWORD_CLASSES];   /* probability, in 1/256 */
    uint8_t best;                      /* class with the largest mean */
    uint8_t entry;                     /* of the model table */
} ts_answer;

typedef struct ts_detection {
    uint32_t answer; /* its number */
    uint32_t row;    /* number of its window's last row */
    uint16_t mean;   /* probability, in 1/65536 */
    uint8_t word;    /* class */
    uint8_t entry;   /* of the model table */
} ts_detection;

/* The fields in front are settings, and the caller's. */
typedef struct ts_detector {
    uint16_t average_ms;                    /* of answers that a mean is of, 1 to TS_DETECTOR_AVERAGE_MS */
    uint16_t threshold;                     /* mean that a detection needs, in 1/65536 */
    uint16_t suppression_ms;                /* before the same word is detected again */
    uint8_t minimum;                        /* answers that the mean must be of */
    uint32_t answered;                      /* answers so far: the number of the next */
    uint32_t detected;                      /* detections so far: the number of the next */
    ts_answer answers[TS_DETECTOR_ANSWERS]; /* answer n is at n modulo TS_DETECTOR_ANSWERS */
    ts_detection detections[TS_DETECTOR_DETECTIONS]; /* detection n is at n modulo TS_DETECTOR_DETECTIONS */
} ts_detector;

/* Forgets all; 500 ms, 60 %, 1500 ms, 2. */
void ts_detector_begin(ts_detector *detector);

/* Forgets answers and detections, not the settings. */
void ts_detector_clear(ts_detector *detector);

/* Where the next answer goes: its fields but mean and best are to be filled in. */
ts_answer *ts_detector_next(ts_detector *detector);

/* That answer is there. Returns 1 if it is a detection. */
int ts_detector_take(ts_detector *detector);

#endif
