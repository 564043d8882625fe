/* The periodic timer: TIM7. Its interrupt has the lowest priority, so that faults and the tick, on which the
 * cycle counter and reception depend, come through while a handler is busy. */
#include "chip.h"
#include "registers.h"
#include <stddef.h>

#define MAX_HZ 100000u
#define COUNT_MAX UINT32_C(65536) /* of the prescaler and of the counter */

static void (*handler)(void);
static uint32_t latest; /* count at which a handler must have returned */

static void stop(void) {
    NVIC_ICER(TIM7_POSITION) = NVIC_BIT(TIM7_POSITION);
    __asm volatile("dsb\n isb" ::: "memory");
    TIM7_CR1 = 0;
    TIM7_SR = 0;
    (void)TIM7_SR; /* the line is low before what it left behind is cleared */
    NVIC_ICPR(TIM7_POSITION) = NVIC_BIT(TIM7_POSITION);
}

void board_timer_start(uint32_t hz, void (*h)(void)) {
    RCC_APB1ENR |= RCC_APB1ENR_TIM7EN;
    (void)RCC_APB1ENR; /* the clock needs a moment before the first access */
    stop();
    if (hz == 0) {
        return;
    }
    handler = h;
    hz = hz < MAX_HZ ? hz : MAX_HZ;
    const uint32_t clocks = (TIM7_HZ + hz / 2) / hz;
    const uint32_t prescaler = (clocks + COUNT_MAX - 1) / COUNT_MAX;
    TIM7_PSC = prescaler - 1;
    const uint32_t last = (clocks + prescaler / 2) / prescaler - 1;
    latest = last - last / 64;
    TIM7_ARR = last;
    TIM7_CR1 = TIM_CR1_URS;
    TIM7_EGR = TIM_EGR_UG; /* takes over the prescaler; with URS it isn't an event */
    TIM7_DIER = TIM_DIER_UIE;
    NVIC_IPR(TIM7_POSITION) = NVIC_LOWEST;
    NVIC_ISER(TIM7_POSITION) = NVIC_BIT(TIM7_POSITION);
    TIM7_CR1 = TIM_CR1_URS | TIM_CR1_CEN;
}

/* A handler that ends with the period, or after it, would be called again before the main program has gone on
 * by a single instruction: give that a whole period. */
void timer_expired(void) {
    TIM7_SR = 0;
    handler();
    if (TIM7_CNT > latest || (TIM7_SR & TIM_SR_UIF)) {
        TIM7_EGR = TIM_EGR_UG;
        TIM7_SR = 0;
        (void)TIM7_SR;
        NVIC_ICPR(TIM7_POSITION) = NVIC_BIT(TIM7_POSITION);
    }
}
