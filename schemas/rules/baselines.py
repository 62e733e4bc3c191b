"""Baselines, computed in columns: the middle of earlier windows' values, and their spread.

A baseline is NaN unless `min_periods` windows have a value; windows without events of a key, and those before its first
event, have none. Where values don't differ the spread is 0, so that the band is the middle itself, unless `min_spread`
is greater.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tandem.schemas.rules.models import Baseline

__all__ = ["PARTS", "BaselineValues", "baseline_of"]

Floats = npt.NDArray[np.float64]

PARTS: Final = ("spread", "low", "high", "periods")
"""The parts of a baseline besides its middle."""
_MAD_TO_DEVIATION: Final = 1.4826
"""The factor from the median absolute deviation to the standard deviation, for a normal distribution."""


@dataclass(frozen=True, slots=True)
class BaselineValues:
    """One number for each judged value; NaN without a baseline."""

    middle: Floats
    spread: Floats
    low: Floats
    high: Floats
    periods: Floats
    """The number of values behind it."""

    def part(self, name: str) -> Floats:
        """The column of one of PARTS, or of the middle for ''."""
        return self.middle if not name else np.asarray(getattr(self, name))


def baseline_of(baseline: Baseline, values: Floats) -> BaselineValues:
    """The baseline of each row of `values`: earlier windows along the last axis, NaN where there is none."""
    shape = values.shape[:-1]
    if baseline.statistic == "absolute":
        middle, spread = np.full(shape, float(baseline.value or 0)), np.zeros(shape)
        periods = np.zeros(shape)
    else:
        ordered = np.sort(values, axis=-1)  # NaN comes last
        periods = np.count_nonzero(~np.isnan(ordered), axis=-1).astype(np.float64)
        if baseline.statistic == "quantiles":
            return _quantiles(baseline, ordered, periods)
        middle, spread = _middle_and_spread(baseline, ordered, periods)
        known = periods >= baseline.min_periods
        middle, spread = np.where(known, middle, np.nan), np.where(known, spread, np.nan)
    spread = np.maximum(spread, baseline.min_spread)
    reach = baseline.band * spread
    return BaselineValues(middle, spread, middle - reach, middle + reach, periods)


def _middle_and_spread(baseline: Baseline, ordered: Floats, periods: Floats) -> tuple[Floats, Floats]:
    if baseline.statistic == "previous":
        first = ordered[..., 0]
        return first, np.zeros(first.shape)
    if baseline.statistic == "median":
        middle = _quantile(ordered, periods, 0.5)
        apart = np.sort(np.abs(ordered - middle[..., None]), axis=-1)
        return middle, _quantile(apart, periods, 0.5) * _MAD_TO_DEVIATION
    there = np.maximum(periods, 1)
    middle = np.nansum(ordered, axis=-1) / there
    apart = np.nansum((ordered - middle[..., None]) ** 2, axis=-1)
    return middle, np.sqrt(apart / np.maximum(periods - 1, 1))


def _quantiles(baseline: Baseline, ordered: Floats, periods: Floats) -> BaselineValues:
    low, high = (np.where(periods >= baseline.min_periods, _quantile(ordered, periods, q), np.nan) for q in baseline.at)
    middle = np.where(periods >= baseline.min_periods, _quantile(ordered, periods, 0.5), np.nan)
    spread = np.maximum((high - low) / 2, baseline.min_spread)
    return BaselineValues(middle, spread, low, high, periods)


def _quantile(ordered: Floats, periods: Floats, q: float) -> Floats:
    """The quantile of the first `periods` values of each row, ascending, linear between two, as NumPy's default."""
    place = np.maximum(periods - 1, 0) * q
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(periods - 1, 0).astype(np.int64))
    low = np.take_along_axis(ordered, below[..., None], -1)[..., 0]
    high = np.take_along_axis(ordered, above[..., None], -1)[..., 0]
    found: Floats = low + (high - low) * (place - below)
    return found
