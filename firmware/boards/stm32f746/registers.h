/* The registers this board uses, by the names of RM0385 (STM32F75xxx/F74xxx reference manual) and PM0253
 * (Cortex-M7 programming manual). docs/stm32f746.md says what each is used for. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define BIT(n) (UINT32_C(1) << (n))

/* RM0385, Basic timers (TIM6/TIM7) */
#define TIM7_CR1 REGISTER(0x40001400)
#define TIM7_DIER REGISTER(0x4000140C)
#define TIM7_SR REGISTER(0x40001410)
#define TIM7_EGR REGISTER(0x40001414)
#define TIM7_CNT REGISTER(0x40001424)
#define TIM7_PSC REGISTER(0x40001428)
#define TIM7_ARR REGISTER(0x4000142C)
#define TIM_CR1_CEN BIT(0)
#define TIM_CR1_URS BIT(2)
#define TIM_DIER_UIE BIT(0)
#define TIM_SR_UIF BIT(0)
#define TIM_EGR_UG BIT(0)

/* RM0385, Independent watchdog (IWDG) */
#define IWDG_KR REGISTER(0x40003000)
#define IWDG_PR REGISTER(0x40003004)
#define IWDG_RLR REGISTER(0x40003008)
#define IWDG_SR REGISTER(0x4000300C)
#define IWDG_KR_RELOAD 0xAAAAu
#define IWDG_KR_UNLOCK 0x5555u
#define IWDG_KR_START 0xCCCCu
#define IWDG_PR_DIV32 3u

/* RM0385, Power controller (PWR) */
#define PWR_CR1 REGISTER(0x40007000)
#define PWR_CSR1 REGISTER(0x40007004)
#define PWR_CR1_VOS_SCALE1 (UINT32_C(3) << 14)
#define PWR_CR1_ODEN BIT(16)
#define PWR_CR1_ODSWEN BIT(17)
#define PWR_CSR1_ODRDY BIT(16)
#define PWR_CSR1_ODSWRDY BIT(17)

/* RM0385, Universal synchronous asynchronous receiver transmitter (USART) */
#define USART1_CR1 REGISTER(0x40011000)
#define USART1_CR3 REGISTER(0x40011008)
#define USART1_BRR REGISTER(0x4001100C)
#define USART1_ISR REGISTER(0x4001101C)
#define USART1_ICR REGISTER(0x40011020)
#define USART1_RDR REGISTER(0x40011024)
#define USART1_TDR REGISTER(0x40011028)
#define USART_CR1_UE BIT(0)
#define USART_CR1_RE BIT(2)
#define USART_CR1_TE BIT(3)
#define USART_CR3_DMAR BIT(6)
#define USART_ISR_FE BIT(1)
#define USART_ISR_NF BIT(2)
#define USART_ISR_ORE BIT(3)
#define USART_ISR_TC BIT(6)
#define USART_ISR_TXE BIT(7)

/* RM0385, Analog-to-digital converter (ADC) */
#define ADC1_SR REGISTER(0x40012000)
#define ADC1_CR2 REGISTER(0x40012008)
#define ADC1_SMPR1 REGISTER(0x4001200C)
#define ADC1_SQR3 REGISTER(0x40012034)
#define ADC1_DR REGISTER(0x4001204C)
#define ADC_CCR REGISTER(0x40012304)
#define ADC_SR_EOC BIT(1)
#define ADC_CR2_ADON BIT(0)
#define ADC_CR2_SWSTART BIT(30)
#define ADC_SMPR1_SMP17_480 (UINT32_C(7) << 21)
#define ADC_CCR_ADCPRE_DIV4 (UINT32_C(1) << 16)
#define ADC_CCR_TSVREFE BIT(23)

/* Data sheet DS10916, Internal reference voltage calibration values: 16 bits */
#define VREFINT_CAL (*(const volatile uint16_t *)0x1FF0F44A)

/* RM0385, General-purpose I/Os (GPIO) */
#define GPIOA_MODER REGISTER(0x40020000)
#define GPIOA_AFRH REGISTER(0x40020024)
#define GPIOB_MODER REGISTER(0x40020400)
#define GPIOB_PUPDR REGISTER(0x4002040C)
#define GPIOB_AFRL REGISTER(0x40020420)

/* RM0385, Reset and clock control (RCC) */
#define RCC_CR REGISTER(0x40023800)
#define RCC_PLLCFGR REGISTER(0x40023804)
#define RCC_CFGR REGISTER(0x40023808)
#define RCC_AHB1ENR REGISTER(0x40023830)
#define RCC_APB1ENR REGISTER(0x40023840)
#define RCC_APB2ENR REGISTER(0x40023844)
#define RCC_CSR REGISTER(0x40023874)
#define RCC_CR_HSEON BIT(16)
#define RCC_CR_HSERDY BIT(17)
#define RCC_CR_PLLON BIT(24)
#define RCC_CR_PLLRDY BIT(25)
#define RCC_PLLCFGR_PLLM(divider) (UINT32_C(divider) << 0)
#define RCC_PLLCFGR_PLLN(factor) (UINT32_C(factor) << 6)
#define RCC_PLLCFGR_PLLP_DIV2 (UINT32_C(0) << 16)
#define RCC_PLLCFGR_PLLSRC_HSE BIT(22)
#define RCC_PLLCFGR_PLLQ(divider) (UINT32_C(divider) << 24)
#define RCC_CFGR_SW UINT32_C(3)
#define RCC_CFGR_SW_PLL UINT32_C(2)
#define RCC_CFGR_SWS (UINT32_C(3) << 2)
#define RCC_CFGR_SWS_PLL (UINT32_C(2) << 2)
#define RCC_CFGR_PPRE1_DIV4 (UINT32_C(5) << 10)
#define RCC_CFGR_PPRE2_DIV2 (UINT32_C(4) << 13)
#define RCC_AHB1ENR_GPIOAEN BIT(0)
#define RCC_AHB1ENR_GPIOBEN BIT(1)
#define RCC_AHB1ENR_DMA2EN BIT(22)
#define RCC_APB1ENR_TIM7EN BIT(5)
#define RCC_APB1ENR_PWREN BIT(28)
#define RCC_APB2ENR_USART1EN BIT(4)
#define RCC_APB2ENR_ADC1EN BIT(8)
#define RCC_CSR_RMVF BIT(24)
#define RCC_CSR_BORRSTF BIT(25)
#define RCC_CSR_PORRSTF BIT(27)
#define RCC_CSR_SFTRSTF BIT(28)
#define RCC_CSR_IWDGRSTF BIT(29)

/* RM0385, Embedded Flash memory (FLASH) */
#define FLASH_ACR REGISTER(0x40023C00)
#define FLASH_ACR_LATENCY UINT32_C(15)
#define FLASH_ACR_LATENCY_7 UINT32_C(7)
#define FLASH_ACR_PRFTEN BIT(8)
#define FLASH_ACR_ARTEN BIT(9)

/* RM0385, Direct memory access controller (DMA) */
#define DMA2_LIFCR REGISTER(0x40026408)
#define DMA2_S2CR REGISTER(0x40026440)
#define DMA2_S2NDTR REGISTER(0x40026444)
#define DMA2_S2PAR REGISTER(0x40026448)
#define DMA2_S2M0AR REGISTER(0x4002644C)
#define DMA_LIFCR_STREAM2 (UINT32_C(0x3D) << 16)
#define DMA_SCR_EN BIT(0)
#define DMA_SCR_CIRC BIT(8)
#define DMA_SCR_MINC BIT(10)
#define DMA_SCR_PL_VERY_HIGH (UINT32_C(3) << 16)
#define DMA_SCR_CHSEL(channel) (UINT32_C(channel) << 25)

/* PM0253 names neither; ARMv7-M Architecture Reference Manual, Data Watchpoint and Trace unit (DWT), and
 * Debug Exception and Monitor Control Register */
#define DWT_CTRL REGISTER(0xE0001000)
#define DWT_CYCCNT REGISTER(0xE0001004)
#define DWT_LAR REGISTER(0xE0001FB0)
#define DEMCR REGISTER(0xE000EDFC)
#define DWT_CTRL_CYCCNTENA BIT(0)
#define DWT_LAR_UNLOCK 0xC5ACCE55u
#define DEMCR_TRCENA BIT(24)

/* PM0253, SysTick timer */
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define SYST_CSR_ENABLE BIT(0)
#define SYST_CSR_TICKINT BIT(1)
#define SYST_CSR_CLKSOURCE BIT(2)

/* PM0253, Nested vectored interrupt controller; positions: RM0385, vector table */
#define NVIC_ISER(position) REGISTER(0xE000E100 + 4 * ((position) / 32))
#define NVIC_ICER(position) REGISTER(0xE000E180 + 4 * ((position) / 32))
#define NVIC_ICPR(position) REGISTER(0xE000E280 + 4 * ((position) / 32))
#define NVIC_IPR(position) (*(volatile uint8_t *)(0xE000E400 + (position)))
#define NVIC_BIT(position) BIT((position) % 32)
#define NVIC_LOWEST 0xF0u /* of 16 priorities */
#define TIM7_POSITION 55

/* PM0253, System control block */
#define SCB_VTOR REGISTER(0xE000ED08)
#define SCB_AIRCR REGISTER(0xE000ED0C)
#define SCB_CCR REGISTER(0xE000ED14)
#define SCB_SHCSR REGISTER(0xE000ED24)
#define SCB_CFSR REGISTER(0xE000ED28)
#define SCB_HFSR REGISTER(0xE000ED2C)
#define SCB_MMFAR REGISTER(0xE000ED34)
#define SCB_BFAR REGISTER(0xE000ED38)
#define SCB_AIRCR_SYSRESETREQ 0x05FA0004u /* with the key that any write needs */
#define SCB_CCR_DIV_0_TRP BIT(4)
#define SCB_CCR_DC BIT(16)
#define SCB_CCR_IC BIT(17)
#define SCB_SHCSR_MEMFAULTENA BIT(16)
#define SCB_SHCSR_BUSFAULTENA BIT(17)
#define SCB_SHCSR_USGFAULTENA BIT(18)
#define SCB_CFSR_MMARVALID BIT(7)
#define SCB_CFSR_BFARVALID BIT(15)

/* PM0253, Processor features and cache maintenance operations */
#define SCB_CCSIDR REGISTER(0xE000ED80)
#define SCB_CSSELR REGISTER(0xE000ED84)
#define SCB_ICIALLU REGISTER(0xE000EF50)
#define SCB_DCISW REGISTER(0xE000EF60)

/* PM0253, Floating point unit */
#define FPU_CPACR REGISTER(0xE000ED88)
#define FPU_FPCCR REGISTER(0xE000EF34)
#define FPU_CPACR_FULL (UINT32_C(0xF) << 20)
#define FPU_FPCCR_LSPEN BIT(30)
#define FPU_FPCCR_ASPEN BIT(31)

#endif
