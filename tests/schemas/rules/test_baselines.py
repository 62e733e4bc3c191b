"""Statistics of few, missing and equal values, held against numpy and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tandem.schemas.rules.baselines import BaselineValues, baseline_of
from tandem.schemas.rules.models import Baseline

NAN = float("nan")


def usual(baseline: dict[str, Any], values: list[float]) -> tuple[float, ...]:
    """(middle, spread, low, high, periods)."""
    made: BaselineValues = baseline_of(Baseline.model_validate(baseline), np.array([values]))
    return tuple(float(each[0]) for each in (made.middle, made.spread, made.low, made.high, made.periods))


@pytest.mark.parametrize(
    ("baseline", "values", "expected"),
    [
        pytest.param({"periods": 5}, [1, 2, 3, 4, 100], (3, 1.4826, 3 - 4.4478, 3 + 4.4478, 5), id="median-and-mad"),
        pytest.param({"periods": 4}, [1, NAN, 3, NAN], (2, 1.4826, 2 - 4.4478, 2 + 4.4478, 2), id="missing-left-out"),
        pytest.param({"periods": 4, "min_periods": 3}, [1, NAN, 3, NAN], (NAN, NAN, NAN, NAN, 2), id="too-few"),
        pytest.param({"periods": 2}, [NAN, NAN], (NAN, NAN, NAN, NAN, 0), id="a-new-key"),
        pytest.param({"periods": 3}, [5, 5, 5], (5, 0, 5, 5, 3), id="no-deviation"),
        pytest.param({"periods": 3, "min_spread": 2, "band": 1}, [5, 5, 5], (5, 2, 3, 7, 3), id="a-floor-for-it"),
        pytest.param({"periods": 3, "statistic": "mean", "band": 1}, [1, 2, 3], (2, 1, 1, 3, 3), id="mean"),
        pytest.param({"periods": 1, "statistic": "mean", "band": 1}, [7], (7, 0, 7, 7, 1), id="mean-of-one"),
        pytest.param({"periods": 5, "statistic": "quantiles", "at": [0.25, 0.75]}, [5, 1, 4, 2, 3], (3, 1, 2, 4, 5),
                     id="quantiles"),
        pytest.param({"statistic": "previous", "band": 1, "min_spread": 1}, [9], (9, 1, 8, 10, 1), id="previous"),
        pytest.param({"statistic": "previous"}, [NAN], (NAN, NAN, NAN, NAN, 0), id="no-previous"),
        pytest.param({"statistic": "absolute", "value": 4, "min_spread": 1, "band": 2}, [NAN], (4, 1, 2, 6, 0),
                     id="absolute"),
    ],
)  # fmt: skip
def test_statistics(baseline: dict[str, Any], values: list[float], expected: tuple[float, ...]) -> None:
    assert usual(baseline, values) == pytest.approx(expected, nan_ok=True)


def test_as_numpy_has_them() -> None:
    random = np.random.default_rng(3)
    values = random.normal(100, 20, (500, 8))
    values[random.random(values.shape) < 0.3] = NAN
    made = baseline_of(Baseline(periods=8, min_periods=1, statistic="quantiles", at=(0.1, 0.8)), values)
    with np.errstate(all="ignore"):
        there = ~np.isnan(values).all(axis=1)
        expected = [np.nanquantile(values[there], q, axis=1) for q in (0.1, 0.5, 0.8)]
        deviation = np.nanstd(values, axis=1, ddof=1)
    for found, wanted in zip((made.low, made.middle, made.high), expected, strict=True):
        np.testing.assert_allclose(found[there], wanted)
    mean = baseline_of(Baseline(periods=8, min_periods=2, statistic="mean"), values)
    several = np.count_nonzero(~np.isnan(values), axis=1) > 1
    np.testing.assert_allclose(mean.spread[several], deviation[several])
