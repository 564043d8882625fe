/* Rings that keep the last of many numbered things, for commands that ask for those from a number on. */
#ifndef KEPT_H
#define KEPT_H

#include <stdint.h>

/* The first number from `asked` on that a ring of `kept` still has, of `count` so far; count: there is none. Numbers may
 * wrap. */
static inline uint32_t ts_first_kept(uint32_t asked, uint32_t count, uint32_t kept) {
    const uint32_t behind = count - asked;
    if (behind > UINT32_MAX / 2) {
        return count; /* a number that is still to come */
    }
    const uint32_t there = count < kept ? count : kept;
    return behind > there ? count - there : asked;
}

#endif
