/* Classifies images that arrive over the link. */
#include "board.h"
#include "link.h"
#include "tasks.h"

int main(void) {
    static const ts_application application = {.name = "image"};
    static ts_link link;
    board_init();
    ts_link_init(&link, &application);
    for (;;) {
        board_watchdog_kick();
        if (!ts_link_poll(&link) && !ts_tasks_idle()) {
            board_idle();
        }
    }
}
