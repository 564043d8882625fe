/* A font of fixed width, drawn in font.txt. */
#ifndef UI_FONT_H
#define UI_FONT_H

#include <stdint.h>

enum {
    UI_FONT_WIDTH = 6, /* pixels, with the space to the next character */
    UI_FONT_HEIGHT = 10,
    UI_FONT_FIRST = 32, /* ASCII */
    UI_FONT_LAST = 126,
    UI_FONT_CHARACTERS = UI_FONT_LAST - UI_FONT_FIRST + 1
};

/* A byte a row, from the top; bit 5 is the leftmost pixel. */
extern const uint8_t ui_font[UI_FONT_CHARACTERS][UI_FONT_HEIGHT];

#endif
