/* The motion sensor of boards that have none. */
#include "board.h"

void board_motion_start(uint32_t rate_mhz) {
    (void)rate_mhz;
}

size_t board_motion_read(int16_t *xyz, size_t max) {
    (void)xyz;
    (void)max;
    return 0;
}

void board_motion_status(board_motion *status) {
    *status = (board_motion){.state = BOARD_MOTION_NONE};
}
