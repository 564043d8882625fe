/* Keeps a board's display as a screen wants it. The only file here that knows boards. */
#ifndef UI_SHOW_H
#define UI_SHOW_H

#include "board.h"
#include "screen.h"

typedef struct ui_show {
    const board_display *display; /* NULL: there is none, and nothing is done */
    ui_screen *screen;
    unsigned front; /* the frame that is shown, or about to be */
} ui_show;

/* Switches the display on; the screen's size must not exceed it, or it stays dark. Returns whether there is one. */
int ui_show_start(ui_show *show, ui_screen *screen, const uint32_t *palette, size_t colours);

/* To be called again and again: draws at most `most` pixels on the frame that isn't shown (UI_LEAST_PIXELS at
 * least), and shows it when it is complete. Does nothing while what is shown is what is wanted. Never waits. */
void ui_show_step(ui_show *show, uint32_t most);

#endif
