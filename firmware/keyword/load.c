#include "load.h"

#include <string.h>

#include "board.h"
#include "tasks.h"

void ts_load_begin(ts_load *load) {
    memset(load, 0, sizeof *load);
    load->since = board_cycles();
}

void ts_load_idle(ts_load *load) {
    const uint64_t stolen = ts_tasks_stolen(), start = board_cycles();
    board_idle();
    const uint64_t passed = board_cycles() - start, taken = ts_tasks_stolen() - stolen;
    load->idle += passed > taken ? passed - taken : 0;
}

void ts_load_tick(ts_load *load) {
    const uint64_t passed = board_cycles() - load->since;
    if (passed >= board_clock_hz) {
        const uint64_t busy = passed > load->idle ? passed - load->idle : 0;
        load->permille = (uint16_t)((1000 * busy + passed / 2) / passed);
        load->since += passed;
        load->idle = 0;
    }
}
