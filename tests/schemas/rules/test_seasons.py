"""Which windows are alike: over changes of clocks, weekends and holidays; all end before the judged one starts."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.schemas.rules.models import Baseline
from tandem.schemas.rules.seasons import NONE, look_back, reference_starts
from tandem.schemas.time.durations import DAY
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.windows import CalendarWindow, Window

HOURLY = Window.model_validate("1h")


def references(baseline: dict[str, Any], at: str, window: Window | CalendarWindow = HOURLY) -> list[str | None]:
    """The starts in the baseline's zone."""
    made = Baseline.model_validate(baseline)
    start = instant_of(at, made.zone)
    length = window.size if isinstance(window, Window) else window.periods.span_at(start)[1] - start
    found = reference_starts(made, window, [(start, start + length)])[0].tolist()
    assert all(each == NONE or start - look_back(made, window) <= each < start for each in found)
    return [None if each == NONE else _text(each) for each in found]


def _text(at: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at / 1e6, UTC).strftime("%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("baseline", "at", "expected"),
    [
        pytest.param({"season": "hour_of_day", "periods": 2}, "2026-03-10T09:00", ["03-09T09:00", "03-08T09:00"],
                     id="hour-of-day"),
        pytest.param({"season": "hour_of_week", "periods": 2}, "2026-03-10T09:00", ["03-03T09:00", "02-24T09:00"],
                     id="hour-of-week"),
        pytest.param({"season": "hour_of_week", "periods": 2, "zone": "Europe/Berlin"}, "2026-04-01T09:00",
                     ["03-25T08:00", "03-18T08:00"], id="by-the-clock-of-the-zone"),
        pytest.param({"season": "hour_of_day", "periods": 2, "zone": "Europe/Berlin"}, "2026-03-30T02:00",
                     [None, "03-28T01:00"], id="a-time-that-is-skipped-is-missing"),
        pytest.param({"season": "hour_of_day", "periods": 2, "zone": "Europe/Berlin"}, "2026-10-26T02:00",
                     ["10-25T00:00", "10-24T00:00"], id="of-a-time-that-is-there-twice-the-first"),
        pytest.param({"season": "hour_of_day", "periods": 1, "zone": "Europe/Berlin"}, "2026-10-25T02:00+01:00",
                     ["10-24T00:00"], id="the-second-of-two-has-the-same-before-it"),
        pytest.param({"season": "day_type", "periods": 3}, "2026-03-09T09:00",
                     ["03-06T09:00", "03-05T09:00", "03-04T09:00"], id="workdays-skip-the-weekend"),
        pytest.param({"season": "day_type", "periods": 2}, "2026-03-07T09:00", ["02-28T09:00", "02-21T09:00"],
                     id="saturdays"),
        pytest.param({"season": "day_type", "periods": 2, "holidays": ["2026-03-05"]}, "2026-03-06T09:00",
                     ["03-04T09:00", "03-03T09:00"], id="holidays-are-no-workdays"),
        pytest.param({"season": "day_type", "periods": 2, "holidays": ["2026-03-05"]}, "2026-03-08T09:00",
                     ["03-05T09:00", "03-01T09:00"], id="holidays-are-like-sundays"),
        pytest.param({"season": "none", "periods": 3}, "2026-03-10T01:00",
                     ["03-10T00:00", "03-09T23:00", "03-09T22:00"], id="right-before"),
        pytest.param({"statistic": "previous"}, "2026-03-10T09:00", ["03-03T09:00"], id="the-previous-period"),
        pytest.param({"statistic": "absolute", "value": 3, "periods": 2}, "2026-03-10T09:00", [None, None],
                     id="absolute-has-none"),
    ],
)  # fmt: skip
def test_references(baseline: dict[str, Any], at: str, expected: list[str | None]) -> None:
    assert references(baseline, at) == expected


def test_windows_that_overlap_the_judged_one_arent_compared() -> None:
    sliding = Window.model_validate({"size": "36h", "every": "1h"})
    assert references({"season": "hour_of_day", "periods": 3}, "2026-03-10T09:00", sliding) == [
        None, "03-08T09:00", "03-07T09:00",
    ]  # fmt: skip
    assert references({"season": "none", "periods": 2}, "2026-03-10T09:00", sliding) == ["03-08T21:00", "03-08T20:00"]


def test_days_of_a_calendar() -> None:
    days = CalendarWindow(calendar="day", zone="Europe/Berlin")
    berlin = {"zone": "Europe/Berlin", "periods": 2}
    assert references({"season": "hour_of_week", **berlin}, "2026-04-01", days) == ["03-24T23:00", "03-17T23:00"]
    assert references({"season": "none", **berlin}, "2026-03-30", days) == ["03-28T23:00", "03-27T23:00"]


def test_quarters_of_an_hour() -> None:
    assert references({"season": "hour_of_day", "periods": 1}, "2026-03-10T09:45", Window.model_validate("15m")) == [
        "03-09T09:45"
    ]
    assert look_back(Baseline(season="hour_of_day", periods=1), HOURLY) < 4 * DAY
