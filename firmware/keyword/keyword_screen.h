/* What the keyword application shows on the board's display, where it has one. */
#ifndef KEYWORD_SCREEN_H
#define KEYWORD_SCREEN_H

#include "../ui/keyword.h"
#include "keywords.h"
#include "show.h"

typedef struct ts_keyword_screen {
    ui_keyword ui;
    ui_show show;
    uint64_t updated; /* board_cycles() when the screen was last told what to show */
    uint64_t heard;   /* board_cycles() when the word that is shown was new */
    uint32_t shown;   /* detections when it was told last */
} ts_keyword_screen;

/* Switches the display on; may take 20 ms. */
void ts_keyword_screen_start(ts_keyword_screen *screen);

/* To be called again and again: draws a little of what has changed, 40 us on a Cortex-M7. Returns 1 if there is more to be
 * drawn at once, else 0. */
int ts_keyword_screen_step(ts_keyword_screen *screen, const ts_keywords *keywords);

#endif
