/* Classifies images that arrive over the link. */
#include "board.h"
#include "link.h"

int main(void) {
    static ts_link link;
    board_init();
    ts_link_init(&link, "image");
    for (;;) {
        board_watchdog_kick();
        if (!ts_link_poll(&link)) {
            board_idle();
        }
    }
}
