"""Rounds exact totals to the nearest doubles, a column at a time, bit for bit as `rounding` does one by one.

The 64 leading bits of each total are kept; the last is set if any bit below was. That rounds once, as the whole number
would.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tandem.schemas.measures.moments.exact import Totals

__all__ = ["can_divide", "divided", "rounded"]

Floats = npt.NDArray[np.float64]

_DIGIT: Final = 32
_LOW: Final = np.uint64(2**32 - 1)
_WIDE: Final = 64
_SPARE: Final = 11
"""The number of bits that a 64-bit mantissa has more than a double's."""


def rounded(totals: Totals, exponent: int) -> Floats:
    """Each total x 2^exponent as the nearest double, ties to even; infinite where it overflows."""
    leading, powers = _leading(totals)
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(leading.astype(np.float64), powers + exponent) * totals.sign)


def can_divide() -> bool:
    """Whether this machine has floats with mantissas of 64 bits, which `divided` needs."""
    return np.finfo(np.longdouble).nmant == _WIDE - 1


def divided(totals: Totals, exponent: int, counts: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """(each total x 2^exponent / count as the nearest double, where that is certain).

    A quotient of 64 bits is off by less than two units of its last place, so that it rounds as the exact one does
    unless it lies that close to the midpoint of two doubles. Subnormal and infinite ones aren't certain.
    """
    leading, powers = _leading(totals)
    mantissas, shifts = np.frexp(leading.astype(np.longdouble) / np.maximum(counts, 1).astype(np.longdouble))
    bits = np.ldexp(mantissas, _WIDE).astype(np.uint64)
    rest = (bits & np.uint64(2**_SPARE - 1)).astype(np.int64)
    doubles = np.ldexp(mantissas.astype(np.float64), shifts + powers + exponent)
    certain = (np.abs(rest - 2 ** (_SPARE - 1)) > 4) & np.isfinite(doubles) & (np.abs(doubles) > 1e-290)
    return np.asarray(doubles * totals.sign), certain | (totals.sign == 0)


def _leading(totals: Totals) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """(64 leading bits of each magnitude, the power of 2 that scales them)."""
    ends = np.cumsum(totals.lengths)
    high, middle, low = (_digit(totals, ends, place) for place in (1, 2, 3))
    spare = (_DIGIT - np.frexp(high.astype(np.float64))[1]).astype(np.uint64)  # zeros before its first bit
    kept = ((high << np.uint64(_DIGIT) | middle) << spare) | (low >> (np.uint64(_DIGIT) - spare))
    lost = ((low << spare) & _LOW != 0) | (totals.lengths > 3)
    powers = _DIGIT * (totals.low.astype(np.int64) + totals.lengths - 2) - spare.astype(np.int64)
    return kept | lost, powers


def _digit(totals: Totals, ends: npt.NDArray[np.int64], place: int) -> npt.NDArray[np.uint64]:
    """The digit at this distance before each end, 0 where there are fewer digits."""
    there = totals.lengths >= place
    digits = np.zeros(len(ends), np.uint64)
    digits[there] = totals.digits[ends[there] - place]
    return digits
