/* I2C3, the control bus of the audio codec. */
#ifndef I2C_H
#define I2C_H

#include <stddef.h>
#include <stdint.h>

void i2c_start(void);

/* Sends `n_out` bytes (1..255) to the device with the 7-bit `address`; then, if `n_in` isn't 0, receives that
 * many (at most 255) after a repeated start. Returns 0, or -1 if the device doesn't answer or a step takes more
 * than 2 ms; the bus is free again in any case. */
int i2c_transfer(uint8_t address, const uint8_t *out, size_t n_out, uint8_t *in, size_t n_in);

#endif
