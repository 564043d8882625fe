/* What the build generates for the gesture application besides the model table: how samples become the input of
 * each entry, and what the answers mean. */
#ifndef GESTURE_TABLE_H
#define GESTURE_TABLE_H

#include <stdint.h>

enum { TS_GESTURE_CLASSES = 8 /* most */ };

/* How an entry of the model table wants its samples. */
typedef struct ts_gesture {
    const uint8_t *features; /* which of the features it takes, in its input's order; n_features of them */
    uint32_t rate_mhz;       /* samples in 1000 s */
    uint16_t samples;        /* of a window */
    uint16_t step;           /* samples from the beginning of a window to that of the next */
    uint8_t log2_length;     /* of the features' transform */
    uint8_t n_features;
} ts_gesture;

extern const ts_gesture
    ts_gesture_table[]; /* as many, and in the same order, as entries of the model table */
extern const char
    *const ts_gesture_classes[]; /* names, ASCII, at most 31 characters; the same for all entries */
extern const uint8_t ts_gesture_class_count; /* 2 to TS_GESTURE_CLASSES: outputs of every model */

#endif
