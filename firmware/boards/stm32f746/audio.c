/* The microphones: codec, serial audio interface SAI2, DMA2 stream 7 into a ring.
 *
 * Block A of SAI2 is master and makes the codec's clocks (PI4 master clock, PI5 bit clock, PI7 frame), block B
 * receives (PG10), synchronous to it. A frame has four slots of 16 bits; the microphones are in 1 (left) and 3
 * (right). The DMA fills the ring without end and interrupts at each half of it, which counts the frames. */
#include "audio_registers.h"
#include "board.h"
#include "chip.h"
#include "i2c.h"
#include "wm8994.h"

#define RATE_HZ 16000u
#define FRAMES UINT32_C(4096) /* a power of two; 2 * FRAMES is at most 65,535, the DMA's limit */
#define POWER_CYCLES ((uint64_t)CORE_HZ / 20) /* 50 ms */
#define RETRY_CYCLES ((uint64_t)CORE_HZ)      /* 1 s */
#define FRAME_CYCLES (CORE_HZ / RATE_HZ)
#define PRIORITY 0x80u /* above the timer's, below the tick's */
#define VECTORS 114u   /* of the processor and the chip (RM0385, vector table) */

/* A frame: left in the lower half, right in the upper. Never cached; frame number n lies at ring[n % FRAMES]. */
__attribute__((section(".dtcm"))) static uint32_t ring[FRAMES];

/* The vector table of firmware that listens: in the flash's the interrupt's entry is the fault handler, so that
 * firmware that doesn't listen carries nothing of this file. The processor wants the table at a multiple of its
 * size, rounded up to a power of two (PM0253, VTOR). */
__attribute__((section(".dtcm"), aligned(512))) static uint32_t vectors[VECTORS];

static enum { OFF, SILENT, POWERING, ON } step;
static uint64_t since;              /* when the step began, or the codec was last looked after */
static uint32_t received, consumed; /* running counts of frames, modulo 2^32 */
static uint64_t delivered;
static uint32_t lost, retries;

/* Notes what has arrived; with interrupts off, and at least once in FRAMES. */
static void poll(void) {
    const uint32_t position = (2 * FRAMES - DMA2_S7NDTR) / 2;
    received += (position - received) % FRAMES;
    if (SAI2_BSR & SAI_SR_OVRUDR) {
        SAI2_BCLRFR = SAI_SR_OVRUDR;
        lost++;
    }
}

static void stream_handler(void) {
    DMA2_HIFCR = DMA_HIFCR_STREAM7;
    (void)DMA2_HISR; /* the line is low before the handler returns */
    const uint32_t mask = interrupts_off();
    poll();
    interrupts_restore(mask);
}

static void interrupt_start(void) {
    if (SCB_VTOR != (uint32_t)(uintptr_t)vectors) {
        const volatile uint32_t *flash = (const volatile uint32_t *)(uintptr_t)SCB_VTOR;
        for (uint32_t i = 0; i < VECTORS; i++) {
            vectors[i] = flash[i];
        }
        vectors[16 + DMA2_STREAM7_POSITION] = (uint32_t)(uintptr_t)stream_handler;
        __asm volatile("dsb" ::: "memory");
        SCB_VTOR = (uint32_t)(uintptr_t)vectors;
        __asm volatile("dsb\n isb" ::: "memory");
    }
    NVIC_IPR(DMA2_STREAM7_POSITION) = PRIORITY;
    NVIC_ISER(DMA2_STREAM7_POSITION) = NVIC_BIT(DMA2_STREAM7_POSITION);
}

/* Alternate function 10 of PI4, PI5, PI7 and PG10. PI6, which would bring what the codec plays, isn't used. */
static void pins_start(void) {
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOGEN | RCC_AHB1ENR_GPIOIEN;
    (void)RCC_AHB1ENR; /* the clocks need a moment before the first access */
    GPIOI_OSPEEDR = (GPIOI_OSPEEDR & ~UINT32_C(0xCF00)) | UINT32_C(0x4500); /* medium: up to 25 MHz */
    GPIOI_AFRL = (GPIOI_AFRL & ~UINT32_C(0xF0FF0000)) | UINT32_C(0xA0AA0000);
    GPIOI_MODER = (GPIOI_MODER & ~UINT32_C(0xCF00)) | UINT32_C(0x8A00);
    GPIOG_AFRH = (GPIOG_AFRH & ~UINT32_C(0xF00)) | UINT32_C(0xA00);
    GPIOG_MODER = (GPIOG_MODER & ~(UINT32_C(3) << 20)) | (UINT32_C(2) << 20);
}

/* 1 MHz * 213 / 13 / 2 = 8.1923 MHz to SAI2, which halves it (MCKDIV 1): a master clock of 4.0962 MHz, 256 times
 * 16,000.6 Hz. PLLSAI is left to the display. */
static void sai_clock_start(void) {
    if (!(RCC_CR & RCC_CR_PLLI2SON)) {
        RCC_PLLI2SCFGR =
            RCC_PLLI2SCFGR_PLLI2SR_DIV2 | RCC_PLLI2SCFGR_PLLI2SQ(13) | RCC_PLLI2SCFGR_PLLI2SN(213);
        RCC_DCKCFGR1 = (RCC_DCKCFGR1 & ~(RCC_DCKCFGR1_PLLI2SDIVQ_MASK | RCC_DCKCFGR1_SAI2SEL_MASK)) |
                       RCC_DCKCFGR1_PLLI2SDIVQ(2) | RCC_DCKCFGR1_SAI2SEL_PLLI2S;
        RCC_CR |= RCC_CR_PLLI2SON;
    }
    while (!(RCC_CR & RCC_CR_PLLI2SRDY)) {
    }
    RCC_APB2ENR |= RCC_APB2ENR_SAI2EN;
    (void)RCC_APB2ENR;
}

static void dma_start(void) {
    RCC_AHB1ENR |= RCC_AHB1ENR_DMA2EN;
    (void)RCC_AHB1ENR;
    DMA2_HIFCR = DMA_HIFCR_STREAM7;
    DMA2_S7PAR = (uint32_t)(uintptr_t)&SAI2_BDR;
    DMA2_S7M0AR = (uint32_t)(uintptr_t)ring;
    DMA2_S7NDTR = 2 * FRAMES;
    DMA2_S7CR = DMA_SCR_CHSEL(0) | DMA_SCR_PL_VERY_HIGH | DMA_SCR_MSIZE_16 | DMA_SCR_PSIZE_16 | DMA_SCR_MINC |
                DMA_SCR_CIRC | DMA_SCR_TCIE | DMA_SCR_HTIE;
    DMA2_S7CR |= DMA_SCR_EN;
    received = consumed = 0;
}

/* RM0385, SAI: I2S is a frame of 64 bits, its first half marked by a low frame signal that comes one bit early,
 * data that change at the falling edge of the bit clock. The slave is enabled before its master. Block A receives
 * nothing (it would need PI6); that it overruns doesn't matter. */
static void stream_start(void) {
    const uint32_t frame = SAI_FRCR_FRL(64) | SAI_FRCR_FSALL(32) | SAI_FRCR_FSDEF | SAI_FRCR_FSOFF;
    const uint32_t slots = SAI_SLOTR_NBSLOT(4) | SAI_SLOTR_SLOTEN(1) | SAI_SLOTR_SLOTEN(3);
    const uint32_t data = SAI_CR1_DS_16 | SAI_CR1_CKSTR;
    SAI2_AFRCR = frame;
    SAI2_ASLOTR = slots;
    SAI2_BFRCR = frame;
    SAI2_BSLOTR = slots;
    SAI2_BCR2 = SAI_CR2_FFLUSH;
    SAI2_BCLRFR = SAI_SR_OVRUDR;
    SAI2_ACR1 = SAI_CR1_MODE_MASTER_RX | data | SAI_CR1_MCKDIV(1);
    SAI2_BCR1 = SAI_CR1_MODE_SLAVE_RX | data | SAI_CR1_SYNCEN_INTERNAL | SAI_CR1_DMAEN;
    dma_start();
    interrupt_start();
    SAI2_BCR1 |= SAI_CR1_SAIEN;
    SAI2_ACR1 |= SAI_CR1_SAIEN;
}

/* A block goes on to the end of its frame. */
static void wait_off(const volatile uint32_t *control, uint32_t enabled) {
    const uint64_t start = board_cycles();
    while ((*control & enabled) && board_cycles() - start < 2 * FRAME_CYCLES) {
    }
}

static void stream_stop(void) {
    NVIC_ICER(DMA2_STREAM7_POSITION) = NVIC_BIT(DMA2_STREAM7_POSITION);
    __asm volatile("dsb\n isb" ::: "memory");
    SAI2_BCR1 &= ~SAI_CR1_SAIEN;
    wait_off(&SAI2_BCR1, SAI_CR1_SAIEN);
    SAI2_ACR1 &= ~SAI_CR1_SAIEN;
    wait_off(&SAI2_ACR1, SAI_CR1_SAIEN);
    DMA2_S7CR &= ~DMA_SCR_EN;
    wait_off(&DMA2_S7CR, DMA_SCR_EN);
    NVIC_ICPR(DMA2_STREAM7_POSITION) = NVIC_BIT(DMA2_STREAM7_POSITION);
}

static void enter(int next) {
    step = next;
    since = board_cycles();
}

/* The codec's settings need its clock, so reception begins first; what comes before it listens is dropped. */
static void try_codec(void) {
    stream_start();
    if (wm8994_power() == 0) {
        enter(POWERING);
    } else {
        stream_stop();
        enter(SILENT);
    }
}

/* How many frames wait. If the ring has run over, or is about to, none: part of it is overwritten, so all of it
 * is dropped. */
static uint32_t pending(void) {
    const uint32_t mask = interrupts_off();
    poll();
    if (received - consumed >= FRAMES) {
        lost += received - consumed;
        consumed = received;
    }
    const uint32_t waiting = received - consumed;
    interrupts_restore(mask);
    return waiting;
}

static void listen(void) {
    if (wm8994_listen() == 0) {
        enter(ON);
    } else {
        stream_stop();
        enter(SILENT);
    }
}

/* What is due: the codec's next step, a look after it, another try. */
static void advance(void) {
    const uint64_t waited = board_cycles() - since;
    if (step == SILENT && waited >= RETRY_CYCLES) {
        retries++;
        try_codec();
    } else if (step == POWERING && waited >= POWER_CYCLES) {
        pending();
        consumed = received;
        listen();
    } else if (step == ON && waited >= RETRY_CYCLES) {
        enter(ON);
        if (wm8994_check() != 0) {
            stream_stop();
            enter(SILENT);
        }
    }
}

int board_audio_start(uint32_t rate_hz) {
    if (rate_hz != 0 && rate_hz != RATE_HZ) {
        return -1;
    }
    if (step == POWERING || step == ON) {
        stream_stop();
    }
    step = OFF;
    if (rate_hz != 0) {
        i2c_start();
        pins_start();
        sai_clock_start();
        try_codec();
    }
    return 0;
}

size_t board_audio_read(int16_t *samples, size_t max) {
    advance();
    if (step != ON) {
        return 0;
    }
    const uint32_t waiting = pending();
    const uint32_t n = max < waiting ? (uint32_t)max : waiting;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t frame = ring[(consumed + i) % FRAMES];
        const int32_t left = (int16_t)frame, right = (int16_t)(frame >> 16);
        samples[i] = (int16_t)((left + right) >> 1);
    }
    if (pending() < n) {
        return 0; /* the ring ran over while it was copied */
    }
    consumed += n;
    delivered += n;
    return n;
}

void board_audio_status(board_audio *status) {
    static const enum board_audio_state states[] = {
        [OFF] = BOARD_AUDIO_OFF,
        [SILENT] = BOARD_AUDIO_SILENT,
        [POWERING] = BOARD_AUDIO_ON,
        [ON] = BOARD_AUDIO_ON,
    };
    if (step == ON) {
        pending();
    }
    *status = (board_audio){
        .state = states[step],
        .rate_hz = states[step] == BOARD_AUDIO_ON ? RATE_HZ : 0,
        .delivered = delivered,
        .lost = lost,
        .retries = retries,
    };
}
