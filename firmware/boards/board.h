/* What a board is to the firmware. One folder beside this file implements it per board. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Why the board last started. */
enum board_reset_cause {
    BOARD_RESET_POWER = 0,
    BOARD_RESET_PIN = 1,
    BOARD_RESET_SOFTWARE = 2,
    BOARD_RESET_WATCHDOG = 3,
    BOARD_RESET_FAULT = 4, /* the fault handler restarted it */
};

/* What became of the motion sensor. */
enum board_motion_state {
    BOARD_MOTION_OFF = 0,
    BOARD_MOTION_ON = 1,
    BOARD_MOTION_NONE = 2,   /* the board has no such sensor */
    BOARD_MOTION_SILENT = 3, /* it does not answer */
    BOARD_MOTION_STUCK = 4,  /* its bus is held low */
};

/* The counts begin when the board starts. */
typedef struct board_motion {
    enum board_motion_state state;
    uint32_t rate_mhz; /* samples in 1000 s, as sampled now; 0 unless the state is BOARD_MOTION_ON */
    uint32_t lost;     /* samples that the sensor dropped because they were not fetched in time */
    uint32_t errors;   /* transfers over the sensor's bus that failed */
    uint32_t restarts; /* of the sensor, because it did not answer or had lost its settings */
} board_motion;

/* What became of the audio input. */
enum board_audio_state {
    BOARD_AUDIO_OFF = 0,
    BOARD_AUDIO_ON = 1,     /* samples come, or will within 100 ms */
    BOARD_AUDIO_NONE = 2,   /* the board has no such input */
    BOARD_AUDIO_SILENT = 3, /* its codec does not answer */
};

/* The counts begin when the board starts. */
typedef struct board_audio {
    enum board_audio_state state;
    uint32_t rate_hz;   /* samples a second; 0 unless the state is BOARD_AUDIO_ON */
    uint64_t delivered; /* samples that board_audio_read() has handed on */
    uint32_t lost;      /* samples that were dropped because they were not fetched in time */
    uint32_t retries;   /* how often the codec was tried again, because it did not answer */
} board_audio;

extern const char board_name[];       /* "stm32f746", "native", ...; at most 15 characters */
extern const uint32_t board_clock_hz; /* ticks a second of board_cycles() */
extern const uint32_t board_rx_bytes; /* bytes that may arrive unread before any is lost */

/* Clocks, caches, cycle counter, watchdog, link port at 115,200 baud 8N1. First call of main(). */
void board_init(void);

/* Moves up to `max` received bytes to `dst`; returns how many, 0 at once if there are none. */
size_t board_read(uint8_t *dst, size_t max);

/* Sends `n` bytes; returns when the last has left the shift register. */
void board_write(const uint8_t *src, size_t n);

/* Changes the link's speed, 115,200..2,000,000 baud. Returns 0, or -1 (unchanged) if it cannot. */
int board_set_baud(uint32_t baud);

/* Ticks since start-up; never wraps in practice. Must be called at least every 2^32 ticks. */
uint64_t board_cycles(void);

/* Deepest use of the stack so far, bytes. */
uint32_t board_stack_peak(void);

/* Bytes lost so far because they were not read in time, or arrived damaged (overrun, framing, noise). */
uint32_t board_rx_lost(void);

enum board_reset_cause board_reset_cause(void);

/* What the fault handler found out before it restarted the board: one line of ASCII, at most 200 characters.
 * NULL unless the cause is BOARD_RESET_FAULT. */
const char *board_fault(void);

/* Must be called at least every 2 s once board_init() has run, or the board resets. */
void board_watchdog_kick(void);

/* Calls `handler` from an interrupt `hz` times a second, from one period after now on; ends what an earlier
 * call began. hz 0 only ends it (`handler` may be NULL); more than 100,000 counts as 100,000. Not for
 * handlers.
 *
 * The handler interrupts the main program anywhere, but not itself, and uses its stack; reception and the
 * cycle counter go on meanwhile. It may use board_cycles() and floating point, and keep the processor busy. If
 * it returns when less than 1/64 of the period is left, or later, the periods missed are dropped and a whole
 * one begins. So the main program always gets on: a handler whose call takes t gets t / period of the time, or
 * t / (t + period) if t is longer than 63/64 of the period. */
void board_timer_start(uint32_t hz, void (*handler)(void));

/* Supply voltage of the microcontroller in mV, measured now (takes less than 1 ms); 0: it cannot be measured.
 * Not to be called by a handler. */
uint32_t board_supply_mv(void);

/* Starts sampling the acceleration, +-4 g, at the sensor's rate that is nearest to `rate_mhz` (samples in 1000 s);
 * samples that wait are dropped. 0 stops. A sensor that is silent is tried again by board_motion_read(), every
 * second. */
void board_motion_start(uint32_t rate_mhz);

/* Moves up to `max` samples, oldest first, to `xyz` (three numbers each, in steps of 122 micro-g); returns how
 * many. Takes at most 10 ms. To be called at least every 200 ms. Not for handlers. */
size_t board_motion_read(int16_t *xyz, size_t max);

void board_motion_status(board_motion *status);

/* Starts listening to the microphones at `rate_hz` samples a second; samples that wait are dropped. 0 stops.
 * Returns 0, or -1 (nothing changed) if the board cannot sample at that rate. A codec that is silent is no error:
 * it is tried again by board_audio_read(), every second. Takes at most 10 ms. */
int board_audio_start(uint32_t rate_hz);

/* Moves up to `max` samples, oldest first, to `samples`: the mean of two microphones, 0 dB of full scale at
 * 32,767; returns how many. Takes at most 10 ms. Not for handlers. To be called at least every 250 ms, at 16 kHz;
 * if not, all that waited is dropped and counted as lost. */
size_t board_audio_read(int16_t *samples, size_t max);

void board_audio_status(board_audio *status);

/* Restarts the board; does not return. */
void board_reset(void);

/* The application has nothing to do until the next byte arrives: a place to sleep. May return at any time,
 * and does after at most 100 ms. */
void board_idle(void);

/* A display that shows one of two frames: the other one can be drawn on meanwhile. */
typedef struct board_display {
    uint16_t width, height; /* pixels */
    uint16_t stride;        /* bytes from a row to the next */
    uint8_t *frames[2];     /* rows from the top, pixels from the left, a byte a pixel: its colour's number */
} board_display;

/* Switches the display on; it shows frame 0, and both frames are all colour 0. `palette`: `n` colours, 0x00RRGGBB,
 * at most 256; those missing are black. NULL: the board has no display, or its memory does not work. To be
 * called once; may take 20 ms. The frames are slow to read. */
const board_display *board_display_start(const uint32_t *palette, size_t n);

/* Shows a frame, 0 or 1, from the next picture on: after at most a sixtieth of a second. Only once
 * board_display_start() has found a display. */
void board_display_show(unsigned frame);

/* The frame that is being shown; another than board_display_show() was told until the picture changes. */
unsigned board_display_shown(void);

#endif
