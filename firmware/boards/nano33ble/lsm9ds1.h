/* The accelerometer of the LSM9DS1 (ST, DocID025715 rev. 3), gyroscope off. Functions that talk to it return 0, or
 * -1 if a transfer failed; lsm9ds1_stuck() tells why. */
#ifndef LSM9DS1_H
#define LSM9DS1_H

#include <stddef.h>
#include <stdint.h>

/* What it can sample at. */
typedef struct lsm9ds1_rate {
    uint32_t mhz;       /* samples in 1000 s */
    uint8_t odr;        /* ODR_XL: output data rate */
    uint8_t decimation; /* DEC: every sample (0), second (1), fourth (2), eighth (3) */
} lsm9ds1_rate;

#define LSM9DS1_FIFO_SAMPLES 32
#define LSM9DS1_UNSETTLED 2 /* samples without meaning after a start (table 11; 3.5) */

/* The rate nearest to `mhz`; of two that are equally near, the lower. Only those at which the FIFO holds 200 ms. */
const lsm9ds1_rate *lsm9ds1_nearest(uint32_t mhz);

/* 1 if it is an LSM9DS1, 0 if it answers but is none. */
int lsm9ds1_identify(void);

/* Begins a reset; it is ready again after 10 ms. */
int lsm9ds1_reset(void);

/* Samples at `rate`, +-4 g, into the FIFO, which is emptied. */
int lsm9ds1_sample(const lsm9ds1_rate *rate);

/* 1 if its settings are those of lsm9ds1_sample(rate), else 0. */
int lsm9ds1_samples(const lsm9ds1_rate *rate);

/* Stops sampling. */
int lsm9ds1_stop(void);

/* `waiting`: samples in the FIFO; `overrun`: some have been dropped since the last was read. */
int lsm9ds1_fifo(size_t *waiting, int *overrun);

/* Reads the `n` oldest samples (1..32, at most as many as wait) from the FIFO. `xyz` in RAM. */
int lsm9ds1_read(int16_t *xyz, size_t n);

/* Transfers that have failed so far. */
uint32_t lsm9ds1_errors(void);

#endif
