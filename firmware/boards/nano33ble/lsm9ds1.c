#include "lsm9ds1.h"
#include "twim.h"

#define ADDRESS 0x6B /* table 19, SDO_A/G high */
#define WHO_AM_I 0x0F
#define CTRL_REG5_XL 0x1F
#define CTRL_REG6_XL 0x20
#define CTRL_REG8 0x22
#define CTRL_REG9 0x23
#define OUT_X_L_XL 0x28
#define FIFO_CTRL 0x2E
#define FIFO_SRC 0x2F

#define IDENTITY 0x68
#define AXES_XYZ 0x38u  /* CTRL_REG5_XL: Zen_XL, Yen_XL, Xen_XL */
#define FS_4G (2u << 3) /* CTRL_REG6_XL; 1 is 16 g */
#define BANDWIDTH_50HZ                                                                                       \
    0x07u /* CTRL_REG6_XL: BW_SCAL_ODR, BW_XL; by itself it would be 408 Hz at 50 and 10 Hz */
#define BLOCK_UPDATE 0x40u /* CTRL_REG8 */
#define ADDRESS_INCREASES 0x04u
#define SW_RESET 0x01u
#define FIFO_EN 0x02u /* CTRL_REG9 */
#define FIFO_BYPASS 0x00u
#define FIFO_CONTINUOUS 0xC0u
#define FIFO_OVRN 0x40u
#define FIFO_FSS 0x3Fu

/* Table 68 (gyroscope off), and DEC of table 65. */
static const lsm9ds1_rate rates[] = {
    {10000, 1, 0}, {14875, 3, 3}, {29750, 3, 2}, {50000, 2, 0}, {59500, 3, 1}, {119000, 3, 0},
};

static uint32_t errors;

static int checked(enum twim_result result) {
    if (result == TWIM_DONE) {
        return 0;
    }
    errors++;
    return -1;
}

static int write_register(uint8_t number, uint8_t value) {
    const uint8_t out[2] = {number, value};
    return checked(twim_transfer(ADDRESS, out, 2, NULL, 0));
}

static int read_registers(uint8_t first, uint8_t *in, size_t n) {
    return checked(twim_transfer(ADDRESS, &first, 1, in, n));
}

const lsm9ds1_rate *lsm9ds1_nearest(uint32_t mhz) {
    size_t i = 0;
    while (i + 1 < sizeof rates / sizeof rates[0] && mhz > (rates[i].mhz + rates[i + 1].mhz) / 2) {
        i++;
    }
    return &rates[i];
}

int lsm9ds1_identify(void) {
    uint8_t identity;
    return read_registers(WHO_AM_I, &identity, 1) != 0 ? -1 : identity == IDENTITY;
}

int lsm9ds1_reset(void) {
    return write_register(CTRL_REG8, SW_RESET | ADDRESS_INCREASES);
}

static uint8_t reg5(const lsm9ds1_rate *rate) {
    return (uint8_t)(rate->decimation << 6 | AXES_XYZ);
}

static uint8_t reg6(const lsm9ds1_rate *rate) {
    return (uint8_t)(rate->odr << 5 | FS_4G | BANDWIDTH_50HZ);
}

int lsm9ds1_sample(const lsm9ds1_rate *rate) {
    const uint8_t settings[][2] = {
        {CTRL_REG8, BLOCK_UPDATE | ADDRESS_INCREASES},
        {FIFO_CTRL, FIFO_BYPASS},
        {CTRL_REG9, FIFO_EN},
        {CTRL_REG5_XL, reg5(rate)},
        {CTRL_REG6_XL, reg6(rate)},
        {FIFO_CTRL, FIFO_CONTINUOUS},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (write_register(settings[i][0], settings[i][1]) != 0) {
            return -1;
        }
    }
    return 0;
}

int lsm9ds1_samples(const lsm9ds1_rate *rate) {
    uint8_t control[CTRL_REG9 - CTRL_REG5_XL + 1];
    uint8_t fifo;
    if (read_registers(CTRL_REG5_XL, control, sizeof control) != 0 ||
        read_registers(FIFO_CTRL, &fifo, 1) != 0) {
        return -1;
    }
    return control[0] == reg5(rate) && control[CTRL_REG6_XL - CTRL_REG5_XL] == reg6(rate) &&
           control[CTRL_REG8 - CTRL_REG5_XL] == (BLOCK_UPDATE | ADDRESS_INCREASES) &&
           control[CTRL_REG9 - CTRL_REG5_XL] == FIFO_EN && fifo == FIFO_CONTINUOUS;
}

int lsm9ds1_stop(void) {
    return write_register(CTRL_REG6_XL, 0);
}

int lsm9ds1_fifo(size_t *waiting, int *overrun) {
    uint8_t source;
    if (read_registers(FIFO_SRC, &source, 1) != 0) {
        return -1;
    }
    *waiting = source & FIFO_FSS;
    *overrun = (source & FIFO_OVRN) != 0;
    return 0;
}

/* 3.3: reading goes around from the last output register to the first. The bytes are in the processor's order. */
int lsm9ds1_read(int16_t *xyz, size_t n) {
    return read_registers(OUT_X_L_XL, (uint8_t *)xyz, 6 * n);
}

uint32_t lsm9ds1_errors(void) {
    return errors;
}
