/* The link port: UARTE0 on the pins TX and RX of the board's edge. DMA receives into a ring and never stops: it
 * gets one half of the ring while it fills the other. Its own count is known only when a half is full, so TIMER3
 * counts the bytes. */
#include "chip.h"
#include "gpio.h"
#include "registers.h"
#include <string.h>

#define RING_BYTES UINT32_C(4096) /* a power of two; half of it is 20 ms at 1,000,000 baud */
#define HALF_BYTES (RING_BYTES / 2u)
#define SEND_BYTES 64u
#define TX_PIN PIN(1, 3)
#define RX_PIN PIN(1, 10)
#define GPIO_PULLED_UP_INPUT 0x00Cu
#define COUNT_CHANNEL 0              /* of the PPI */
#define SETTLE_CYCLES 64u            /* 1 us */
#define STOP_CYCLES (CORE_HZ / 500u) /* 2 ms; the receiver waits for up to 4 bytes, 0.4 ms */

const uint32_t board_rx_bytes = RING_BYTES;

static uint8_t ring[RING_BYTES];

/* Running counts of bytes, modulo 2^32; number n lies at ring[n % RING_BYTES]. */
static uint32_t base;       /* where TIMER3 began to count */
static uint32_t begun;      /* where the DMA began what it fills now */
static uint32_t next_begin; /* where it has been told to go on: the start of a half, but for the first time */
static uint32_t consumed;
static uint32_t lost;
static int astray; /* the DMA has gone on without being told where */

static const struct {
    uint32_t baud, setting; /* PS 6.34.10, BAUDRATE */
} speeds[] = {
    {115200, 0x01D60000}, {230400, 0x03B00000},  {460800, 0x07400000},
    {921600, 0x0F000000}, {1000000, 0x10000000},
};

static uint32_t received(void) {
    TIMER_TASKS_CAPTURE(TIMER3, 0) = 1;
    return base + TIMER_CC(TIMER3, 0);
}

static void counter_start(void) {
    TIMER_TASKS_STOP(TIMER3) = 1;
    TIMER_MODE(TIMER3) = TIMER_MODE_COUNTER;
    TIMER_BITMODE(TIMER3) = TIMER_BITMODE_32;
    TIMER_SHORTS(TIMER3) = 0;
    TIMER_TASKS_CLEAR(TIMER3) = 1;
    TIMER_TASKS_START(TIMER3) = 1;
    PPI_CH_EEP(COUNT_CHANNEL) = (uint32_t)(uintptr_t)&UARTE0_EVENTS_RXDRDY;
    PPI_CH_TEP(COUNT_CHANNEL) = (uint32_t)(uintptr_t)&TIMER_TASKS_COUNT(TIMER3);
    PPI_CHENSET = BIT(COUNT_CHANNEL);
}

static void wait_for(volatile uint32_t *event) {
    const uint64_t start = board_cycles();
    while (*event == 0 && board_cycles() - start < STOP_CYCLES) {
    }
}

static void point_dma_at(uint32_t position) {
    UARTE0_RXD_PTR = (uint32_t)(uintptr_t)ring + position % RING_BYTES;
    UARTE0_RXD_MAXCNT = HALF_BYTES - position % HALF_BYTES;
}

/* The DMA has taken over what it was told, and can be told where to go on. */
static void note_start(void) {
    UARTE0_EVENTS_RXSTARTED = 0;
    (void)UARTE0_EVENTS_RXSTARTED; /* the line is low before a handler is left */
    begun = next_begin;
    next_begin += HALF_BYTES - next_begin % HALF_BYTES;
    point_dma_at(next_begin);
}

void uarte_handler(void) {
    if (UARTE0_EVENTS_RXSTARTED != 0) {
        note_start();
        astray |= received() - begun >= next_begin - begun;
    }
}

/* Returns how far the DMA has come, which is exact even if bytes were counted that it has not got. */
static uint32_t receive_stop(void) {
    UARTE0_INTENCLR = UINT32_C(0xFFFFFFFF);
    UARTE0_SHORTS = 0;
    UARTE0_EVENTS_RXTO = 0;
    UARTE0_TASKS_STOPRX = 1;
    wait_for(&UARTE0_EVENTS_RXTO);
    if (UARTE0_EVENTS_RXSTARTED != 0) {
        note_start();
    }
    const uint32_t position = begun + UARTE0_RXD_AMOUNT;
    /* what is left in the FIFO would come later, uncounted; 5 bytes of room at least (PS 6.34.2) */
    static uint8_t rest[8];
    UARTE0_RXD_PTR = (uint32_t)(uintptr_t)rest;
    UARTE0_RXD_MAXCNT = sizeof rest;
    UARTE0_EVENTS_ENDRX = 0;
    UARTE0_TASKS_FLUSHRX = 1;
    wait_for(&UARTE0_EVENTS_ENDRX);
    return position;
}

static void receive_start(uint32_t position) {
    counter_start();
    base = position;
    next_begin = position;
    astray = 0;
    point_dma_at(position);
    UARTE0_ERRORSRC = UARTE0_ERRORSRC; /* ones clear */
    UARTE0_SHORTS = UARTE_SHORTS_ENDRX_STARTRX;
    UARTE0_EVENTS_RXSTARTED = 0;
    UARTE0_INTENSET = UARTE_INT_RXSTARTED;
    UARTE0_TASKS_STARTRX = 1;
}

/* After an error on the line a byte may have been counted that the DMA has not got: counts anew. */
static uint32_t recount(void) {
    const int lapped = astray;
    const uint32_t position = receive_stop();
    receive_start(position);
    lost++;
    if (lapped || position - consumed > RING_BYTES) {
        consumed = position; /* the ring's content is mixed up */
    }
    return position;
}

/* How many bytes wait. None if some were overwritten: all are dropped. */
static uint32_t pending(void) {
    const uint32_t mask = interrupts_off();
    const uint32_t position = UARTE0_ERRORSRC != 0 || astray ? recount() : received();
    if (position - consumed > RING_BYTES) {
        lost += position - consumed;
        consumed = position;
    }
    const uint32_t waiting = position - consumed;
    interrupts_restore(mask);
    return waiting;
}

/* RXDRDY, which is counted, comes when a byte is in the FIFO, a moment before it is in the RAM (PS 6.34.2). */
static void let_settle(void) {
    const uint32_t start = DWT_CYCCNT;
    while (DWT_CYCCNT - start < SETTLE_CYCLES) {
    }
}

size_t board_read(uint8_t *dst, size_t max) {
    const uint32_t waiting = pending();
    const uint32_t n = max < waiting ? (uint32_t)max : waiting;
    if (n == 0) {
        return 0;
    }
    let_settle();
    ring_copy(dst, ring, RING_BYTES, consumed, n);
    if (pending() < n) {
        return 0; /* the ring ran over while it was copied */
    }
    consumed += n;
    return n;
}

static void send(const uint8_t *src, size_t n) {
    static uint8_t part[SEND_BYTES]; /* the DMA reads nothing but RAM */
    memcpy(part, src, n);
    UARTE0_TXD_PTR = (uint32_t)(uintptr_t)part;
    UARTE0_TXD_MAXCNT = (uint32_t)n;
    UARTE0_EVENTS_ENDTX = 0;
    __asm volatile("" ::: "memory"); /* `part` is in memory */
    UARTE0_TASKS_STARTTX = 1;
    while (UARTE0_EVENTS_ENDTX == 0) {
    }
}

void board_write(const uint8_t *src, size_t n) {
    if (n == 0) {
        return;
    }
    for (size_t sent = 0; sent < n; sent += SEND_BYTES) {
        send(src + sent, n - sent < SEND_BYTES ? n - sent : SEND_BYTES);
    }
    UARTE0_EVENTS_TXSTOPPED = 0;
    UARTE0_TASKS_STOPTX = 1;
    while (UARTE0_EVENTS_TXSTOPPED == 0) {
    }
}

int board_set_baud(uint32_t baud) {
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        if (speeds[i].baud == baud) {
            const uint32_t position = receive_stop();
            UARTE0_BAUDRATE = speeds[i].setting;
            receive_start(position);
            return 0;
        }
    }
    return -1;
}

void uarte_start(void) {
    if (UARTE0_ENABLE != 0) { /* by a bootloader */
        (void)receive_stop();
        UARTE0_ENABLE = 0;
    }
    gpio_write(TX_PIN, 1);
    gpio_configure(TX_PIN, GPIO_STRONG_OUTPUT);
    gpio_configure(RX_PIN, GPIO_PULLED_UP_INPUT); /* quiet when unplugged */
    UARTE0_PSEL_TXD = TX_PIN;
    UARTE0_PSEL_RXD = RX_PIN;
    UARTE0_PSEL_RTS = UARTE_PSEL_DISCONNECTED;
    UARTE0_PSEL_CTS = UARTE_PSEL_DISCONNECTED;
    UARTE0_CONFIG = UARTE_CONFIG_8N1;
    UARTE0_BAUDRATE = speeds[0].setting;
    UARTE0_ENABLE = UARTE_ENABLE_ENABLED;
    NVIC_IPR(UARTE0_POSITION) = 0;
    NVIC_ISER(UARTE0_POSITION) = NVIC_BIT(UARTE0_POSITION);
    receive_start(0);
}

uint32_t board_rx_lost(void) {
    return lost;
}

enum uarte_state uarte_look(void) {
    static uint32_t looked; /* bytes received until the last look */
    UARTE0_EVENTS_RXDRDY = 0;
    const uint32_t waiting = pending();
    const uint32_t now = received();
    const int came = now != looked;
    looked = now;
    return waiting ? UARTE_WAITING : came ? UARTE_BUSY : UARTE_QUIET;
}

void uarte_wake_by_byte(void) {
    UARTE0_INTENSET = UARTE_INT_RXDRDY; /* the event of a byte since the look is still there */
}

void uarte_wake_done(void) {
    UARTE0_INTENCLR = UARTE_INT_RXDRDY;
}
