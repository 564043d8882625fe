/* Supply voltage: the ADC converts the internal reference, whose value at 3.3 V was noted in the factory. On
 * the STM32F746G-DISCO the ADC's reference voltage is the supply (UM1907). */
#include "chip.h"
#include "registers.h"

#define CALIBRATION_MV 3300u /* DS10916: measured at 30 degrees C and VDDA = 3.3 V */
#define ERASED 0xFFFFu
#define START_CYCLES (CORE_HZ / 100000u) /* 10 us: start-up time of VREFINT; the ADC's is 3 us (DS10916) */
#define LIMIT_CYCLES (CORE_HZ / 5000u)   /* 200 us; a conversion takes 18.2 us */

/* 12 bits; 0 if there is no result in time. */
static uint32_t convert_reference(void) {
    ADC_CCR = ADC_CCR_ADCPRE_DIV4 | ADC_CCR_TSVREFE; /* 108 / 4 = 27 MHz; 36 MHz is the limit (DS10916) */
    ADC1_SMPR1 = ADC_SMPR1_SMP17_480;                /* 17.8 us; VREFINT wants 10 us (DS10916) */
    ADC1_SQR3 = 17;                                  /* its channel; the sequence's length is 1 after reset */
    ADC1_CR2 = ADC_CR2_ADON;
    const uint64_t on = board_cycles();
    while (board_cycles() - on < START_CYCLES) {
    }
    ADC1_SR = 0;
    ADC1_CR2 = ADC_CR2_ADON | ADC_CR2_SWSTART;
    const uint64_t start = board_cycles();
    for (;;) {
        const int late = board_cycles() - start > LIMIT_CYCLES; /* an interrupt may come after it */
        if (ADC1_SR & ADC_SR_EOC) {
            return ADC1_DR;
        }
        if (late) {
            return 0;
        }
    }
}

uint32_t board_supply_mv(void) {
    const uint32_t calibration = VREFINT_CAL;
    RCC_APB2ENR |= RCC_APB2ENR_ADC1EN;
    (void)RCC_APB2ENR; /* the clock needs a moment before the first access */
    const uint32_t reading = convert_reference();
    ADC1_CR2 = 0;
    ADC_CCR = 0;
    RCC_APB2ENR &= ~RCC_APB2ENR_ADC1EN;
    if (reading == 0 || calibration == 0 || calibration == ERASED) {
        return 0;
    }
    return (CALIBRATION_MV * calibration + reading / 2) / reading;
}
