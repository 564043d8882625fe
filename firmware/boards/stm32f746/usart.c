/* The link port: USART1 to the ST-LINK. DMA receives into a ring, transmission is polled. */
#include "chip.h"
#include "registers.h"

#define RING_BYTES UINT32_C(8192) /* a power of two below 65,536, the DMA's limit */

const uint32_t board_rx_bytes = RING_BYTES;

__attribute__((section(".dtcm"))) static uint8_t ring[RING_BYTES]; /* never cached */

/* Running counts, modulo 2^32; byte number n lies at ring[n % RING_BYTES]. */
static uint32_t received, consumed;
static uint32_t lost;

static void pins_start(void) {
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOAEN | RCC_AHB1ENR_GPIOBEN | RCC_AHB1ENR_DMA2EN;
    RCC_APB2ENR |= RCC_APB2ENR_USART1EN;
    (void)RCC_AHB1ENR; /* the clocks need a moment before the first access */
    (void)RCC_APB2ENR;
    GPIOA_AFRH = (GPIOA_AFRH & ~(UINT32_C(15) << 4)) | (UINT32_C(7) << 4); /* PA9: AF7, transmit */
    GPIOA_MODER = (GPIOA_MODER & ~(UINT32_C(3) << 18)) | (UINT32_C(2) << 18);
    GPIOB_PUPDR = (GPIOB_PUPDR & ~(UINT32_C(3) << 14)) | (UINT32_C(1) << 14); /* quiet when unplugged */
    GPIOB_AFRL = (GPIOB_AFRL & ~(UINT32_C(15) << 28)) | (UINT32_C(7) << 28);  /* PB7: AF7, receive */
    GPIOB_MODER = (GPIOB_MODER & ~(UINT32_C(3) << 14)) | (UINT32_C(2) << 14);
}

void usart_start(void) {
    pins_start();
    DMA2_LIFCR = DMA_LIFCR_STREAM2;
    DMA2_S2PAR = (uint32_t)(uintptr_t)&USART1_RDR;
    DMA2_S2M0AR = (uint32_t)(uintptr_t)ring;
    DMA2_S2NDTR = RING_BYTES;
    DMA2_S2CR = DMA_SCR_CHSEL(4) | DMA_SCR_PL_VERY_HIGH | DMA_SCR_MINC | DMA_SCR_CIRC;
    DMA2_S2CR |= DMA_SCR_EN;
    USART1_CR3 = USART_CR3_DMAR;
    USART1_CR1 = USART_CR1_TE | USART_CR1_RE;
    (void)board_set_baud(115200);
}

int board_set_baud(uint32_t baud) {
    if (baud < 115200 || baud > 2000000) {
        return -1;
    }
    while (!(USART1_ISR & USART_ISR_TC)) {
    }
    USART1_CR1 &= ~USART_CR1_UE;
    USART1_BRR = (PCLK2_HZ + baud / 2) / baud; /* off by at most 0.9 % */
    USART1_CR1 |= USART_CR1_UE;
    return 0;
}

void usart_poll(void) {
    const uint32_t position = RING_BYTES - DMA2_S2NDTR;
    received += (position - received) % RING_BYTES;
    const uint32_t errors = USART1_ISR & (USART_ISR_FE | USART_ISR_NF | USART_ISR_ORE);
    if (errors != 0) {
        USART1_ICR = errors;
        lost++;
    }
}

/* How many bytes wait. If the ring has run over, none: part of it is overwritten, so all of it is dropped. */
static uint32_t pending(void) {
    const uint32_t mask = interrupts_off();
    usart_poll();
    if (received - consumed > RING_BYTES) {
        lost += received - consumed;
        consumed = received;
    }
    const uint32_t waiting = received - consumed;
    interrupts_restore(mask);
    return waiting;
}

size_t board_read(uint8_t *dst, size_t max) {
    const uint32_t waiting = pending();
    const uint32_t n = max < waiting ? (uint32_t)max : waiting;
    ring_copy(dst, ring, RING_BYTES, consumed, n);
    if (pending() < n) {
        return 0; /* the ring ran over while it was copied */
    }
    consumed += n;
    return n;
}

void board_write(const uint8_t *src, size_t n) {
    for (size_t i = 0; i < n; i++) {
        while (!(USART1_ISR & USART_ISR_TXE)) {
        }
        USART1_TDR = src[i];
    }
    while (!(USART1_ISR & USART_ISR_TC)) {
    }
}

uint32_t board_rx_lost(void) {
    return lost;
}
