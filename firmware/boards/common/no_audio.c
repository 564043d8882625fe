/* The audio input of boards that have none. */
#include "board.h"

int board_audio_start(uint32_t rate_hz) {
    return rate_hz == 0 ? 0 : -1;
}

size_t board_audio_read(int16_t *samples, size_t max) {
    (void)samples;
    (void)max;
    return 0;
}

void board_audio_status(board_audio *status) {
    *status = (board_audio){.state = BOARD_AUDIO_NONE};
}
