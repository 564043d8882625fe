/* Pins by port and mask. */
#ifndef PINS_H
#define PINS_H

#include <stdint.h>

enum { PORT_C = 2, PORT_D, PORT_E, PORT_F, PORT_G, PORT_H, PORT_I, PORT_J, PORT_K };

/* How fast a pin's edges are; data sheet DS10916, I/O AC characteristics at 30 or 50 pF and 2.7 V. */
enum pin_speed { PIN_25_MHZ = 1, PIN_100_MHZ = 3 };

/* Pins of one port that serve the same peripheral. */
struct pins {
    uint8_t port;
    uint8_t function; /* number of the alternate function */
    uint16_t mask;
};

/* Switches the ports on and gives the pins to their peripheral. */
void pins_connect(const struct pins *pins, unsigned n, enum pin_speed speed);

/* Makes a pin an output that is high. */
void pin_set_high(unsigned port, unsigned pin);

#endif
