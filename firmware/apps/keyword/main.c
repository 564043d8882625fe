/* Listens for words: to the board's microphones, or to samples that arrive over the link. */
#include "board.h"
#include "keyword_commands.h"
#include "keyword_screen.h"
#include "keywords.h"
#include "tasks.h"

int main(void) {
    static ts_keywords keywords;
    static ts_keyword_screen screen;
    static const ts_application application = {
        .name = "keyword",
        .begin = ts_keyword_session,
        .commands = ts_keyword_commands,
        .n_commands = TS_KEYWORD_COMMANDS,
        .context = &keywords,
    };
    static ts_link link;
    board_init();
    ts_link_init(&link, &application);
    ts_keyword_screen_start(&screen);
    ts_keywords_init(&keywords, &link);
    for (;;) {
        board_watchdog_kick();
        const int samples = ts_keywords_poll(&keywords);
        const int drawing = ts_keyword_screen_step(&screen, &keywords);
        if (!ts_link_poll(&link) && !samples && !drawing && !ts_tasks_idle()) {
            ts_load_idle(&keywords.load);
        }
    }
}
