/* I2C3 on PH7 (clock) and PH8 (data), as master, 100 kHz, polled (RM0385, I2C master mode). */
#include "i2c.h"
#include "audio_registers.h"
#include "board.h"
#include "chip.h"

#define STEP_CYCLES (CORE_HZ / 500) /* a byte takes 90 us */
#define HALF_CLOCK_CYCLES (CORE_HZ / 200000)
#define CLOCK_PIN 7
#define DATA_PIN 8

/* 54 MHz / 13 = 4.15 MHz: data set up for 6 counts (1.4 us) and held for 2, the clock high for 19 (4.6 us), low
 * for 22 (5.3 us). With the rise times that is 100 kHz at most, and every time that the I2C specification
 * (UM10204, table 10, standard mode) wants. */
#define TIMING ((12u << 28) | (5u << 20) | (2u << 16) | (18u << 8) | 21u)

static void set_mode(uint32_t pin, uint32_t mode) {
    GPIOH_MODER = (GPIOH_MODER & ~(UINT32_C(3) << 2 * pin)) | (mode << 2 * pin);
}

void i2c_start(void) {
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOHEN;
    RCC_APB1ENR |= RCC_APB1ENR_I2C3EN;
    (void)RCC_AHB1ENR; /* the clocks need a moment before the first access */
    (void)RCC_APB1ENR;
    GPIOH_OTYPER |= BIT(CLOCK_PIN) | BIT(DATA_PIN);
    /* the board has pull-ups; these keep the lines from floating if its codec is taken off */
    GPIOH_PUPDR = (GPIOH_PUPDR & ~(UINT32_C(15) << 2 * CLOCK_PIN)) | (UINT32_C(5) << 2 * CLOCK_PIN);
    GPIOH_AFRL = (GPIOH_AFRL & ~(UINT32_C(15) << 28)) | (UINT32_C(4) << 28); /* PH7: AF4 */
    GPIOH_AFRH = (GPIOH_AFRH & ~UINT32_C(15)) | UINT32_C(4);                 /* PH8: AF4 */
    set_mode(CLOCK_PIN, 2);
    set_mode(DATA_PIN, 2);
    I2C3_CR1 = 0;
    I2C3_TIMINGR = TIMING;
    I2C3_CR1 = I2C_CR1_PE;
}

static int wait_for(uint32_t flag) {
    const uint64_t start = board_cycles();
    do {
        const uint32_t status = I2C3_ISR;
        if (status & (I2C_ISR_NACKF | I2C_ISR_BERR | I2C_ISR_ARLO)) {
            return -1;
        }
        if (status & flag) {
            return 0;
        }
    } while (board_cycles() - start < STEP_CYCLES);
    return -1;
}

static void wait_half_clock(void) {
    const uint64_t start = board_cycles();
    while (board_cycles() - start < HALF_CLOCK_CYCLES) {
    }
}

/* A device that was interrupted while it sent holds the data line low until it has had its clocks (UM10204,
 * 3.1.16): the chip may have been reset in the middle of a transfer. */
static void clear_bus(void) {
    GPIOH_BSRR = BIT(CLOCK_PIN);
    set_mode(CLOCK_PIN, 1);
    for (uint32_t i = 0; i < 9 && !(GPIOH_IDR & BIT(DATA_PIN)); i++) {
        GPIOH_BSRR = BIT(CLOCK_PIN + 16);
        wait_half_clock();
        GPIOH_BSRR = BIT(CLOCK_PIN);
        wait_half_clock();
    }
    set_mode(CLOCK_PIN, 2);
}

/* After a device's refusal the stop condition is on its way; anything else ends with the interface's reset. */
static int give_up(void) {
    const uint64_t start = board_cycles();
    while (!(I2C3_ISR & I2C_ISR_STOPF) && board_cycles() - start < STEP_CYCLES / 10) {
    }
    I2C3_CR1 = 0;
    (void)I2C3_CR1; /* must be off for three clocks of the bus */
    if (!(GPIOH_IDR & BIT(DATA_PIN))) {
        clear_bus();
    }
    I2C3_CR1 = I2C_CR1_PE;
    return -1;
}

int i2c_transfer(uint8_t address, const uint8_t *out, size_t n_out, uint8_t *in, size_t n_in) {
    const uint32_t device = (uint32_t)address << 1;
    const uint32_t end = n_in == 0 ? I2C_CR2_AUTOEND : 0;
    I2C3_CR2 = device | I2C_CR2_NBYTES(n_out) | end | I2C_CR2_START;
    for (size_t i = 0; i < n_out; i++) {
        if (wait_for(I2C_ISR_TXIS) != 0) {
            return give_up();
        }
        I2C3_TXDR = out[i];
    }
    if (n_in != 0) {
        if (wait_for(I2C_ISR_TC) != 0) {
            return give_up();
        }
        I2C3_CR2 = device | I2C_CR2_RD_WRN | I2C_CR2_NBYTES(n_in) | I2C_CR2_AUTOEND | I2C_CR2_START;
        for (size_t i = 0; i < n_in; i++) {
            if (wait_for(I2C_ISR_RXNE) != 0) {
                return give_up();
            }
            in[i] = (uint8_t)I2C3_RXDR;
        }
    }
    if (wait_for(I2C_ISR_STOPF) != 0) {
        return give_up();
    }
    I2C3_ICR = I2C_ISR_STOPF;
    return 0;
}
