/* The display of boards that have none. */
#include "board.h"

const board_display *board_display_start(const uint32_t *palette, size_t n) {
    (void)palette, (void)n;
    return NULL;
}

void board_display_show(unsigned frame) {
    (void)frame;
}

unsigned board_display_shown(void) {
    return 0;
}
