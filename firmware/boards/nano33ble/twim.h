/* TWIM1, an I2C master with EasyDMA, and what is wired to it: the sensors' bus, its pull-ups and the sensors'
 * supply. docs/nano33ble.md, "Accelerometer". */
#ifndef TWIM_H
#define TWIM_H

#include <stddef.h>
#include <stdint.h>

enum twim_result {
    TWIM_DONE = 0,
    TWIM_REFUSED = -1, /* not acknowledged */
    TWIM_LATE = -2,    /* the transfer did not end: the bus is held low */
};

/* Supply, pull-ups and bus on; the sensors need some time before they answer. */
void twim_power_on(void);

/* Supply and pull-ups off, the bus's pins too, so that nothing is fed through them. */
void twim_power_off(void);

/* Sends `sent` bytes (at least 1) to the device `address` and then, if `received` is not 0, receives as many to
 * `in`. Both buffers are in RAM; EasyDMA reaches nothing else. Takes 23 us a byte, and 0.5 ms and a quarter of
 * that more until it gives up. */
enum twim_result twim_transfer(uint8_t address, const uint8_t *out, size_t sent, uint8_t *in,
                               size_t received);

/* Frees a bus that a device holds low in the middle of a byte: up to nine clocks, then a stop (UM10204, 3.1.16).
 * Returns 0 if both lines are high then, else -1. */
int twim_recover(void);

#endif
