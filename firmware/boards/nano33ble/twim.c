/* The processor sleeps while a transfer goes on; TIMER0 limits it. The interrupts of both are enabled only while
 * all are masked, so they end the sleep and are never taken. nRF52840 Product Specification v1.1, 6.31. */
#include "twim.h"
#include "board.h"
#include "chip.h"
#include "gpio.h"
#include "registers.h"

#define TWIM1(offset) REGISTER(0x40004000 + (offset))
#define TASKS_STARTTX TWIM1(0x008)
#define TASKS_STOP TWIM1(0x014)
#define EVENTS_STOPPED TWIM1(0x104)
#define EVENTS_ERROR TWIM1(0x124)
#define SHORTS TWIM1(0x200)
#define INTENSET TWIM1(0x304)
#define INTEN_STOPPED BIT(1)
#define INTEN_ERROR BIT(9)
#define ERRORSRC TWIM1(0x4C4)
#define ENABLE TWIM1(0x500)
#define PSEL_SCL TWIM1(0x508)
#define PSEL_SDA TWIM1(0x50C)
#define FREQUENCY TWIM1(0x524)
#define RXD_PTR TWIM1(0x534)
#define RXD_MAXCNT TWIM1(0x538)
#define TXD_PTR TWIM1(0x544)
#define TXD_MAXCNT TWIM1(0x548)
#define ADDRESS TWIM1(0x588)
#define LASTTX_STARTRX BIT(7)
#define LASTTX_STOP BIT(9)
#define LASTRX_STOP BIT(12)
#define ENABLE_TWIM 6u
#define ALL_ERRORS 7u
#define FREQUENCY_390K 0x06200000u /* at 400 kHz the clock is low for too short a time: anomaly 219 */
#define BYTE_US 24u                /* 9 bits */

#define SDA PIN(0, 14)
#define SCL PIN(0, 15)
#define SUPPLY PIN(0, 22)
#define PULL_UPS PIN(1, 0)

/* PS 5.4.4.10: one pin is for the trace unit and the bus's pull-ups, and a bootloader may have given it to the
 * former */
#define CLOCK_TRACECONFIG REGISTER(0x4000055C)

#define TIMER0 UINT32_C(0x40008000)
#define TIMER_SHORTS_COMPARE0_STOP BIT(8)
#define POSITIONS (NVIC_BIT(TWIM1_POSITION) | NVIC_BIT(TIMER0_POSITION)) /* of one register */
#define TWIM1_POSITION 4
#define TIMER0_POSITION 8

#define HALF_CLOCK_US 5u
#define RECOVERY_CLOCKS 9

static void pass(uint32_t us) {
    const uint64_t start = board_cycles();
    while (board_cycles() - start < us * (CORE_HZ / 1000000u)) {
    }
}

static void enable(void) {
    gpio_write(SDA, 1);
    gpio_write(SCL, 1);
    gpio_configure(SDA, GPIO_OPEN_DRAIN_INPUT);
    gpio_configure(SCL, GPIO_OPEN_DRAIN_INPUT);
    PSEL_SCL = SCL;
    PSEL_SDA = SDA;
    FREQUENCY = FREQUENCY_390K;
    INTENSET = INTEN_STOPPED | INTEN_ERROR;
    ENABLE = ENABLE_TWIM;
}

void twim_power_on(void) {
    CLOCK_TRACECONFIG = 0;
    gpio_write(SUPPLY, 1);
    gpio_write(PULL_UPS, 1);
    gpio_configure(SUPPLY, GPIO_STRONG_OUTPUT);
    gpio_configure(PULL_UPS, GPIO_STRONG_OUTPUT);
    enable();
}

void twim_power_off(void) {
    ENABLE = 0;
    gpio_configure(SDA, GPIO_DISCONNECTED);
    gpio_configure(SCL, GPIO_DISCONNECTED);
    gpio_write(PULL_UPS, 0);
    gpio_write(SUPPLY, 0);
    gpio_configure(PULL_UPS, GPIO_STRONG_OUTPUT);
    gpio_configure(SUPPLY, GPIO_STRONG_OUTPUT);
}

static void start_limit(uint32_t us) {
    TIMER_TASKS_STOP(TIMER0) = 1;
    TIMER_MODE(TIMER0) = TIMER_MODE_TIMER;
    TIMER_BITMODE(TIMER0) = TIMER_BITMODE_32;
    TIMER_PRESCALER(TIMER0) = 0;
    TIMER_SHORTS(TIMER0) = TIMER_SHORTS_COMPARE0_STOP;
    TIMER_CC(TIMER0, 0) = us * (TIMER_HZ / 1000000u);
    TIMER_EVENTS_COMPARE(TIMER0, 0) = 0;
    TIMER_INTENSET(TIMER0) = TIMER_INT_COMPARE(0);
    TIMER_TASKS_CLEAR(TIMER0) = 1;
    TIMER_TASKS_START(TIMER0) = 1;
}

/* Until the transfer has stopped, or is refused, or time is up. */
static enum twim_result wait(uint32_t limit_us) {
    enum twim_result result = TWIM_LATE;
    start_limit(limit_us);
    NVIC_ICPR(TWIM1_POSITION) = POSITIONS; /* what is left of the last time */
    for (int late = 0; !late;) {
        const uint32_t mask = interrupts_off();
        NVIC_ISER(TWIM1_POSITION) = POSITIONS;
        late = TIMER_EVENTS_COMPARE(TIMER0, 0) != 0;
        if (!late && !EVENTS_ERROR && !EVENTS_STOPPED) {
            clock_sleep();
        }
        NVIC_ICER(TWIM1_POSITION) = POSITIONS;
        interrupts_restore(mask);
        if (EVENTS_ERROR || EVENTS_STOPPED) {
            result = EVENTS_ERROR ? TWIM_REFUSED : TWIM_DONE;
            break;
        }
    }
    TIMER_TASKS_STOP(TIMER0) = 1;
    return result;
}

enum twim_result twim_transfer(uint8_t address, const uint8_t *out, size_t sent, uint8_t *in,
                               size_t received) {
    ADDRESS = address;
    TXD_PTR = (uint32_t)(uintptr_t)out;
    TXD_MAXCNT = sent;
    RXD_PTR = (uint32_t)(uintptr_t)in;
    RXD_MAXCNT = received;
    SHORTS = received ? LASTTX_STARTRX | LASTRX_STOP : LASTTX_STOP;
    EVENTS_STOPPED = 0;
    EVENTS_ERROR = 0;
    ERRORSRC = ALL_ERRORS;
    __asm volatile("dsb" ::: "memory");
    TASKS_STARTTX = 1;
    const uint32_t us = (sent + received + 2) * BYTE_US; /* the address is sent twice */
    enum twim_result result = wait(us + us / 4 + 500);
    if (result == TWIM_REFUSED) {
        EVENTS_ERROR = 0;
        TASKS_STOP = 1;
        if (wait(500) != TWIM_DONE) {
            result = TWIM_LATE;
        }
    }
    __asm volatile("" ::: "memory"); /* `in` has changed */
    return result;
}

int twim_recover(void) {
    ENABLE = 0; /* what has not ended is given up */
    gpio_write(SDA, 1);
    gpio_write(SCL, 1);
    gpio_configure(SDA, GPIO_OPEN_DRAIN);
    gpio_configure(SCL, GPIO_OPEN_DRAIN);
    pass(HALF_CLOCK_US);
    for (int i = 0; i < RECOVERY_CLOCKS && !gpio_read(SDA); i++) {
        gpio_write(SCL, 0);
        pass(HALF_CLOCK_US);
        gpio_write(SCL, 1);
        pass(HALF_CLOCK_US);
    }
    gpio_write(SCL, 0); /* a stop: the data line rises while the clock is high */
    pass(HALF_CLOCK_US);
    gpio_write(SDA, 0);
    pass(HALF_CLOCK_US);
    gpio_write(SCL, 1);
    pass(HALF_CLOCK_US);
    gpio_write(SDA, 1);
    pass(HALF_CLOCK_US);
    const int free = gpio_read(SDA) && gpio_read(SCL);
    enable();
    return free ? 0 : -1;
}
