/* Watchdog, clocks, caches, cycle counter and tick. */
#include "chip.h"
#include "registers.h"

const uint32_t board_clock_hz = CORE_HZ;

/* 4096 / (LSI / 32): 4.1 s at the typical 32 kHz, 2.8 s at the 47 kHz that is the fastest (data sheet). */
void watchdog_start(void) {
    IWDG_KR = IWDG_KR_START;
    IWDG_KR = IWDG_KR_UNLOCK;
    IWDG_PR = IWDG_PR_DIV32;
    IWDG_RLR = 4095;
    while (IWDG_SR != 0) {
    }
    board_watchdog_kick();
}

void board_watchdog_kick(void) {
    IWDG_KR = IWDG_KR_RELOAD;
}

/* RM0385, "Entering Over-drive mode": the order of the steps. */
void clock_start(void) {
    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR; /* the clock needs a moment before the first access */
    PWR_CR1 |= PWR_CR1_VOS_SCALE1;
    RCC_CR |= RCC_CR_HSEON;
    while (!(RCC_CR & RCC_CR_HSERDY)) {
    }
    /* 25 MHz / 25 * 432 / 2 = 216 MHz */
    RCC_PLLCFGR = RCC_PLLCFGR_PLLM(25) | RCC_PLLCFGR_PLLN(432) | RCC_PLLCFGR_PLLP_DIV2 |
                  RCC_PLLCFGR_PLLSRC_HSE | RCC_PLLCFGR_PLLQ(9);
    RCC_CR |= RCC_CR_PLLON;
    PWR_CR1 |= PWR_CR1_ODEN;
    while (!(PWR_CSR1 & PWR_CSR1_ODRDY)) {
    }
    PWR_CR1 |= PWR_CR1_ODSWEN;
    while (!(PWR_CSR1 & PWR_CSR1_ODSWRDY)) {
    }
    /* 216 MHz at 2.7..3.6 V takes 7 wait states */
    FLASH_ACR = FLASH_ACR_LATENCY_7 | FLASH_ACR_PRFTEN | FLASH_ACR_ARTEN;
    while ((FLASH_ACR & FLASH_ACR_LATENCY) != FLASH_ACR_LATENCY_7) {
    }
    RCC_CFGR |= RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2; /* 54 and 108 MHz, their maximum */
    while (!(RCC_CR & RCC_CR_PLLRDY)) {
    }
    RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_SW) | RCC_CFGR_SW_PLL;
    while ((RCC_CFGR & RCC_CFGR_SWS) != RCC_CFGR_SWS_PLL) {
    }
}

/* PM0253, cache maintenance: both hold rubbish after power-on and are invalidated first. */
void caches_start(void) {
    SCB_ICIALLU = 0;
    SCB_CSSELR = 0; /* level 1 data cache */
    __asm volatile("dsb");
    const uint32_t geometry = SCB_CCSIDR;
    const uint32_t last_set = (geometry >> 13) & 0x7FFFu;
    const uint32_t last_way = (geometry >> 3) & 0x3FFu; /* 3: its number starts at bit 30 of DCISW */
    for (uint32_t set = 0; set <= last_set; set++) {
        for (uint32_t way = 0; way <= last_way; way++) {
            SCB_DCISW = (way << 30) | (set << 5);
        }
    }
    __asm volatile("dsb");
    SCB_CCR |= SCB_CCR_IC | SCB_CCR_DC;
    __asm volatile("dsb\n isb");
}

void timers_start(void) {
    DWT_LAR = DWT_LAR_UNLOCK;
    cycles_start();
    SYST_RVR = TICK_CYCLES - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CLKSOURCE;
}

void tick_handler(void) {
    board_cycles(); /* before the counter wraps */
    const uint32_t mask = interrupts_off();
    usart_poll();
    interrupts_restore(mask);
}

/* Sleeps until the next tick. The cycle counter may stand still meanwhile (it does without a debugger), the
 * tick does not: what the counter missed is added. */
void board_idle(void) {
    const uint32_t mask = interrupts_off(); /* the tick still ends the sleep, but is served after it */
    const uint32_t counted = DWT_CYCCNT;
    const uint32_t before = SYST_CVR;
    __asm volatile("dsb\n wfi\n isb" ::: "memory");
    const uint32_t after = SYST_CVR;
    const uint32_t slept = before >= after ? before - after : before + TICK_CYCLES - after;
    const uint32_t seen = DWT_CYCCNT - counted;
    cycles_add(slept > seen ? slept - seen : 0);
    interrupts_restore(mask);
}
