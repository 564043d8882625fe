/* The periodic timer: SIGALRM is the interrupt. Each call sets up the next, so that no signal waits while the
 * handler runs: it would come right after it, and the main program would stand still. */
#define _XOPEN_SOURCE 700 /* c99 hides setitimer */
#include "timer.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

#include "../board.h"

enum { MAX_HZ = 100000, NS_PER_US = 1000, US_PER_S = 1000000 };

static void (*volatile handler)(void);
static volatile uint64_t period, next; /* ns; time of the next call */

/* One SIGALRM in `ns` nanoseconds, rounded up to microseconds; 0: none. */
static void alarm_in(uint64_t ns) {
    const uint64_t us = (ns + NS_PER_US - 1) / NS_PER_US;
    struct itimerval once = {{0, 0}, {0, 0}};
    once.it_value.tv_sec = (time_t)(us / US_PER_S);
    once.it_value.tv_usec = (suseconds_t)(us % US_PER_S);
    setitimer(ITIMER_REAL, &once, NULL);
}

static void on_alarm(int number) {
    (void)number;
    const int saved = errno;
    next += period;
    handler();
    const uint64_t now = board_cycles();
    if (next < now + period / 64) {
        next = now + period;
    }
    alarm_in(next - now);
    errno = saved;
}

static void catch_alarm(void (*function)(int)) {
    struct sigaction action = {.sa_handler = function, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
}

void native_timer_stop(void) {
    catch_alarm(SIG_IGN); /* also drops a signal that waits */
    alarm_in(0);
}

void board_timer_start(uint32_t hz, void (*h)(void)) {
    native_timer_stop();
    if (hz == 0) {
        return;
    }
    handler = h;
    period = board_clock_hz / (hz < MAX_HZ ? hz : MAX_HZ);
    next = board_cycles() + period;
    catch_alarm(on_alarm);
    alarm_in(period);
}
