#include "spectral.h"

#define TURN 256 /* steps of an angle */
#define QUARTER 64
#define ONE 32768       /* of sine and window */
#define LOG 1024        /* of logarithms */
#define FRACTION 4      /* bits behind the point of a sample without its mean */
#define WORK_FRACTION 6 /* and of the transform */

/* round(32768 * sin(pi / 2 * i / 64)) */
static const uint16_t SINE[QUARTER + 1] = {
    0,     804,   1608,  2411,  3212,  4011,  4808,  5602,  6393,  7180,  7962,  8740,  9512,
    10279, 11039, 11793, 12540, 13279, 14010, 14733, 15447, 16151, 16846, 17531, 18205, 18868,
    19520, 20160, 20788, 21403, 22006, 22595, 23170, 23732, 24279, 24812, 25330, 25833, 26320,
    26791, 27246, 27684, 28106, 28511, 28899, 29269, 29622, 29957, 30274, 30572, 30853, 31114,
    31357, 31581, 31786, 31972, 32138, 32286, 32413, 32522, 32610, 32679, 32729, 32758, 32768};

/* round(32768 * log2(1 + i / 32)) */
static const uint16_t LOG2[33] = {0,     1455,  2866,  4236,  5568,  6863,  8124,  9352,  10549,
                                  11716, 12855, 13968, 15055, 16117, 17156, 18173, 19168, 20143,
                                  21098, 22034, 22952, 23852, 24736, 25604, 26455, 27292, 28114,
                                  28922, 29717, 30498, 31267, 32024, 32768};

static const uint8_t BAND_ENDS[TS_SPECTRAL_BANDS + 1] = {1, 3, 6, 13, TS_SPECTRAL_TOP + 1};

typedef struct peak {
    int32_t height; /* log2(amplitude) */
    uint32_t bin;   /* 0: there is none */
} peak;

/* Of an angle in [0, half a turn]. */
static int32_t sine(uint32_t angle) {
    return SINE[angle <= QUARTER ? angle : 2 * QUARTER - angle];
}

static int32_t cosine(uint32_t angle) {
    return angle <= QUARTER ? SINE[QUARTER - angle] : -(int32_t)SINE[angle - QUARTER];
}

/* 1024 * log2(value), right to half a step or so; 0 of 0. */
static int32_t log2_of(uint64_t value) {
    uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value;
    int32_t exponent = 63;
    if (high == 0) {
        high = low;
        low = 0;
        exponent = 31;
    }
    if (high == 0) {
        return 0;
    }
    for (int32_t step = 16; step != 0; step /= 2) {
        if (high >> (32 - step) == 0) {
            high = high << step | low >> (32 - step);
            low <<= step;
            exponent -= step;
        }
    }
    const uint32_t at = high << 1 >> 27, rest = (high >> 11) & 0x7FFF; /* of what follows the leading 1 */
    const uint32_t part = LOG2[at] + (((uint32_t)(LOG2[at + 1] - LOG2[at]) * rest) >> 15);
    return exponent * LOG + (int32_t)((part + 16) >> 5);
}

/* 16 steps of a feature are 1 of the logarithm (of a frequency 32: the caller doubles it). */
static int8_t as_feature(int32_t log2_value) {
    const int32_t steps = (log2_value + LOG / 32) >> 6;
    return (int8_t)((steps < 0 ? 0 : steps > 255 ? 255 : steps) + TS_SPECTRAL_ZERO);
}

/* sin(pi * n / samples) ^ 2, interpolated in the table. */
static uint16_t hann(uint32_t n, uint32_t samples) {
    const uint32_t angle = ((n * 2 * QUARTER << 16) + samples / 2) / samples;
    const uint32_t at = angle >> 16;
    const int32_t from = sine(at), to = sine(at + 1);
    const uint32_t value = (uint32_t)(from + (((to - from) * (int32_t)(angle >> 2 & 0x3FFF)) >> 14));
    return (uint16_t)((value * value) >> 15);
}

int ts_spectral_begin(ts_spectral *s, uint32_t samples, uint32_t log2_length) {
    if (log2_length < TS_SPECTRAL_LOG2_SHORTEST || log2_length > TS_SPECTRAL_LOG2_LONGEST || samples < 8 ||
        samples > UINT32_C(1) << log2_length) {
        return -1;
    }
    s->samples = (uint16_t)samples;
    s->log2_samples = (uint16_t)log2_of(samples);
    s->log2_length = log2_length;
    for (uint32_t n = 0; n < samples; n++) {
        s->hann[n] = hann(n, samples);
    }
    return 0;
}

/* Puts an axis into work without its mean, windowed and filled up with zeros. Returns the sum of the squares
 * before the window, 2 * FRACTION bits behind the point. */
static uint64_t take(ts_spectral *s, const int16_t *ring, uint32_t capacity, uint32_t oldest, uint32_t axes) {
    int32_t sum = 0;
    for (uint32_t n = 0, at = oldest; n < s->samples; n++) {
        const int32_t x = ring[at * axes];
        s->work[n] = x < -TS_SPECTRAL_LIMIT  ? -TS_SPECTRAL_LIMIT
                     : x > TS_SPECTRAL_LIMIT ? TS_SPECTRAL_LIMIT
                                             : x;
        sum += s->work[n];
        at = at + 1 == capacity ? 0 : at + 1;
    }
    const int32_t mean = sum * (1 << FRACTION) / s->samples;
    int64_t squares = 0;
    for (uint32_t n = 0; n < s->samples; n++) {
        const int32_t x = s->work[n] * (1 << FRACTION) - mean;
        squares += (int64_t)x * x;
        s->work[n] = (int32_t)((int64_t)x * s->hann[n] >> (15 + FRACTION - WORK_FRACTION));
    }
    for (uint32_t n = s->samples; n < UINT32_C(1) << s->log2_length; n++) {
        s->work[n] = 0;
    }
    return (uint64_t)squares;
}

/* Puts 2^log2_points complex numbers into the order in which each has its bits reversed. */
static void reverse_bits(int32_t *z, uint32_t log2_points) {
    const uint32_t points = UINT32_C(1) << log2_points;
    for (uint32_t i = 1, j = 0; i < points; i++) {
        uint32_t bit = points >> 1;
        for (; (j & bit) != 0; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            const int32_t real = z[2 * i], imaginary = z[2 * i + 1];
            z[2 * i] = z[2 * j];
            z[2 * i + 1] = z[2 * j + 1];
            z[2 * j] = real;
            z[2 * j + 1] = imaginary;
        }
    }
}

/* Four times the upper half of a product with a sine of which 2^30 is 1. */
static int32_t upper(int64_t product) {
    return (int32_t)(product >> 32) * 4;
}

/* Fourier transform of 2^log2_points complex numbers in place, decimated in time. It grows by no more than
 * their number, so that samples within 2^21 stay within 2^29. */
static void transform(int32_t *z, uint32_t log2_points) {
    const uint32_t points = UINT32_C(1) << log2_points;
    reverse_bits(z, log2_points);
    for (uint32_t half = 1, step = TURN / 2; half < points; half *= 2, step /= 2) {
        for (uint32_t j = 0; j < half; j++) {
            const int32_t c = cosine(j * step) * ONE, s = sine(j * step) * ONE;
            for (uint32_t i = j; i < points; i += 2 * half) {
                int32_t *const a = &z[2 * i], *const b = &z[2 * (i + half)];
                const int32_t a_real = a[0], a_imaginary = a[1];
                const int32_t real = upper((int64_t)b[0] * c + (int64_t)b[1] * s);
                const int32_t imaginary = upper((int64_t)b[1] * c + (int64_t)b[0] * -s);
                a[0] = a_real + real;
                a[1] = a_imaginary + imaginary;
                b[0] = a_real - real;
                b[1] = a_imaginary - imaginary;
            }
        }
    }
}

/* Power of bin k of the real samples, times 4, 2 * WORK_FRACTION bits behind the point.
 * The transform took even samples as real, odd ones as imaginary parts: this takes it apart. */
static uint64_t power(const ts_spectral *s, uint32_t k) {
    const uint32_t points = UINT32_C(1) << (s->log2_length - 1), angle = k << (8 - s->log2_length);
    const int32_t *const a = &s->work[2 * (k & (points - 1))];
    const int32_t *const b = &s->work[2 * ((points - k) & (points - 1))];
    const int32_t real = a[0] - b[0], imaginary = a[1] + b[1]; /* of the odd samples, to be turned */
    const int32_t cos = cosine(angle), sin = sine(angle);
    const int64_t x = a[0] + b[0] + (((int64_t)imaginary * cos - (int64_t)real * sin) >> 15);
    const int64_t y = a[1] - b[1] - (((int64_t)real * cos + (int64_t)imaginary * sin) >> 15);
    return (uint64_t)(x * x) + (uint64_t)(y * y);
}

static uint32_t top_bin(const ts_spectral *s) {
    const uint32_t last = (UINT32_C(1) << (s->log2_length - 1)) - 1;
    return last < TS_SPECTRAL_TOP ? last : TS_SPECTRAL_TOP;
}

/* Fills in the spectrum and the bands' features. */
static void look_at_bins(ts_spectral *s, int8_t *features) {
    /* mean square = 2 * power / (length * sum of the squared window), which is samples * 3 / 8 */
    const int32_t norm = 2473 /* log2(16 / 3) */ - (2 + 2 * WORK_FRACTION) * LOG -
                         (int32_t)s->log2_length * LOG - s->log2_samples;
    const uint32_t end = top_bin(s) + 1;
    uint64_t sum = 0;
    uint32_t band = 0;
    for (uint32_t k = 0; k <= end; k++) {
        if (k == BAND_ENDS[band + 1] || k == end) {
            features[band] = as_feature((log2_of(sum) + norm) >> 1);
            band += band + 1 < TS_SPECTRAL_BANDS;
            sum = 0;
        }
        const uint64_t p = power(s, k);
        sum += k == 0 ? 0 : p;
        s->spectrum[k] = (uint16_t)log2_of(p);
    }
}

/* Distance of a peak from its bin, times 1024: the parabola through the logarithms of three bins. */
static int32_t offset(const uint16_t *three) {
    const int32_t left = three[0], right = three[2], bend = left - 2 * three[1] + right;
    return bend == 0 ? 0 : LOG / 2 * (left - right) / bend;
}

static int32_t height(const uint16_t *three, int32_t distance) {
    return three[1] - ((three[0] - three[2]) * distance >> 12);
}

static void insert(peak *peaks, peak found) {
    for (uint32_t i = 0; i < TS_SPECTRAL_PEAKS; i++) {
        if (peaks[i].bin == 0 || found.height > peaks[i].height) {
            const peak moved = peaks[i];
            peaks[i] = found;
            found = moved;
        }
    }
}

static void find_peaks(const ts_spectral *s, int8_t *features) {
    /* amplitude = 2 * |bin| / sum of the window, which is samples / 2 */
    const int32_t norm = 2 * LOG - (1 + WORK_FRACTION) * LOG - s->log2_samples;
    peak peaks[TS_SPECTRAL_PEAKS] = {{0, 0}, {0, 0}, {0, 0}};
    const uint32_t top = top_bin(s);
    for (uint32_t k = 1; k <= top; k++) {
        const uint16_t *const three = &s->spectrum[k - 1];
        if (three[1] >= three[0] && three[1] > three[2]) {
            const peak found = {(height(three, offset(three)) >> 1) + norm, k};
            if (found.height >= TS_SPECTRAL_LOG2_FLOOR * LOG) {
                insert(peaks, found);
            }
        }
    }
    for (uint32_t i = 0; i < TS_SPECTRAL_PEAKS; i++) {
        const uint32_t k = peaks[i].bin;
        const int32_t bins = k == 0 ? LOG : (int32_t)k * LOG + offset(&s->spectrum[k - 1]);
        features[2 * i] = as_feature(peaks[i].height);
        features[2 * i + 1] = as_feature(2 * (log2_of((uint64_t)bins) - 10 * LOG));
    }
}

void ts_spectral_features(ts_spectral *s, const int16_t *ring, uint32_t capacity, uint32_t oldest,
                          uint32_t axes, int8_t *features) {
    for (uint32_t axis = 0; axis < axes; axis++, features += TS_SPECTRAL_FEATURES) {
        const uint64_t squares = take(s, ring + axis, capacity, oldest, axes);
        features[0] = as_feature((log2_of(squares) - 2 * FRACTION * LOG - s->log2_samples) >> 1);
        transform(s->work, s->log2_length - 1);
        look_at_bins(s, features + 1 + 2 * TS_SPECTRAL_PEAKS);
        find_peaks(s, features + 1);
    }
}
