/* Lines of text on the line between frames, for a person at a terminal. */
#ifndef LINES_H
#define LINES_H

#include <stdint.h>

enum { TS_LINE_MAX = 48 /* characters, the end of the line included */ };

/* Each writes to `p`, without a zero behind, and returns where the next one goes. */
char *ts_line_text(char *p, const char *text);

/* At most 199 percent, with a unit. */
char *ts_line_percent(char *p, uint32_t percent);

/* Sends what is between `line` and `end`; there is room for two more characters. */
void ts_line_send(char *line, char *end);

#endif
