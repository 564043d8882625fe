#include "frontend.h"

#include <string.h>

#include "frontend_tables.h"

#define POINTS 256   /* complex numbers that are transformed: samples in pairs */
#define ROUND 16384  /* half of what >> 15 divides by */
#define QUARTER 8191 /* a quarter and a half of 32767, rounded down */
#define HALF 16383
#define EVEN_SMOOTHING 409 /* of the noise estimate: 0.025, 0.06 and 0.05, 16384 is 1 */
#define ODD_SMOOTHING 983
#define LEAST_LEFT 819 /* of a signal that is all noise */
#define LN2 45426      /* 65536 is 1 */

typedef struct complex {
    int32_t real, imaginary;
} complex;

static complex unpack(uint32_t packed) {
    const complex z = {(int16_t)packed, (int16_t)(packed >> 16)};
    return z;
}

static uint32_t pack(int32_t real, int32_t imaginary) {
    return (uint16_t)real | (uint32_t)imaginary << 16;
}

static complex scaled(complex z, int32_t factor) {
    const complex result = {(z.real * factor + ROUND) >> 15, (z.imaginary * factor + ROUND) >> 15};
    return result;
}

static complex turned(complex z, uint32_t packed) {
    const complex w = unpack(packed);
    const complex result = {(z.real * w.real - z.imaginary * w.imaginary + ROUND) >> 15,
                            (z.real * w.imaginary + z.imaginary * w.real + ROUND) >> 15};
    return result;
}

int ts_frontend_begin(ts_frontend *f, uint32_t step) {
    if (step < 1 || step > TS_FRONTEND_WINDOW) {
        return -1;
    }
    f->step = step;
    f->filled = 0;
    memset(f->noise, 0, sizeof f->noise);
    return 0;
}

uint32_t ts_frontend_add(ts_frontend *f, const int16_t *samples, uint32_t count) {
    const uint32_t room = TS_FRONTEND_WINDOW - f->filled;
    const uint32_t taken = count < room ? count : room;
    memcpy(f->samples + f->filled, samples, taken * sizeof *samples);
    f->filled += taken;
    return taken;
}

/* Where the transform wants point n: its four base-4 digits reversed. */
static uint32_t reversed(uint32_t n) {
    n = (n & 0x33) << 2 | (n >> 2 & 0x33);
    return (n << 4 & 0xF0) | n >> 4;
}

/* Of a number in binary, without leading zeros. */
static uint32_t bits(uint32_t value) {
    return value == 0 ? 0 : 32 - (uint32_t)__builtin_clz(value);
}

/* Puts the windowed samples into work, two a point. Returns by how many bits they may be shifted to the left
 * within 16 bits (-32768, which is its own negative, does not count). */
static uint32_t take(ts_frontend *f) {
    uint32_t all = 0; /* has the highest bit of the largest value */
    for (uint32_t n = 0; n < TS_FRONTEND_WINDOW / 2; n++) {
        const int32_t even = f->samples[2 * n] * HANN[2 * n] >> 12;
        const int32_t odd = f->samples[2 * n + 1] * HANN[2 * n + 1] >> 12;
        all |= (uint32_t)(even < 0 ? -even : even) | (uint32_t)(odd < 0 ? -odd : odd);
        f->work[reversed(n)] = pack(even, odd);
    }
    for (uint32_t n = TS_FRONTEND_WINDOW / 2; n < POINTS; n++) {
        f->work[reversed(n)] = 0;
    }
    return 15 - bits(all & 0x7FFF);
}

/* Four points `m` apart; b, c and d have been turned. */
static void butterfly(uint32_t *z, uint32_t m, complex a, complex b, complex c, complex d) {
    const complex even = {a.real + c.real, a.imaginary + c.imaginary};
    const complex odd = {a.real - c.real, a.imaginary - c.imaginary};
    const complex sum = {b.real + d.real, b.imaginary + d.imaginary};
    const complex rest = {b.real - d.real, b.imaginary - d.imaginary};
    z[0] = pack(even.real + sum.real, even.imaginary + sum.imaginary);
    z[m] = pack(odd.real + rest.imaginary, odd.imaginary - rest.real);
    z[2 * m] = pack(even.real - sum.real, even.imaginary - sum.imaginary);
    z[3 * m] = pack(odd.real - rest.imaginary, odd.imaginary + rest.real);
}

/* Fourier transform of the 256 points in place, divided by 256: radix 4, decimated in time. Points are rounded
 * to 16 bits at each of its four stages. The first, whose turns are by nothing, shifts its input. */
static void transform(uint32_t *work, uint32_t shift) {
    for (uint32_t *z = work; z < work + POINTS; z += 4) {
        complex quarter[4];
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t keep = 0xFFFFu << shift & 0xFFFF;
            quarter[i] = scaled(unpack(z[i] << shift & (keep << 16 | keep)), QUARTER);
        }
        butterfly(z, 1, quarter[0], quarter[1], quarter[2], quarter[3]);
    }
    for (uint32_t m = 4, step = POINTS / 16; m < POINTS; m *= 4, step /= 4) {
        for (uint32_t j = 0; j < m; j++) {
            const uint32_t w1 = TURN_256[j * step], w2 = TURN_256[2 * j * step], w3 = TURN_256[3 * j * step];
            for (uint32_t *z = work + j; z < work + POINTS; z += 4 * m) {
                butterfly(z, m, scaled(unpack(z[0]), QUARTER), turned(scaled(unpack(z[m]), QUARTER), w1),
                          turned(scaled(unpack(z[2 * m]), QUARTER), w2),
                          turned(scaled(unpack(z[3 * m]), QUARTER), w3));
            }
        }
    }
}

/* Turns points into the energies of the samples' bins, divided by 512 * 512, in place: point k is the spectrum
 * of the even samples plus i times that of the odd ones. The Hann window keeps all of them below 2^28. */
static void find_energies(uint32_t *work) {
    for (uint32_t k = FIRST_BIN; k <= POINTS / 2; k++) {
        const complex a = scaled(unpack(work[k]), HALF), mirror = unpack(work[POINTS - k]);
        const complex conjugate = {mirror.real, -mirror.imaginary};
        const complex b = scaled(conjugate, HALF);
        const complex sum = {a.real + b.real, a.imaginary + b.imaginary};
        const complex difference = {a.real - b.real, a.imaginary - b.imaginary};
        const complex t = turned(difference, TURN_512[k - 1]);
        const int32_t real = (sum.real + t.real) >> 1, imaginary = (sum.imaginary + t.imaginary) >> 1;
        const int32_t far_real = (sum.real - t.real) >> 1, far_imaginary = (t.imaginary - sum.imaginary) >> 1;
        work[k] = (uint32_t)(real * real + imaginary * imaginary);
        work[POINTS - k] = (uint32_t)(far_real * far_real + far_imaginary * far_imaginary);
    }
}

/* A square root as far as it is known, and what is left of the number. */
typedef struct root {
    uint32_t result, rest;
} root;

/* Goes on with the `pairs` highest pairs of bits of `word`, a binary digit each. */
static root digits(root r, uint32_t word, uint32_t pairs) {
    for (; pairs > 0; pairs--) {
        const uint32_t trial = r.result << 2 | 1;
        r.rest = r.rest << 2 | word >> 30;
        word <<= 2;
        r.result <<= 1;
        if (r.rest >= trial) {
            r.rest -= trial;
            r.result++;
        }
    }
    return r;
}

/* Square root of a value below 2^60, rounded; of those below 2^32 it is 65535 at most. */
static uint32_t square_root(uint64_t value) {
    const uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value;
    const uint32_t pairs = (bits(high != 0 ? high : low) + 1) / 2, skip = (32 - 2 * pairs) & 31;
    root r = {0, 0};
    if (high != 0) {
        r = digits(digits(r, high << skip, pairs), low, 16);
    } else {
        r = digits(r, low << skip, pairs);
    }
    return r.result + (r.rest > r.result && r.result != 0xFFFF);
}

/* What is above the estimated noise, which follows the signal slowly. */
static uint32_t without_noise(uint32_t *noise, uint32_t signal, uint32_t smoothing) {
    const uint32_t scaled_up = signal << 10;
    *noise = (uint32_t)(((uint64_t)scaled_up * smoothing + (uint64_t)*noise * (16384 - smoothing)) >> 14);
    const uint32_t above = (scaled_up - (*noise < scaled_up ? *noise : scaled_up)) >> 10;
    const uint32_t least = (uint32_t)((uint64_t)signal * LEAST_LEFT >> 14);
    return above > least ? above : least;
}

/* 2^21 * (noise / 2^7 + 80)^-0.95, by a parabola between two powers of 2. */
static int32_t gain(uint32_t noise) {
    if (noise < 2) {
        return GAIN_FIRST[noise];
    }
    const uint32_t n = bits(noise);
    const int16_t *const curve = GAIN[n - 2];
    const int32_t x = (int32_t)((n < 11 ? noise << (11 - n) : noise >> (n - 11)) & 0x3FF);
    return curve[0] + (((((curve[2] * x) >> 5) + curve[1] * 32) * x + ROUND) >> 15);
}

/* Gain control by channel: what stands out of the noise counts, not how loud it is. */
static uint32_t gained(uint32_t signal, uint32_t noise) {
    const uint32_t ratio = (uint32_t)((uint64_t)signal * (uint32_t)gain(noise) >> 6);
    return ratio < 8192 ? ratio * ratio >> 20 : (ratio >> 6) - 64;
}

/* 64 * ln(value). */
static uint16_t logarithm(uint32_t value) {
    if (value < 2) {
        return 0;
    }
    const uint32_t n = bits(value) - 1;
    const uint32_t part = (n < 16 ? value << (16 - n) : value >> (n - 16)) & 0xFFFF;
    const int32_t from = LOG2_EXCESS[part >> 9], to = LOG2_EXCESS[(part >> 9) + 1];
    const uint32_t excess = (uint32_t)(from + ((to - from) * (int32_t)(part & 0x1FF) >> 16));
    const uint32_t natural = (uint32_t)(((uint64_t)LN2 * ((n << 16) + part + excess) + 32768) >> 16);
    return (uint16_t)(((natural << 6) + 32768) >> 16);
}

/* Sums the bins' energies by channel, and takes each through all that follows. */
static void fill_in(ts_frontend *f, uint32_t shift, uint16_t *levels) {
    uint64_t rest = 0; /* of the bins before, for this channel */
    const uint16_t *weight = WEIGHT;
    for (uint32_t band = 0, k = FIRST_BIN; band <= TS_FRONTEND_CHANNELS; band++) {
        uint64_t weighted = 0;
        uint32_t sum = 0;
        for (; k < BAND_END[band]; k++) {
            weighted += (uint64_t)f->work[k] * *weight++;
            sum += f->work[k];
        }
        if (band > 0) {
            const uint32_t i = band - 1, loud = square_root(rest + weighted) >> shift;
            const uint32_t heard =
                without_noise(&f->noise[i], loud, i % 2 == 0 ? EVEN_SMOOTHING : ODD_SMOOTHING);
            levels[i] = logarithm(gained(heard, f->noise[i]) << 3);
        }
        rest = ((uint64_t)sum << 12) - weighted;
    }
}

int ts_frontend_row(ts_frontend *f, uint16_t *levels) {
    if (f->filled < TS_FRONTEND_WINDOW) {
        return 0;
    }
    const uint32_t shift = take(f);
    transform(f->work, shift);
    find_energies(f->work);
    fill_in(f, shift, levels);
    f->filled -= f->step;
    memmove(f->samples, f->samples + f->step, f->filled * sizeof *f->samples);
    return 1;
}

void ts_frontend_int8(const uint16_t *levels, int8_t *row) {
    for (uint32_t i = 0; i < TS_FRONTEND_CHANNELS; i++) {
        const int32_t value = (levels[i] * 256 + TS_FRONTEND_DIVISOR / 2) / TS_FRONTEND_DIVISOR - 128;
        row[i] = (int8_t)(value < 127 ? value : 127);
    }
}
