/* Drawing on a frame of pixels. Whatever the arguments, nothing outside the frame is written. */
#ifndef UI_CANVAS_H
#define UI_CANVAS_H

#include <stdint.h>

enum { UI_SCALE_MAX = 8 };

/* Rows from the top, pixels from the left, a byte a pixel: the number of its colour. */
typedef struct ui_canvas {
    uint8_t *pixels;
    int16_t width, height; /* pixels */
    int32_t stride;        /* bytes from a row to the next; at least `width` */
} ui_canvas;

/* Pixels; x and y of the left upper corner may lie anywhere. Empty if width or height is not positive. */
typedef struct ui_rect {
    int16_t x, y, width, height;
} ui_rect;

void ui_fill(const ui_canvas *canvas, ui_rect rect, uint8_t colour);

/* Rows [first, first + n) of a character's ui_font rows, each pixel scale x scale large, with its background;
 * the character's left upper corner is at x, y. What isn't ASCII is drawn as '?'. `scale`: 1..UI_SCALE_MAX,
 * more counts as that, 0 draws nothing. */
void ui_glyph_rows(const ui_canvas *canvas, int16_t x, int16_t y, uint8_t scale, char character,
                   uint8_t first, uint8_t n, uint8_t colour, uint8_t background);

/* One line of text, as ui_glyph_rows() draws its characters. */
void ui_text(const ui_canvas *canvas, int16_t x, int16_t y, uint8_t scale, const char *text, uint8_t colour,
             uint8_t background);

/* A horizontal bar of which `permille` (at most 1000) are `colour`, from the left, and the rest is
 * `background`. */
void ui_bar(const ui_canvas *canvas, ui_rect rect, uint16_t permille, uint8_t colour, uint8_t background);

#endif
