/* A motion sensor for the native board: gives the samples of the file TINYSWITCH_MOTION (int16) as fast as they are
 * fetched, from its beginning whenever it is started. The file's name with ".state" behind, if there is one, holds
 * the number of its state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

static FILE *samples;
static uint32_t rate, starts;

static enum board_motion_state state(void) {
    char name[512];
    int number = rate == 0 ? BOARD_MOTION_OFF : BOARD_MOTION_ON;
    snprintf(name, sizeof name, "%s.state", getenv("TINYSWITCH_MOTION"));
    FILE *file = fopen(name, "r");
    if (file != NULL) {
        if (fscanf(file, "%d", &number) != 1) {
            number = BOARD_MOTION_STUCK;
        }
        fclose(file);
    }
    return (enum board_motion_state)number;
}

void board_motion_start(uint32_t rate_mhz) {
    rate = rate_mhz;
    starts += rate != 0;
    if (samples == NULL) {
        samples = fopen(getenv("TINYSWITCH_MOTION"), "rb");
    }
    rewind(samples);
}

size_t board_motion_read(int16_t *xyz, size_t max) {
    return rate != 0 && state() == BOARD_MOTION_ON ? fread(xyz, 3 * sizeof *xyz, max, samples) : 0;
}

void board_motion_status(board_motion *status) {
    memset(status, 0, sizeof *status);
    status->state = state();
    status->rate_mhz = status->state == BOARD_MOTION_ON ? rate : 0;
    status->restarts = starts;
}
