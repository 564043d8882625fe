#include "lines.h"

#include <string.h>

#include "board.h"

char *ts_line_text(char *p, const char *text) {
    const size_t n = strlen(text);
    memcpy(p, text, n);
    return p + n;
}

char *ts_line_percent(char *p, uint32_t percent) {
    if (percent >= 100) {
        *p++ = '1';
        percent -= 100;
        *p++ = (char)('0' + percent / 10);
    } else if (percent >= 10) {
        *p++ = (char)('0' + percent / 10);
    }
    *p++ = (char)('0' + percent % 10);
    return ts_line_text(p, " %");
}

void ts_line_send(char *line, char *end) {
    *end++ = '\r';
    *end++ = '\n';
    board_write((const uint8_t *)line, (size_t)(end - line));
}
