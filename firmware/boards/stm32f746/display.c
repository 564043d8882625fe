/* The panel RK043FN48H-CT672B, 480 x 272 pixels, at the LTDC: one layer of 8 bits a pixel with a palette. Two
 * frames lie in the SDRAM; the layer's address chooses the one that is shown. */
#include "board.h"
#include "chip.h"
#include "display_registers.h"
#include "pins.h"
#include "sdram.h"
#include <string.h>

/* UM1907 and DS10916: PI9 VSYNC, PI10 HSYNC, PI14 CLK, PK7 DE; red PI15, PJ0-6; green PJ7-11, PK0-2; blue PE4,
 * PJ13-15, PG12, PK4-6 */
static const struct pins pins[] = {
    {PORT_E, 14, 0x0010}, {PORT_G, 9, 0x1000},  {PORT_I, 14, 0xC600},
    {PORT_J, 14, 0xEFFF}, {PORT_K, 14, 0x00F7},
};

/* Pixel clocks and lines: the panel's data sheet has 480..605 pixel clocks a line and 275..335 lines. */
enum {
    WIDTH = 480,
    HEIGHT = 272,
    LINE_PULSE = 41,
    LINE_BEFORE = 13,
    LINE_AFTER = 32,
    FRAME_PULSE = 10,
    FRAME_BEFORE = 2,
    FRAME_AFTER = 2,
    /* of the last pixel of each part, as the LTDC counts them */
    LEFT = LINE_PULSE + LINE_BEFORE - 1,
    RIGHT = LEFT + WIDTH,
    TOP = FRAME_PULSE + FRAME_BEFORE - 1,
    BOTTOM = TOP + HEIGHT
};

/* A line a row of the SDRAM; a frame a bank, so that drawing one does not close the row that is shown. */
static board_display display = {.width = WIDTH, .height = HEIGHT, .stride = SDRAM_ROW_BYTES};

/* 25 MHz / 25 * 192 / 5 / 4 = 9.6 MHz; the panel takes 5 to 12. 566 x 286 clocks are a frame: 59.3 Hz. */
static void pixel_clock_start(void) {
    RCC_PLLSAICFGR = RCC_PLLSAICFGR_N(192) | RCC_PLLSAICFGR_Q(4) | RCC_PLLSAICFGR_R(5);
    RCC_DCKCFGR1 = (RCC_DCKCFGR1 & ~RCC_DCKCFGR1_PLLSAIDIVR) | RCC_DCKCFGR1_PLLSAIDIVR_4;
    RCC_CR |= RCC_CR_PLLSAION;
    while (!(RCC_CR & RCC_CR_PLLSAIRDY)) {
    }
    RCC_APB2ENR |= RCC_APB2ENR_LTDCEN;
    (void)RCC_APB2ENR; /* the clock needs a moment before the first access */
}

static uint32_t address_of(unsigned frame) {
    return (uint32_t)(uintptr_t)display.frames[frame];
}

static void layer_start(const uint32_t *palette, size_t n) {
    LTDC_L1WHPCR = LTDC_PAIR(RIGHT, LEFT + 1);
    LTDC_L1WVPCR = LTDC_PAIR(BOTTOM, TOP + 1);
    LTDC_L1PFCR = LTDC_PFCR_L8;
    LTDC_L1CFBAR = address_of(0);
    LTDC_L1CFBLR = LTDC_PAIR(SDRAM_ROW_BYTES, WIDTH + 3); /* RM0385: the line's bytes and 3 */
    LTDC_L1CFBLNR = HEIGHT;
    for (uint32_t i = 0; i < 256; i++) {
        LTDC_L1CLUTWR = i << 24 | (i < n ? palette[i] & 0xFFFFFFu : 0);
    }
    LTDC_L1CR = LTDC_LCR_LEN | LTDC_LCR_CLUTEN;
    LTDC_SRCR = LTDC_SRCR_IMR;
}

/* The signals' polarities stay as after reset, which is how the panel wants them. */
static void controller_start(const uint32_t *palette, size_t n) {
    LTDC_SSCR = LTDC_PAIR(LINE_PULSE - 1, FRAME_PULSE - 1);
    LTDC_BPCR = LTDC_PAIR(LEFT, TOP);
    LTDC_AWCR = LTDC_PAIR(RIGHT, BOTTOM);
    LTDC_TWCR = LTDC_PAIR(RIGHT + LINE_AFTER, BOTTOM + FRAME_AFTER);
    layer_start(palette, n);
    LTDC_GCR |= LTDC_GCR_LTDCEN;
}

const board_display *board_display_start(const uint32_t *palette, size_t n) {
    uint8_t *memory = sdram_start();
    if (memory == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < 2; i++) {
        display.frames[i] = memory + i * SDRAM_BANK_BYTES;
        memset(display.frames[i], 0, HEIGHT * SDRAM_ROW_BYTES);
    }
    __asm volatile("dsb" ::: "memory");
    pixel_clock_start();
    pins_connect(pins, sizeof pins / sizeof *pins, PIN_25_MHZ);
    controller_start(palette, n);
    pin_set_high(PORT_I, 12); /* LCD_DISP */
    pin_set_high(PORT_K, 3);  /* LCD_BL_CTRL */
    return &display;
}

/* The LTDC takes a layer's registers over all at once, in the pause after the last line. */
void board_display_show(unsigned frame) {
    __asm volatile("dsb" ::: "memory"); /* what was drawn is in the memory */
    LTDC_L1CFBAR = address_of(frame);
    LTDC_SRCR = LTDC_SRCR_VBR;
}

/* Until it has taken it over, the register reads as it was before. */
unsigned board_display_shown(void) {
    return LTDC_L1CFBAR == address_of(1);
}
