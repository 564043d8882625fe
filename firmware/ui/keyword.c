#include "keyword.h"

const uint32_t ui_palette[UI_COLOURS] = {
    [UI_BLACK] = 0x000000, [UI_WHITE] = 0xFFFFFF, [UI_GREY] = 0x8C96A0, [UI_TRACK] = 0x20262C,
    [UI_GREEN] = 0x3CD070, [UI_AMBER] = 0xF0B020, [UI_RED] = 0xF04848,  [UI_BLUE] = 0x50A8F0,
};

enum { TITLE, NOTICE, WORD, SURE, LEVEL_LABEL, NET_LABEL, NET, CPU_LABEL, CPU, TEXTS };
enum { LEVEL_BAR, CPU_BAR, BARS };

/* x, y, columns, scale, centred; a character is 6 x 10 pixels times the scale */
static const ui_text_field layout[TEXTS] = {
    [TITLE] = {12, 8, 12, 2, 0, {{0}}, {{{0}}}},        [NOTICE] = {180, 8, 24, 2, 0, {{0}}, {{{0}}}},
    [WORD] = {24, 44, 9, 8, 1, {{0}}, {{{0}}}},         [SURE] = {186, 134, 6, 3, 1, {{0}}, {{{0}}}},
    [LEVEL_LABEL] = {12, 172, 6, 2, 0, {{0}}, {{{0}}}}, [NET_LABEL] = {12, 206, 6, 2, 0, {{0}}, {{{0}}}},
    [NET] = {96, 206, 24, 2, 0, {{0}}, {{{0}}}},        [CPU_LABEL] = {12, 240, 6, 2, 0, {{0}}, {{{0}}}},
    [CPU] = {396, 240, 6, 2, 0, {{0}}, {{{0}}}},
};

static const ui_zone level_zones[] = {{700, UI_GREEN}, {900, UI_AMBER}, {1000, UI_RED}};
static const ui_zone cpu_zones[] = {{1000, UI_BLUE}};

void ui_keyword_start(ui_keyword *keyword) {
    ui_screen *screen = &keyword->screen;
    *screen = (ui_screen){.width = UI_KEYWORD_WIDTH,
                          .height = UI_KEYWORD_HEIGHT,
                          .background = UI_BLACK,
                          .track = UI_TRACK,
                          .text_count = TEXTS,
                          .bar_count = BARS,
                          .texts = keyword->texts,
                          .bars = keyword->bars};
    for (unsigned i = 0; i < TEXTS; i++) {
        keyword->texts[i] = layout[i];
    }
    keyword->bars[LEVEL_BAR] = (ui_bar_field){.rect = {96, 174, 372, 16}, .zones = level_zones};
    keyword->bars[CPU_BAR] = (ui_bar_field){.rect = {96, 242, 288, 16}, .zones = cpu_zones};
    ui_screen_start(screen);
    ui_screen_text(screen, TITLE, "keywords", UI_WHITE);
    ui_screen_text(screen, LEVEL_LABEL, "level", UI_GREY);
    ui_screen_text(screen, NET_LABEL, "net", UI_GREY);
    ui_screen_text(screen, CPU_LABEL, "cpu", UI_GREY);
}

/* A number of 0..9999 as text, with a decimal point before its last digit if `tenths`, and " %". */
static void write_percent(char *to, unsigned value, int tenths) {
    static const char unit[] = " %";
    char digits[4];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0 || (tenths && n < 2));
    while (n > 0) {
        if (tenths && n == 1) {
            *to++ = '.';
        }
        *to++ = digits[--n];
    }
    for (const char *at = unit; *at != '\0'; at++) {
        *to++ = *at;
    }
    *to = '\0';
}

static unsigned limited(uint16_t permille) {
    return permille < 1000 ? permille : 1000;
}

void ui_keyword_word(ui_keyword *keyword, const char *word, uint16_t permille, enum ui_colour colour) {
    char text[8] = "";
    if (word[0] != '\0') {
        write_percent(text, (limited(permille) + 5) / 10, 0);
    }
    ui_screen_text(&keyword->screen, WORD, word, (uint8_t)colour);
    ui_screen_text(&keyword->screen, SURE, text, (uint8_t)colour);
}

void ui_keyword_level(ui_keyword *keyword, uint16_t permille) {
    ui_screen_bar(&keyword->screen, LEVEL_BAR, permille);
}

void ui_keyword_net(ui_keyword *keyword, const char *name) {
    ui_screen_text(&keyword->screen, NET, name, UI_WHITE);
}

void ui_keyword_cpu(ui_keyword *keyword, uint16_t permille) {
    char text[8];
    const unsigned shown = limited(permille);
    write_percent(text, shown == 1000 ? 100 : shown, shown != 1000); /* 6 characters: "99.9 %" or "100 %" */
    ui_screen_text(&keyword->screen, CPU, text, UI_WHITE);
    ui_screen_bar(&keyword->screen, CPU_BAR, permille);
}

void ui_keyword_notice(ui_keyword *keyword, const char *text, enum ui_colour colour) {
    char right[UI_COLUMNS + 1];
    unsigned length = 0, pad;
    while (length < UI_COLUMNS && text[length] != '\0') {
        length++;
    }
    pad = UI_COLUMNS - length;
    for (unsigned i = 0; i < UI_COLUMNS; i++) {
        right[i] = i < pad ? ' ' : text[i - pad];
    }
    right[UI_COLUMNS] = '\0';
    ui_screen_text(&keyword->screen, NOTICE, right, (uint8_t)colour);
}
