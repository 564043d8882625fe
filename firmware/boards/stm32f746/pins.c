#include "pins.h"
#include "display_registers.h"

/* Sets a field of `width` bits; there are 32 / width to a register, so `pin` counts from its first one. */
static uint32_t with_field(uint32_t value, unsigned pin, unsigned width, uint32_t field) {
    const unsigned shift = width * (pin % (32 / width));
    return (value & ~(((UINT32_C(1) << width) - 1) << shift)) | field << shift;
}

static void clock_on(unsigned port) {
    RCC_AHB1ENR |= BIT(port);
    (void)RCC_AHB1ENR; /* the clock needs a moment before the first access */
}

void pins_connect(const struct pins *pins, unsigned n, enum pin_speed speed) {
    for (; n > 0; n--, pins++) {
        clock_on(pins->port);
        for (unsigned pin = 0; pin < 16; pin++) {
            if (pins->mask & BIT(pin)) {
                GPIO_AFR(pins->port, pin) = with_field(GPIO_AFR(pins->port, pin), pin, 4, pins->function);
                GPIO_OSPEEDR(pins->port) = with_field(GPIO_OSPEEDR(pins->port), pin, 2, speed);
                GPIO_MODER(pins->port) = with_field(GPIO_MODER(pins->port), pin, 2, 2);
            }
        }
    }
}

void pin_set_high(unsigned port, unsigned pin) {
    clock_on(port);
    GPIO_BSRR(port) = BIT(pin);
    GPIO_MODER(port) = with_field(GPIO_MODER(port), pin, 2, 1);
}
