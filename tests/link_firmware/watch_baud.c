/* Linked with --wrap=board_set_baud: tells every change of speed on stderr. 1,500,000 baud fails. */
#include <stdio.h>

#include "board.h"

int __wrap_board_set_baud(uint32_t baud);

int __wrap_board_set_baud(uint32_t baud) {
    fprintf(stderr, "%u\n", (unsigned)baud);
    return baud == 1500000 ? -1 : 0;
}
