/* The registers of the display, its memory and its pins, as registers.h has the others. */
#ifndef DISPLAY_REGISTERS_H
#define DISPLAY_REGISTERS_H

#include "registers.h"

/* RM0385, General-purpose I/Os (GPIO); `port`: 0 for GPIOA to 10 for GPIOK, as in RCC_AHB1ENR */
#define GPIO_REGISTER(port, offset) REGISTER(0x40020000u + 0x400u * (uint32_t)(port) + (offset))
#define GPIO_MODER(port) GPIO_REGISTER(port, 0x00)
#define GPIO_OSPEEDR(port) GPIO_REGISTER(port, 0x08)
#define GPIO_BSRR(port) GPIO_REGISTER(port, 0x18)
#define GPIO_AFR(port, pin) GPIO_REGISTER(port, (pin) < 8 ? 0x20u : 0x24u)

/* RM0385, Reset and clock control (RCC) */
#define RCC_AHB3ENR REGISTER(0x40023838)
#define RCC_PLLSAICFGR REGISTER(0x40023888)
#define RCC_DCKCFGR1 REGISTER(0x4002388C)
#define RCC_CR_PLLSAION BIT(28)
#define RCC_CR_PLLSAIRDY BIT(29)
#define RCC_AHB3ENR_FMCEN BIT(0)
#define RCC_APB2ENR_LTDCEN BIT(26)
#define RCC_PLLSAICFGR_N(factor) (UINT32_C(factor) << 6)
#define RCC_PLLSAICFGR_Q(divider) (UINT32_C(divider) << 24)
#define RCC_PLLSAICFGR_R(divider) (UINT32_C(divider) << 28)
#define RCC_DCKCFGR1_PLLSAIDIVR (UINT32_C(3) << 16)
#define RCC_DCKCFGR1_PLLSAIDIVR_4 (UINT32_C(1) << 16)

/* RM0385, Flexible memory controller (FMC), SDRAM controller registers */
#define FMC_SDCR1 REGISTER(0xA0000140)
#define FMC_SDTR1 REGISTER(0xA0000148)
#define FMC_SDCMR REGISTER(0xA0000150)
#define FMC_SDRTR REGISTER(0xA0000154)
#define FMC_SDSR REGISTER(0xA0000158)
#define FMC_SDCR_NC_8 UINT32_C(0) /* bits of a column's number */
#define FMC_SDCR_NR_12 (UINT32_C(1) << 2)
#define FMC_SDCR_MWID_16 (UINT32_C(1) << 4)
#define FMC_SDCR_NB_4 BIT(6)
#define FMC_SDCR_CAS(clocks) (UINT32_C(clocks) << 7)
#define FMC_SDCR_SDCLK_HCLK_3 (UINT32_C(3) << 10)
#define FMC_SDTR_TMRD(clocks) ((uint32_t)((clocks) - 1) << 0)
#define FMC_SDTR_TXSR(clocks) ((uint32_t)((clocks) - 1) << 4)
#define FMC_SDTR_TRAS(clocks) ((uint32_t)((clocks) - 1) << 8)
#define FMC_SDTR_TRC(clocks) ((uint32_t)((clocks) - 1) << 12)
#define FMC_SDTR_TWR(clocks) ((uint32_t)((clocks) - 1) << 16)
#define FMC_SDTR_TRP(clocks) ((uint32_t)((clocks) - 1) << 20)
#define FMC_SDTR_TRCD(clocks) ((uint32_t)((clocks) - 1) << 24)
#define FMC_SDCMR_CLOCK UINT32_C(1)
#define FMC_SDCMR_PRECHARGE_ALL UINT32_C(2)
#define FMC_SDCMR_REFRESH(times) (UINT32_C(3) | (uint32_t)((times) - 1) << 5)
#define FMC_SDCMR_LOAD_MODE(mode) (UINT32_C(4) | UINT32_C(mode) << 9)
#define FMC_SDCMR_CTB1 BIT(4)
#define FMC_SDRTR_COUNT(clocks) ((uint32_t)(clocks) << 1)
#define FMC_SDSR_BUSY BIT(5)

/* RM0385, LCD-TFT display controller (LTDC) */
#define LTDC_SSCR REGISTER(0x40016808)
#define LTDC_BPCR REGISTER(0x4001680C)
#define LTDC_AWCR REGISTER(0x40016810)
#define LTDC_TWCR REGISTER(0x40016814)
#define LTDC_GCR REGISTER(0x40016818)
#define LTDC_SRCR REGISTER(0x40016824)
#define LTDC_L1CR REGISTER(0x40016884)
#define LTDC_L1WHPCR REGISTER(0x40016888)
#define LTDC_L1WVPCR REGISTER(0x4001688C)
#define LTDC_L1PFCR REGISTER(0x40016894)
#define LTDC_L1CFBAR REGISTER(0x400168AC)
#define LTDC_L1CFBLR REGISTER(0x400168B0)
#define LTDC_L1CFBLNR REGISTER(0x400168B4)
#define LTDC_L1CLUTWR REGISTER(0x400168C4)
#define LTDC_PAIR(horizontal, vertical) ((uint32_t)(horizontal) << 16 | (uint32_t)(vertical))
#define LTDC_GCR_LTDCEN BIT(0)
#define LTDC_SRCR_IMR BIT(0)
#define LTDC_SRCR_VBR BIT(1)
#define LTDC_LCR_LEN BIT(0)
#define LTDC_LCR_CLUTEN BIT(4)
#define LTDC_PFCR_L8 UINT32_C(5)

/* PM0253, Memory protection unit */
#define MPU_CTRL REGISTER(0xE000ED94)
#define MPU_RNR REGISTER(0xE000ED98)
#define MPU_RBAR REGISTER(0xE000ED9C)
#define MPU_RASR REGISTER(0xE000EDA0)
#define MPU_CTRL_ENABLE BIT(0)
#define MPU_CTRL_PRIVDEFENA BIT(2)
#define MPU_RASR_ENABLE BIT(0)
#define MPU_RASR_SIZE(log2) ((uint32_t)((log2) - 1) << 1)
#define MPU_RASR_NORMAL_UNCACHED (UINT32_C(1) << 19) /* TEX 1, C 0, B 0 */
#define MPU_RASR_AP_FULL (UINT32_C(3) << 24)
#define MPU_RASR_XN BIT(28)

#endif
