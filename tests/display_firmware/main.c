/* Shows the keyword screen and obeys commands of one byte: a letter, or one followed by text and a 0. */
#include "../board_talk.h"
#include "keyword.h"
#include "show.h"

static ui_keyword keyword;
static ui_show show;

static void read_text(char *to, size_t size) {
    size_t n = 0;
    for (char c = (char)read_byte(); c != '\0'; c = (char)read_byte()) {
        if (n + 1 < size) {
            to[n++] = c;
        }
    }
    to[n] = '\0';
}

static uint16_t read_permille(void) {
    const uint16_t low = read_byte();
    return (uint16_t)(low | read_byte() << 8);
}

static int settled(void) {
    return board_display_shown() == show.front && !ui_screen_stale(&keyword.screen, show.front);
}

/* Draws until the display shows what is wanted. Says the cycles that drawing took, in how many slices of at most
 * `most` pixels, and the longest of them in cycles. */
static void draw(uint32_t most) {
    uint64_t sum = 0, longest = 0, slices = 0;
    while (!settled()) {
        const uint64_t start = board_cycles();
        ui_show_step(&show, most);
        const uint64_t took = board_cycles() - start;
        sum += took;
        longest = took > longest ? took : longest;
        slices++;
        if (board_display_shown() != show.front) {
            board_idle();
        }
        board_watchdog_kick();
    }
    say_number(sum);
    say_number(slices);
    say_number(longest);
}

int main(void) {
    char text[32];
    board_init();
    ui_keyword_start(&keyword);
    const uint64_t start = board_cycles();
    const int there = ui_show_start(&show, &keyword.screen, ui_palette, UI_COLOURS);
    say_number((uint64_t)there);
    say_number(board_cycles() - start);
    for (;;) {
        switch (read_byte()) {
        case 'w': { /* word, per mille, colour */
            read_text(text, sizeof text);
            const uint16_t permille = read_permille();
            ui_keyword_word(&keyword, text, permille, read_byte());
            break;
        }
        case 'n':
            read_text(text, sizeof text);
            ui_keyword_net(&keyword, text);
            break;
        case 'm': /* notice, colour */
            read_text(text, sizeof text);
            ui_keyword_notice(&keyword, text, read_byte());
            break;
        case 'l':
            ui_keyword_level(&keyword, read_permille());
            break;
        case 'c':
            ui_keyword_cpu(&keyword, read_permille());
            break;
        case 'd': /* draws, in slices of at most so many pixels */
            draw(read_permille());
            break;
        case 's': /* one slice */
            ui_show_step(&show, read_permille());
            say_number(board_display_shown());
            break;
        case 'r':
            board_reset();
            break;
        default:
            say_number(999);
        }
    }
}
