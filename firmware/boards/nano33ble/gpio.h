/* Pins (nRF52840 Product Specification v1.1, 6.9). A pin is its number in PSEL registers: 32 * port + pin. */
#ifndef GPIO_H
#define GPIO_H

#include "cortexm/cortexm.h"
#include <stdint.h>

#define PIN(port, number) (UINT32_C(32) * (port) + (number))
#define GPIO_PORT(pin, offset) REGISTER(0x50000000 + 0x300 * ((pin) / 32) + (offset))

/* Values of PIN_CNF: direction, input buffer, drive. */
#define GPIO_DISCONNECTED 0x002u     /* as after reset */
#define GPIO_STRONG_OUTPUT 0x303u    /* drive H0H1, input buffer off */
#define GPIO_OPEN_DRAIN 0x601u       /* output, drive S0D1, input buffer on */
#define GPIO_OPEN_DRAIN_INPUT 0x600u /* input, drive S0D1: a pin of TWIM's */

static inline void gpio_configure(uint32_t pin, uint32_t configuration) {
    GPIO_PORT(pin, 0x700 + 4 * (pin % 32)) = configuration;
}

/* The level that it drives as an output. */
static inline void gpio_write(uint32_t pin, int high) {
    GPIO_PORT(pin, high ? 0x508 : 0x50C) = BIT(pin % 32); /* OUTSET, OUTCLR */
}

/* The level at the pin; its input buffer must be on. */
static inline int gpio_read(uint32_t pin) {
    return (GPIO_PORT(pin, 0x510) >> pin % 32 & 1) != 0;
}

#endif
