/* The screen of the keyword application, 480 x 272 pixels: the detected word, how loud it is, which net runs, how
 * much of the processor is in use. */
#ifndef UI_KEYWORD_H
#define UI_KEYWORD_H

#include "screen.h"

enum { UI_KEYWORD_WIDTH = 480, UI_KEYWORD_HEIGHT = 272 };

/* Colours by number. */
enum ui_colour {
    UI_BLACK,
    UI_WHITE,
    UI_GREY,  /* labels, what is no longer new */
    UI_TRACK, /* of bars: dark grey */
    UI_GREEN,
    UI_AMBER,
    UI_RED,
    UI_BLUE,
    UI_COLOURS
};

extern const uint32_t ui_palette[UI_COLOURS]; /* 0x00RRGGBB */

typedef struct ui_keyword {
    ui_screen screen;
    ui_text_field texts[9];
    ui_bar_field bars[2];
} ui_keyword;

/* An empty screen; its parts point to each other, so it must stay where it is. */
void ui_keyword_start(ui_keyword *keyword);

/* The word heard last, at most 9 characters, how sure that is, 0..1000, and its colour: UI_GREY once it is old. */
void ui_keyword_word(ui_keyword *keyword, const char *word, uint16_t permille, enum ui_colour colour);

/* How loud it is, 0..1000 of the meter. */
void ui_keyword_level(ui_keyword *keyword, uint16_t permille);

/* Name of the net that runs, at most 24 characters. */
void ui_keyword_net(ui_keyword *keyword, const char *name);

/* Part of the processor's time that is in use, 0..1000. */
void ui_keyword_cpu(ui_keyword *keyword, uint16_t permille);

/* A short notice in the upper right corner, at most 24 characters: "listening", or what is wrong, in UI_RED. */
void ui_keyword_notice(ui_keyword *keyword, const char *text, enum ui_colour colour);

#endif
