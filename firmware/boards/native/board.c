/* The host computer as a board: the link is stdin and stdout, the clock counts nanoseconds. */
#define _POSIX_C_SOURCE 200809L /* c99 hides POSIX */
#include "../board.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include "stack.h"
#include "timer.h"

#define CAUSE_VARIABLE "TINYSWITCH_RESET_CAUSE" /* carries the cause over a restart */

const char board_name[] = "native";
const uint32_t board_clock_hz = 1000000000;
/* Whatever is not read stays in the kernel, so nothing is ever lost; this is what a microcontroller has. */
const uint32_t board_rx_bytes = 8192;

static enum board_reset_cause reset_cause;

void board_init(void) {
    const char *cause = getenv(CAUSE_VARIABLE);
    reset_cause = cause ? (enum board_reset_cause)atoi(cause) : BOARD_RESET_POWER;
    unsetenv(CAUSE_VARIABLE);
    signal(SIGPIPE, SIG_IGN); /* a host that goes away shows as an error of write() */
    native_stack_paint();
}

/* Waits until `fd` is ready, for at most `ms`, or until the timer's signal ends the wait; 0 if it isn't. */
static int ready(int fd, short events, int ms) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, ms) > 0;
}

size_t board_read(uint8_t *dst, size_t max) {
    int waiting;
    do {
        errno = 0;
        waiting = ready(STDIN_FILENO, POLLIN, 0);
    } while (!waiting && errno == EINTR);
    if (!waiting) {
        return 0;
    }
    const ssize_t n = read(STDIN_FILENO, dst, max);
    if (n > 0) {
        return (size_t)n;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return 0;
    }
    exit(EXIT_SUCCESS); /* the host has closed the port: what unplugging is for a board */
}

void board_write(const uint8_t *src, size_t n) {
    while (n > 0) {
        const ssize_t written = write(STDOUT_FILENO, src, n);
        if (written >= 0) {
            src += written;
            n -= (size_t)written;
        } else if (errno == EAGAIN) {
            ready(STDOUT_FILENO, POLLOUT, -1);
        } else if (errno != EINTR) {
            exit(EXIT_SUCCESS);
        }
    }
}

int board_set_baud(uint32_t baud) {
    (void)baud; /* a pseudo-terminal has none */
    return 0;
}

uint64_t board_cycles(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * board_clock_hz + (uint64_t)now.tv_nsec;
}

uint32_t board_rx_lost(void) {
    return 0;
}

uint32_t board_supply_mv(void) {
    return 0; /* a mains adapter has none worth telling */
}

enum board_reset_cause board_reset_cause(void) {
    return reset_cause;
}

const char *board_fault(void) {
    return NULL; /* a fault ends the process, and the system reports it */
}

void board_watchdog_kick(void) {}

/* Path of the running program; 0 if there is none. */
static int own_path(char *path, size_t size) {
#ifdef __APPLE__
    uint32_t length = (uint32_t)size;
    return _NSGetExecutablePath(path, &length) == 0;
#else
    const ssize_t n = readlink("/proc/self/exe", path, size - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0;
#endif
}

void board_reset(void) {
    char path[PATH_MAX], cause[12];
    snprintf(cause, sizeof cause, "%d", BOARD_RESET_SOFTWARE);
    setenv(CAUSE_VARIABLE, cause, 1);
    native_timer_stop(); /* it would go on, and end the new program before that catches its signal */
    if (own_path(path, sizeof path)) {
        execl(path, path, (char *)NULL);
    }
    perror("restart");
    exit(EXIT_FAILURE);
}

void board_idle(void) {
    ready(STDIN_FILENO, POLLIN, 100);
}
