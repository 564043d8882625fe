/* Microphones for the native board: give the samples of the file TINYSWITCH_SOUND (int16) as fast as they are fetched,
 * from its beginning whenever they are started. The file's name with ".state" behind, if there is one, holds the number
 * of their state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

static FILE *sound;
static uint32_t rate;
static uint64_t delivered;

static enum board_audio_state state(void) {
    char name[512];
    int number = rate == 0 ? BOARD_AUDIO_OFF : BOARD_AUDIO_ON;
    snprintf(name, sizeof name, "%s.state", getenv("TINYSWITCH_SOUND"));
    FILE *file = fopen(name, "r");
    if (file != NULL) {
        if (fscanf(file, "%d", &number) != 1) {
            number = BOARD_AUDIO_NONE;
        }
        fclose(file);
    }
    return (enum board_audio_state)number;
}

int board_audio_start(uint32_t rate_hz) {
    rate = rate_hz;
    if (sound == NULL) {
        sound = fopen(getenv("TINYSWITCH_SOUND"), "rb");
    }
    rewind(sound);
    return 0;
}

size_t board_audio_read(int16_t *samples, size_t max) {
    const size_t n = rate != 0 && state() == BOARD_AUDIO_ON ? fread(samples, sizeof *samples, max, sound) : 0;
    delivered += n;
    return n;
}

void board_audio_status(board_audio *status) {
    memset(status, 0, sizeof *status);
    status->state = state();
    status->rate_hz = status->state == BOARD_AUDIO_ON ? rate : 0;
    status->delivered = delivered;
}
