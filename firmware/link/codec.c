#include "codec.h"

uint32_t ts_crc32(uint32_t crc, const uint8_t *data, size_t n) {
    /* remainders of the 16 nibbles, polynomial 0xEDB88320; 64 bytes instead of 1 KiB */
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

static void put(ts_cobs_decoder *d, uint8_t byte) {
    if (d->length < d->capacity) {
        d->buffer[d->length++] = byte;
    } else {
        d->damaged = 1;
    }
}

static int32_t end_of_frame(ts_cobs_decoder *d) {
    const int32_t length = (int32_t)d->length;
    const uint8_t begun = d->begun, cut_off = d->damaged || d->left != 0;
    d->length = 0;
    d->left = d->begun = d->zero = d->damaged = 0;
    if (!begun) {
        return TS_COBS_MORE;
    }
    return cut_off || length == 0 ? TS_COBS_DAMAGED : length;
}

int32_t ts_cobs_decode(ts_cobs_decoder *d, uint8_t byte) {
    if (byte == 0) {
        return end_of_frame(d);
    }
    if (d->left > 0) {
        put(d, byte);
        d->left--;
        return TS_COBS_MORE;
    }
    if (d->zero) {
        put(d, 0);
    }
    d->begun = 1;
    d->left = (uint8_t)(byte - 1u);
    d->zero = byte != 0xFF; /* a full block isn't followed by a zero, nor is the last one */
    return TS_COBS_MORE;
}

void ts_cobs_encode(const uint8_t *src, size_t n, void (*write)(const uint8_t *, size_t)) {
    static const uint8_t delimiter = 0;
    uint8_t block[255];
    size_t used = 1; /* block[0] is the code */
    write(&delimiter, 1);
    for (size_t i = 0; i < n; i++) {
        if (src[i] != 0) {
            block[used++] = src[i];
        }
        if (src[i] == 0 || (used == sizeof block && i + 1 < n)) {
            block[0] = (uint8_t)used;
            write(block, used);
            used = 1;
        }
    }
    block[0] = (uint8_t)used;
    write(block, used);
    write(&delimiter, 1);
}
