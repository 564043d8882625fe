/* The board's SDRAM: 8 MiB of it, since half of its 32 data pins are not connected (UM1907). */
#ifndef SDRAM_H
#define SDRAM_H

#include <stdint.h>

#define SDRAM_BYTES (UINT32_C(8) << 20)
#define SDRAM_BANK_BYTES (SDRAM_BYTES / 4) /* of one of its four internal banks */
#define SDRAM_ROW_BYTES UINT32_C(512)      /* 256 columns of 16 bits; a bank has one row open */

/* Switches it on and tries its address and data lines; what it holds is undefined afterwards. NULL if it does not
 * keep what is written. The processor does not cache it: others see what is written once a `dsb` is done. */
uint8_t *sdram_start(void);

#endif
