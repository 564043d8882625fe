/* A screen of text and bars that follows what it is told to show, a little at a time.
 *
 * There are two frames: one is shown while the other is drawn. For each the screen remembers what has been drawn on
 * it, so a change costs the characters and the part of the bar that differ, on one frame now and on the other when
 * that is drawn next. Pure C; canvas.h does the drawing. */
#ifndef UI_SCREEN_H
#define UI_SCREEN_H

#include "canvas.h"
#include <stddef.h>

enum {
    UI_FRAMES = 2,
    UI_COLUMNS = 24,       /* most characters of a text */
    UI_LEAST_PIXELS = 480, /* least work that a call can be limited to; the screen may be so wide */
};

/* One character of a text. */
typedef struct ui_cell {
    char character;
    uint8_t colour;
} ui_cell;

/* One line of text. The caller sets the first five fields, the rest is the screen's. */
typedef struct ui_text_field {
    int16_t x, y;    /* left upper corner, pixels */
    uint8_t columns; /* characters that fit, at most UI_COLUMNS */
    uint8_t scale;   /* 1..UI_SCALE_MAX */
    uint8_t centred; /* 1: text shorter than the field stands in its middle; 0: at its left */
    ui_cell wanted[UI_COLUMNS];
    ui_cell drawn[UI_FRAMES][UI_COLUMNS];
} ui_text_field;

/* One colour of a bar. */
typedef struct ui_zone {
    uint16_t end; /* per mille of the bar's width; a zone begins where the one before ends */
    uint8_t colour;
} ui_zone;

/* A horizontal bar that grows from the left. The caller sets the first two fields. */
typedef struct ui_bar_field {
    ui_rect rect;         /* in the screen; height at most UI_LEAST_PIXELS */
    const ui_zone *zones; /* by ascending `end`; the last one's is 1000 */
    int16_t wanted;       /* pixels */
    int16_t drawn[UI_FRAMES];
} ui_bar_field;

typedef struct ui_screen {
    int16_t width, height; /* pixels; width at most UI_LEAST_PIXELS */
    uint8_t background;    /* colour */
    uint8_t track;         /* colour of the part of a bar that isn't lit */
    uint8_t text_count, bar_count;
    ui_text_field *texts;
    ui_bar_field *bars;
    struct ui_progress {
        uint8_t stale;             /* the frame differs from what is wanted */
        uint16_t cleared;          /* rows of the background and the bars' tracks that are drawn */
        uint8_t text, column, row; /* the character that is being drawn, and its next row; row 0: none */
        ui_cell cell;              /* what it is */
    } progress[UI_FRAMES];         /* the screen's own */
} ui_screen;

/* Nothing is drawn yet, and no text is wanted. */
void ui_screen_start(ui_screen *screen);

/* What doesn't fit is left out. `text` is copied. */
void ui_screen_text(ui_screen *screen, unsigned text_number, const char *text, uint8_t colour);

void ui_screen_bar(ui_screen *screen, unsigned bar_number, uint16_t permille);

/* Whether a frame, 0 or 1, differs from what is wanted. */
int ui_screen_stale(const ui_screen *screen, unsigned frame);

/* Draws on a frame; at most `most` pixels, but at least UI_LEAST_PIXELS may always be drawn. Returns how many it
 * were; 0: the frame is as wanted. */
uint32_t ui_screen_draw(ui_screen *screen, unsigned frame, const ui_canvas *canvas, uint32_t most);

#endif
