/* The motion sensor of board.h. Nothing here waits: whatever takes time is gone on with by the next
 * board_motion_read(). */
#include "board.h"
#include "lsm9ds1.h"
#include "twim.h"

#define MS(n) ((uint64_t)(n) * (board_clock_hz / 1000u))
#define BOOT_MS 20u /* from its supply to the first transfer; the data sheet wants up to 10 ms (T_wait) */
#define RESET_MS 10u
#define DISCHARGE_MS 100u /* without supply */
#define RETRY_MS 970u     /* with BOOT_MS and RESET_MS, a second */
#define SILENCE_MS 1000u  /* without a sample although it should sample */
#define MISSED 4u         /* samples; it may have lost its settings */

static enum phase {
    IDLE,
    UNPOWERED,
    BOOTING,
    RESETTING,
    SAMPLING,
} phase;
static uint64_t until;           /* the phase lasts; not of IDLE and SAMPLING */
static const lsm9ds1_rate *rate; /* that is wanted */
static enum board_motion_state state;
static int powered;
static int failed;       /* since it last sampled: what comes is a restart */
static int suspect;      /* a transfer failed: samples may be missing */
static size_t unsettled; /* samples to drop */
static size_t left;      /* samples in the FIFO after the last look */
static uint32_t period;  /* cycles from a sample to the next */
static uint64_t looked;  /* when that was */
static uint64_t heard;   /* when samples last came */
static uint32_t lost, restarts;

static void enter(enum phase next, uint32_t ms) {
    phase = next;
    until = board_cycles() + MS(ms);
}

/* The sensor does not do what it should: without supply it forgets everything. */
static void give_up(void) {
    const uint32_t ms = phase == SAMPLING ? DISCHARGE_MS : RETRY_MS;
    state = twim_recover() == 0 ? BOARD_MOTION_SILENT : BOARD_MOTION_STUCK;
    failed = 1;
    twim_power_off();
    powered = 0;
    enter(UNPOWERED, ms);
}

static void begin_sampling(void) {
    if (lsm9ds1_sample(rate) != 0) {
        give_up();
        return;
    }
    restarts += (uint32_t)failed;
    failed = suspect = 0;
    phase = SAMPLING;
    state = BOARD_MOTION_ON;
    unsettled = LSM9DS1_UNSETTLED;
    left = 0;
    period = (uint32_t)(UINT64_C(1000) * board_clock_hz / rate->mhz);
    looked = heard = board_cycles();
}

static void begin_reset(void) {
    if (lsm9ds1_identify() != 1 || lsm9ds1_reset() != 0) {
        give_up();
        return;
    }
    enter(RESETTING, RESET_MS);
}

static void power_on(void) {
    twim_power_on();
    powered = 1;
    enter(BOOTING, BOOT_MS);
}

void board_motion_start(uint32_t rate_mhz) {
    if (rate_mhz == 0) {
        if (phase == SAMPLING) {
            (void)lsm9ds1_stop();
        }
        phase = IDLE;
        state = BOARD_MOTION_OFF;
        return;
    }
    rate = lsm9ds1_nearest(rate_mhz);
    state = state == BOARD_MOTION_OFF ? BOARD_MOTION_ON : state; /* unless it turns out otherwise */
    if (phase == SAMPLING) {
        begin_sampling();
    } else if (phase == IDLE && !powered) {
        power_on();
    } else if (phase == IDLE) {
        enter(BOOTING, 0);
    }
}

/* Samples that have come since the last look, by the clock; `more`: of a sample, for rounding. */
static size_t produced(uint64_t now, uint32_t more) {
    return (size_t)((now - looked + more) / period);
}

/* Whether it still samples as it was told; else it is started anew. */
static void check(void) {
    const int same = lsm9ds1_samples(rate);
    if (same < 0) {
        give_up();
    } else if (same == 0) {
        state = BOARD_MOTION_SILENT;
        failed = 1;
        enter(BOOTING, 0);
    }
}

/* A transfer has failed. */
static void examine(void) {
    suspect = 1;
    if (twim_recover() != 0) {
        give_up();
    } else {
        check();
    }
}

static void count_lost(size_t waiting, int overrun, uint64_t now) {
    if (overrun || suspect) {
        const size_t expected = left + produced(now, overrun ? period / 2 : 0);
        const size_t missing = expected > waiting ? expected - waiting : 0;
        lost += (uint32_t)(overrun && missing == 0 ? 1 : missing);
    }
    suspect = 0;
}

/* Reads `n` samples and takes note; 0, or -1 and the sensor is looked after. */
static int take(int16_t *xyz, size_t n) {
    if (n != 0 && lsm9ds1_read(xyz, n) != 0) {
        examine();
        return -1;
    }
    left -= n;
    return 0;
}

static size_t fetch(int16_t *xyz, size_t max) {
    size_t waiting;
    int overrun;
    if (lsm9ds1_fifo(&waiting, &overrun) != 0) {
        examine();
        return 0;
    }
    const uint64_t now = board_cycles();
    if (waiting > LSM9DS1_FIFO_SAMPLES || (waiting == 0 && produced(now, 0) > MISSED)) {
        if (now - heard > MS(SILENCE_MS)) {
            give_up();
        } else {
            check();
        }
        return 0;
    }
    count_lost(waiting, overrun, now);
    left = waiting;
    looked = now;
    heard = waiting ? now : heard;
    while (unsettled != 0 && left != 0) {
        int16_t dropped[3];
        if (take(dropped, 1) != 0) {
            return 0;
        }
        unsettled--;
    }
    const size_t n = left < max ? left : max;
    return take(xyz, n) == 0 ? n : 0;
}

size_t board_motion_read(int16_t *xyz, size_t max) {
    if (phase == SAMPLING) {
        return fetch(xyz, max);
    }
    if (phase == IDLE || board_cycles() < until) {
        return 0;
    }
    if (phase == UNPOWERED) {
        power_on();
    } else if (phase == BOOTING) {
        begin_reset();
    } else {
        begin_sampling();
    }
    return 0;
}

void board_motion_status(board_motion *status) {
    *status = (board_motion){
        .state = state,
        .rate_mhz = state == BOARD_MOTION_ON ? rate->mhz : 0,
        .lost = lost,
        .errors = lsm9ds1_errors(),
        .restarts = restarts,
    };
}
