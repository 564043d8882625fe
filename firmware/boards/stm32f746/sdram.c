/* SDRAM MT48LC4M32B2 (speed grade -6A) at bank 1 of the FMC. Its clock is HCLK / 3 = 72 MHz, a period of
 * 13.9 ns: HCLK / 2 = 108 MHz is more than the chip's 100 MHz (DS10916, SDRAM waveforms and timings). */
#include "sdram.h"
#include "board.h"
#include "chip.h"
#include "display_registers.h"
#include "pins.h"
#include <stddef.h>

#define SDRAM_HZ (CORE_HZ / 3u)
#define SDRAM_BASE UINT32_C(0xC0000000)
#define START_CYCLES (CORE_HZ / 10000u) /* 100 us, in which the memory wants nothing but the clock */
#define ROWS 4096u
/* Mode register: bursts of one word, CAS latency 2 (which the -6A has up to 100 MHz), writes single words. */
#define MODE 0x220

/* UM1907, SDRAM: A0-A11, BA0, BA1, D0-D15, NBL0, NBL1, SDCLK, SDCKE0, SDNE0, SDNRAS, SDNCAS, SDNWE */
static const struct pins pins[] = {
    {PORT_C, 12, 0x0008}, {PORT_D, 12, 0xC703}, {PORT_E, 12, 0xFF83},
    {PORT_F, 12, 0xF83F}, {PORT_G, 12, 0x8133}, {PORT_H, 12, 0x0028},
};

static void command(uint32_t what) {
    FMC_SDCMR = what | FMC_SDCMR_CTB1;
    while (FMC_SDSR & FMC_SDSR_BUSY) {
    }
}

/* RM0385, SDRAM initialization: the order of the steps. Minima of the memory's data sheet in brackets. */
static void controller_start(void) {
    FMC_SDCR1 = FMC_SDCR_NC_8 | FMC_SDCR_NR_12 | FMC_SDCR_MWID_16 | FMC_SDCR_NB_4 | FMC_SDCR_CAS(2) |
                FMC_SDCR_SDCLK_HCLK_3;
    FMC_SDTR1 = FMC_SDTR_TMRD(2) | /* 2 clocks */
                FMC_SDTR_TXSR(6) | /* 83 ns [70 ns] */
                FMC_SDTR_TRAS(4) | /* 56 ns [42 ns] */
                FMC_SDTR_TRC(5) |  /* 69 ns [60 ns] */
                FMC_SDTR_TWR(2) |  /* 28 ns [12 ns]; at least TRAS - TRCD (RM0385) */
                FMC_SDTR_TRP(2) |  /* 28 ns [18 ns] */
                FMC_SDTR_TRCD(2);  /* 28 ns [18 ns] */
    command(FMC_SDCMR_CLOCK);
    const uint64_t start = board_cycles();
    while (board_cycles() - start < START_CYCLES) {
    }
    command(FMC_SDCMR_PRECHARGE_ALL);
    command(FMC_SDCMR_REFRESH(8)); /* it wants 2 */
    command(FMC_SDCMR_LOAD_MODE(MODE));
    /* every row within 64 ms; 20 clocks less, for a refresh that has to wait for an access (RM0385, FMC_SDRTR) */
    FMC_SDRTR = FMC_SDRTR_COUNT(SDRAM_HZ / 1000u * 64u / ROWS - 20u);
}

/* Ordinary memory that is not cached. (Without a region it would be a device: every pixel a bus access of its own.
 * Written through the cache it would be exposed to Arm's erratum 1259864 of write-through memory.) */
static void region_start(void) {
    MPU_RNR = 0;
    MPU_RBAR = SDRAM_BASE;
    MPU_RASR =
        MPU_RASR_XN | MPU_RASR_AP_FULL | MPU_RASR_NORMAL_UNCACHED | MPU_RASR_SIZE(23) | MPU_RASR_ENABLE;
    MPU_CTRL = MPU_CTRL_PRIVDEFENA | MPU_CTRL_ENABLE;
    __asm volatile("dsb\n isb" ::: "memory");
}

/* A mark in the first word, and another in every word whose address differs from it in one line. */
static int keeps_its_contents(volatile uint8_t *memory) {
    int good = 1;
    for (uint32_t at = SDRAM_BYTES / 2; at >= 4; at /= 2) {
        *(volatile uint32_t *)(memory + at) = at ^ 0x5A5A5A5Au;
    }
    *(volatile uint32_t *)memory = 0xA5A5A5A5u;
    for (uint32_t at = SDRAM_BYTES / 2; at >= 4; at /= 2) {
        good &= *(volatile uint32_t *)(memory + at) == (at ^ 0x5A5A5A5Au);
    }
    memory[1] = 0x00; /* the byte lanes */
    return good && *(volatile uint32_t *)memory == 0xA5A500A5u;
}

uint8_t *sdram_start(void) {
    pins_connect(pins, sizeof pins / sizeof *pins, PIN_100_MHZ);
    RCC_AHB3ENR |= RCC_AHB3ENR_FMCEN;
    (void)RCC_AHB3ENR; /* the clock needs a moment before the first access */
    controller_start();
    region_start();
    uint8_t *memory = (uint8_t *)(uintptr_t)SDRAM_BASE;
    return keeps_its_contents(memory) ? memory : NULL;
}
