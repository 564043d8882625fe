/* What a motion's spectrum looks like, as int8 numbers that go into a model as they are.
 *
 * Integers only, so that every processor and compiler gives the same numbers; no static state. docs/gesture.md
 * says what each feature is. */
#ifndef TS_SPECTRAL_H
#define TS_SPECTRAL_H

#include <stdint.h>

/* A sample is an int16 in steps of TS_SPECTRAL_UG micro-g (the LSM9DS1's at a range of 4 g); what lies beyond
 * TS_SPECTRAL_LIMIT steps is taken as that. */
#define TS_SPECTRAL_UG 122
#define TS_SPECTRAL_LIMIT 16384

/* The transform's length is a power of 2, from 2^LOG2_SHORTEST to 2^LOG2_LONGEST. */
#define TS_SPECTRAL_LOG2_SHORTEST 5
#define TS_SPECTRAL_LOG2_LONGEST 8
#define TS_SPECTRAL_LONGEST (1 << TS_SPECTRAL_LOG2_LONGEST)

#define TS_SPECTRAL_TOP 32       /* last bin that is looked at (or the last but one of a shorter transform) */
#define TS_SPECTRAL_PEAKS 3      /* the strongest, strongest first */
#define TS_SPECTRAL_BANDS 4      /* bins 1-2, 3-5, 6-12, 13-32 */
#define TS_SPECTRAL_LOG2_FLOOR 5 /* a peak lower than an amplitude of 2^5 steps of a sample is noise */
#define TS_SPECTRAL_FEATURES 11  /* of an axis: RMS; height and frequency of each peak; RMS of each band */

/* The model's input: real value = TS_SPECTRAL_SCALE * (feature - TS_SPECTRAL_ZERO). Of an amplitude that is
 * log2(steps of a sample), of a frequency 2 * log2(bins). */
#define TS_SPECTRAL_SCALE 0.0625f
#define TS_SPECTRAL_ZERO (-128)

/* Memory for windows of one length. No field is for the caller. */
typedef struct ts_spectral {
    uint16_t samples;                       /* in a window */
    uint16_t log2_samples;                  /* 1024 * log2(samples) */
    uint32_t log2_length;                   /* of the transform */
    uint16_t hann[TS_SPECTRAL_LONGEST];     /* window function, 32768 is 1 */
    int32_t work[TS_SPECTRAL_LONGEST];      /* samples, then the transform: real, imaginary, real, ... */
    uint16_t spectrum[TS_SPECTRAL_TOP + 2]; /* 1024 * log2(power) of a bin, 0 being the smallest */
} ts_spectral;

/* Prepares for windows of `samples` samples, which are transformed with a length of 2^log2_length.
 * Returns 0, or -1 if log2_length is not within the limits above or samples not within 8 and that length. */
int ts_spectral_begin(ts_spectral *s, uint32_t samples, uint32_t log2_length);

/* Writes axes * TS_SPECTRAL_FEATURES features, one axis after the other.
 * `ring` holds `capacity` (at least the window's) samples of `axes` values each, the window beginning at sample
 * `oldest` (< capacity) and going on at 0 behind the last. */
void ts_spectral_features(ts_spectral *s, const int16_t *ring, uint32_t capacity, uint32_t oldest,
                          uint32_t axes, int8_t *features);

#endif
