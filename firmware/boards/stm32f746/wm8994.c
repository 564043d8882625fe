/* The WM8994 as the STM32F746G-DISCO uses it (Cirrus Logic, WM8994 data sheet; UM1907, Audio): MEMS microphones
 * U20 and U21 on DMICDAT2, which can go to time slot 1 of the first audio interface, AIF1; the clock MCLK1 and
 * that interface come from SAI2. Registers and bits are those of the data sheet's section "Register Map". */
#include "wm8994.h"
#include "i2c.h"

#define ADDRESS 0x1Au /* 0x34 with the read/write bit */
#define ID UINT16_C(0x8994)

#define SOFTWARE_RESET 0x000u /* any write resets; reads as the ID */
#define POWER_1 0x001u
#define POWER_4 0x004u
#define ANTIPOP_2 0x039u
#define AIF1_CLOCKING_1 0x200u
#define CLOCKING_1 0x208u
#define AIF1_RATE 0x210u
#define AIF1_CONTROL_1 0x300u
#define AIF1_ADC2_LEFT_VOLUME 0x404u
#define AIF1_ADC2_RIGHT_VOLUME 0x405u
#define AIF1_ADC2_FILTERS 0x411u
#define AIF1_ADC2_LEFT_ROUTING 0x608u
#define AIF1_ADC2_RIGHT_ROUTING 0x609u

/* AIF1ADC2L_ENA, AIF1ADC2R_ENA, DMIC2L_ENA, DMIC2R_ENA */
#define MICROPHONES UINT16_C(0x0C30)

struct setting {
    uint16_t address, value;
};

static const struct setting power[] = {
    /* not in the data sheet: what ST's and Linux's drivers write to this chip after a reset */
    {0x102, 0x0003},   {0x817, 0x0000},
    {0x102, 0x0000},   {ANTIPOP_2, 0x006C}, /* STARTUP_BIAS_ENA, VMID_BUF_ENA, VMID_RAMP 11: fast start */
    {POWER_1, 0x0013}, /* MICB1_ENA: the digital microphones' supply; VMID_SEL 01; BIAS_ENA */
};

static const struct setting listen[] = {
    {AIF1_RATE, 0x0033},       /* 16 kHz; AIF1CLK is 256 times that */
    {AIF1_CONTROL_1, 0x4010},  /* right channel's own data, 16 bits, I2S */
    {AIF1_CLOCKING_1, 0x0001}, /* AIF1CLK_ENA, from MCLK1 */
    {CLOCKING_1, 0x000A},      /* AIF1DSPCLK_ENA, SYSDSPCLK_ENA, SYSCLK from AIF1CLK */
    {AIF1_ADC2_LEFT_VOLUME,
     0x01EF}, /* AIF1ADC2_VU, +17.625 dB: a speaker 1 m away is at -55 dB of full scale */
    {AIF1_ADC2_RIGHT_VOLUME, 0x01EF}, /* the same */
    {AIF1_ADC2_FILTERS, 0x1800}, /* high pass on both, 4 Hz at 48 kHz: takes the microphones' offset off */
    {AIF1_ADC2_LEFT_ROUTING, 0x0002},  /* ADC2L_TO_AIF1ADC2L: DMIC2, left */
    {AIF1_ADC2_RIGHT_ROUTING, 0x0002}, /* ADC2R_TO_AIF1ADC2R: DMIC2, right */
    {POWER_4, MICROPHONES},            /* last: from here on it is heard */
};

static int write_register(uint16_t address, uint16_t value) {
    const uint8_t bytes[4] = {(uint8_t)(address >> 8), (uint8_t)address, (uint8_t)(value >> 8),
                              (uint8_t)value};
    return i2c_transfer(ADDRESS, bytes, sizeof bytes, NULL, 0);
}

static int read_register(uint16_t address, uint16_t *value) {
    const uint8_t out[2] = {(uint8_t)(address >> 8), (uint8_t)address};
    uint8_t in[2];
    if (i2c_transfer(ADDRESS, out, sizeof out, in, sizeof in) != 0) {
        return -1;
    }
    *value = (uint16_t)(in[0] << 8 | in[1]);
    return 0;
}

static int write_all(const struct setting *settings, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (write_register(settings[i].address, settings[i].value) != 0) {
            return -1;
        }
    }
    return 0;
}

static int expect(uint16_t address, uint16_t value) {
    uint16_t is;
    return read_register(address, &is) == 0 && is == value ? 0 : -1;
}

int wm8994_power(void) {
    if (expect(SOFTWARE_RESET, ID) != 0 || write_register(SOFTWARE_RESET, 0) != 0) {
        return -1;
    }
    return write_all(power, sizeof power / sizeof power[0]);
}

int wm8994_listen(void) {
    return write_all(listen, sizeof listen / sizeof listen[0]);
}

int wm8994_check(void) {
    return expect(POWER_4, MICROPHONES);
}
