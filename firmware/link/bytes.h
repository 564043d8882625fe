/* Little-endian integers at any address. */
#ifndef BYTES_H
#define BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get32(const uint8_t *p) {
    return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

/* Each put returns where the next one goes. */
static inline uint8_t *put8(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)value;
    return p + 1;
}

static inline uint8_t *put16(uint8_t *p, uint32_t value) {
    return put8(put8(p, value), value >> 8);
}

static inline uint8_t *put32(uint8_t *p, uint32_t value) {
    return put16(put16(p, value), value >> 16);
}

static inline uint8_t *put64(uint8_t *p, uint64_t value) {
    return put32(put32(p, (uint32_t)value), (uint32_t)(value >> 32));
}

static inline uint8_t *put_float(uint8_t *p, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put32(p, bits);
}

/* A length byte and at most `max` <= 255 characters. */
static inline uint8_t *put_string(uint8_t *p, const char *text, size_t max) {
    size_t n = strlen(text);
    n = n < max ? n : max;
    memcpy(put8(p, (uint32_t)n), text, n);
    return p + 1 + n;
}

#endif
