/* Frames of the link: COBS and CRC-32. docs/link.md says what the bytes are. */
#ifndef CODEC_H
#define CODEC_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 of zlib: 0 to begin; feed the result back in to go on. */
uint32_t ts_crc32(uint32_t crc, const uint8_t *data, size_t n);

/* Takes a COBS stream byte by byte and never writes outside its buffer. All zero but the first two: ready. */
typedef struct ts_cobs_decoder {
    uint8_t *buffer;   /* the frame so far */
    uint32_t capacity; /* of the buffer, bytes */
    uint32_t length;   /* bytes in it */
    uint8_t left;      /* bytes until the next code byte */
    uint8_t begun;     /* 1: the frame has at least a code byte */
    uint8_t zero;      /* 1: a zero belongs in front of the next block */
    uint8_t damaged;   /* 1: the frame does not fit or was cut off */
} ts_cobs_decoder;

/* What ts_cobs_decode() returns besides a length. */
enum {
    TS_COBS_MORE = 0,     /* no frame has ended */
    TS_COBS_DAMAGED = -1, /* one has, but it is unusable */
};

/* Takes one byte. Returns the length (> 0) of the frame in the buffer if the byte ends one; it stays there
 * until the next call. */
int32_t ts_cobs_decode(ts_cobs_decoder *decoder, uint8_t byte);

/* Encodes n bytes and the zeros around them; hands the result to `write` in pieces of at most 255 bytes. */
void ts_cobs_encode(const uint8_t *src, size_t n, void (*write)(const uint8_t *, size_t));

#endif
