"""TFLite's integer arithmetic, as its ``quantization_util.cc``, ``common.cc`` and gemmlowp define it."""

from __future__ import annotations

import math

import numpy as np

INT32_MAX = (1 << 31) - 1
INT32_MIN = -(1 << 31)
INT8_MAX = 127
INT8_MIN = -128


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with ``real`` ≈ multiplier * 2^(shift - 31), |multiplier| 0 or in [2^30, 2^31].

    Source: tflite ``QuantizeMultiplier``. Negative for the negative weight scales that some converters write.
    """
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def divide_by_power_of_two(x: int, exponent: int) -> int:
    """x / 2^exponent, halves away from zero. Source: gemmlowp ``RoundingDivideByPOT``."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def round_away(x: float | np.float32) -> int:
    """C ``round``: halves away from zero."""
    return math.floor(abs(float(x)) + 0.5) * (1 if x >= 0 else -1)


def saturate(x: int) -> int:
    return max(INT32_MIN, min(INT32_MAX, x))


def multiply_q31(a: int, b: int) -> int:
    """Rounded product of two Q0.31. Source: gemmlowp ``SaturatingRoundingDoublingHighMul``."""
    return saturate((a * b + (1 << 30)) >> 31)


def _exp_near_zero(a: int) -> int:
    """exp(a) for a in [-1/4, 0), Q0.31: Taylor around -1/8, as gemmlowp's interval function."""
    x = a + (1 << 28)
    x2 = multiply_q31(x, x)
    x3 = multiply_q31(x2, x)
    x4_over_4 = divide_by_power_of_two(multiply_q31(x2, x2), 2)
    third = multiply_q31(x4_over_4 + x3, 715827883)  # * 1/3
    tail = divide_by_power_of_two(third + x2, 1)
    return 1895147668 + multiply_q31(1895147668, x + tail)  # exp(-1/8) * (1 + ...)


# exp(-2^k) in Q0.31 for k = -2..4 (gemmlowp ``exp_on_negative_values``)
_EXP_OF_POWERS = [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242]


def exp_on_negative(a: int, integer_bits: int) -> int:
    """exp(a) as Q0.31 for a <= 0 in Q(integer_bits); integer_bits <= 5.

    Source: gemmlowp ``exp_on_negative_values``.
    """
    if a == 0:
        return INT32_MAX
    fractional = 31 - integer_bits
    quarter = 1 << (fractional - 2)
    a_mod = (a & (quarter - 1)) - quarter
    result = _exp_near_zero(saturate(a_mod << integer_bits))
    remainder = a_mod - a
    for k, factor in zip(range(-2, 5), _EXP_OF_POWERS, strict=True):
        if integer_bits > k and remainder & (1 << (fractional + k)):
            result = multiply_q31(result, factor)
    return result
