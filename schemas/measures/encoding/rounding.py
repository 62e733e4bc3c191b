"""From exact integers and ratios to the nearest double, rounded once."""

from __future__ import annotations

import math

__all__ = ["round_ratio", "round_scaled", "round_sqrt"]


def round_scaled(value: int, exponent: int) -> float:
    """value x 2^exponent as the nearest double, ties to even; infinity when it is too large.

    `exponent` is at least -1074, so the result is exact wherever doubles are subnormal.
    """
    spare = value.bit_length() - 64
    if spare > 0:  # keep 64 bits, the last of which says whether any bit below was set
        lost = abs(value) & ((1 << spare) - 1)
        value = (abs(value) >> spare | (lost != 0)) * (-1 if value < 0 else 1)
        exponent += spare
    try:
        return math.ldexp(float(value), exponent)
    except OverflowError:
        return -math.inf if value < 0 else math.inf


def round_ratio(numerator: int, denominator: int) -> float:
    """The nearest double, ties to even; infinity when it is too large. The denominator is positive."""
    try:
        return numerator / denominator
    except OverflowError:
        return -math.inf if numerator < 0 else math.inf


def round_sqrt(numerator: int, denominator: int) -> float:
    """The double nearest to the square root of a ratio that isn't negative.

    The integer root is taken to 64 bits or more, its last bit set when anything was cut off ("round to
    odd"); rounding that once more then rounds correctly (S. Boldo, G. Melquiond, "Emulation of a FMA and
    correctly rounded sums", 2008).
    """
    if numerator == 0:
        return 0.0
    shift = max((denominator.bit_length() - numerator.bit_length()) // 2 + 65, 0)
    scaled, rest = divmod(numerator << (2 * shift), denominator)
    root = math.isqrt(scaled)
    return round_ratio(root | (rest != 0 or root * root != scaled), 1 << shift)
