/* What the build generates for the keyword application besides the model table: how often each entry looks at the
 * features, and what the answers mean. */
#ifndef KEYWORD_TABLE_H
#define KEYWORD_TABLE_H

#include <stdint.h>

enum { TS_KEYWORD_CLASSES = 8 /* most */ };

extern const uint16_t
    ts_keyword_steps[]; /* rows from a window to the next of each entry of the model table, >= 1 */
extern const char
    *const ts_keyword_classes[]; /* names, ASCII, at most 31 characters; the same for all entries */
extern const uint8_t ts_keyword_class_count; /* 2 to TS_KEYWORD_CLASSES: outputs of every model */
extern const uint8_t
    ts_keyword_first_word; /* classes from this one on are words; those before, silence and the
                                                * like, are never detected */

#endif
