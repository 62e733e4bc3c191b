"""Rounds exact integers and ratios to the nearest double, once."""

from __future__ import annotations

import math

__all__ = ["round_ratio", "round_sqrt"]


def round_ratio(numerator: int, denominator: int) -> float:
    """The nearest double of a ratio, ties to even; infinity where it overflows. The denominator is positive."""
    try:
        return numerator / denominator
    except OverflowError:
        return -math.inf if numerator < 0 else math.inf


def round_sqrt(numerator: int, denominator: int) -> float:
    """The nearest double of the square root of a non-negative ratio.

    The integer root is taken to 64 bits or more, its last bit set when anything was cut off ("round to odd"); rounding
    that once more then rounds correctly (S. Boldo, G. Melquiond, "Emulation of a FMA and correctly rounded sums",
    2008).
    """
    if numerator == 0:
        return 0.0
    shift = max((denominator.bit_length() - numerator.bit_length()) // 2 + 65, 0)
    scaled, rest = divmod(numerator << (2 * shift), denominator)
    root = math.isqrt(scaled)
    return round_ratio(root | (rest != 0 or root * root != scaled), 1 << shift)
