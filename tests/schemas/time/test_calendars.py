"""Periods of the calendar in time zones: clocks that change, skip midnight, or leave a day out."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from tandem.schemas.certificate import time_text
from tandem.schemas.errors import UserError
from tandem.schemas.time.calendars import Calendar, Period
from tandem.schemas.time.durations import DAY, HOUR, MINUTE, SECOND
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.sessions import session_groups
from tandem.schemas.time.zones import first_instant, load_zone, offset_text, offsets


@pytest.mark.parametrize(
    ("period", "zone", "at", "start", "end"),
    [
        pytest.param("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00", id="23-hours"),
        pytest.param("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00", id="25-hours"),
        pytest.param(
            "day", "Australia/Lord_Howe", "2026-04-05T00:00", "2026-04-04T13:00", "2026-04-05T13:30", id="24h30"
        ),
        pytest.param("day", "Asia/Kolkata", "2026-01-01T00:00", "2025-12-31T18:30", "2026-01-01T18:30", id="half-hour"),
        pytest.param(
            "day", "America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T03:00", "2018-11-05T02:00", id="skipped"
        ),
        pytest.param(
            "day", "America/Sao_Paulo", "2019-02-17T01:30", "2019-02-16T02:00", "2019-02-17T03:00", id="again"
        ),
        # 2006-10-29, 00:01 becomes 23:01 of the day before: the day starts at the first of its two midnights
        pytest.param("day", "America/St_Johns", "2006-10-29T03:00", "2006-10-29T02:30", "2006-10-30T03:30", id="over"),
        pytest.param("day", "Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00", id="before-it"),
        pytest.param("day", "Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00", "2011-12-31T10:00", id="left-out"),
        pytest.param("week", "UTC", "2026-03-29T12:00", "2026-03-23T00:00", "2026-03-30T00:00", id="week"),
        pytest.param("month", "UTC", "2024-02-29T12:00", "2024-02-01T00:00", "2024-03-01T00:00", id="leap-year"),
        pytest.param("month", "Europe/Berlin", "2026-03-31T22:00", "2026-03-31T22:00", "2026-04-30T22:00", id="april"),
        pytest.param(
            "quarter", "America/New_York", "2026-03-31T23:00", "2026-01-01T05:00", "2026-04-01T04:00", id="first"
        ),
        pytest.param("quarter", "UTC", "2026-12-31T23:59", "2026-10-01T00:00", "2027-01-01T00:00", id="last-quarter"),
        pytest.param("year", "Asia/Tokyo", "2025-12-31T15:00", "2025-12-31T15:00", "2026-12-31T15:00", id="year"),
        pytest.param(
            "day", "Europe/Berlin", "1850-06-01T12:00", "1850-05-31T23:06:32", "1850-06-01T23:06:32", id="seconds"
        ),
    ],
)
def test_the_period_that_holds_an_instant(period: str, zone: str, at: str, start: str, end: str) -> None:
    assert Calendar(Period(period), zone).span_at(instant_of(at)) == (instant_of(start), instant_of(end))


def test_weeks_may_start_on_any_day() -> None:
    at, starts = instant_of("2026-03-25T12:00"), {}
    for day in ("monday", "wednesday", "thursday", "sunday"):
        starts[day] = Calendar(Period.WEEK, "UTC", day).span_at(at)[0]
    dates = {"monday": "2026-03-23", "wednesday": "2026-03-25", "thursday": "2026-03-19", "sunday": "2026-03-22"}
    assert starts == {day: instant_of(text) for day, text in dates.items()}


@pytest.mark.parametrize(
    ("zone", "tile", "start", "end", "message"),
    [
        pytest.param(
            "Asia/Kolkata",
            HOUR,
            "2026-01-01",
            "2026-01-02",
            "tiles of 1h .* [+]05:30 that Asia/Kolkata .* 30m",
            id="half",
        ),
        pytest.param(
            "Asia/Kathmandu", HOUR, "2026-01-01", "2026-01-02", "[+]05:45 .* tiles of 15m would", id="quarter"
        ),
        pytest.param("Europe/Berlin", DAY, "2026-01-01", "2026-01-02", "tiles of 1d .* tiles of 1h would", id="day"),
        pytest.param("Europe/Berlin", MINUTE, "1850-01-01", "1850-01-02", "[+]00:53:28 .* 1850-01-01", id="seconds"),
        # of the year's ends +11:00 holds, between them +10:30
        pytest.param(
            "Australia/Lord_Howe", HOUR, "2026-01-01", "2027-01-01", "[+]10:30 .* 2026-04-05", id="in-between"
        ),
        pytest.param("America/Caracas", HOUR, "2010-01-01", "2010-01-02", "-04:30", id="west"),
    ],
)
def test_tiles_that_cut_a_zones_days_are_refused(zone: str, tile: int, start: str, end: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Calendar(Period.DAY, zone).check_tiles(tile, instant_of(start, zone), instant_of(end, zone))


@pytest.mark.parametrize(
    ("zone", "period", "at", "start", "end"),
    [
        pytest.param(
            "Europe/Berlin", "month", "0001-01-01", "0000-12-31T23:06:32Z", "0001-01-31T23:06:32Z", id="zero-time"
        ),
        pytest.param(
            "America/New_York", "day", "0001-01-01", "0000-12-31T04:56:02Z", "0001-01-01T04:56:02Z", id="west"
        ),
        pytest.param("UTC", "week", "0001-01-01", "0001-01-01T00:00:00Z", "0001-01-08T00:00:00Z", id="a-monday"),
        pytest.param("UTC", "year", "9999-12-31", "9999-01-01T00:00:00Z", "+010000-01-01T00:00:00Z", id="last-year"),
        pytest.param(
            "Asia/Tokyo", "day", "9999-12-31T23:59", "9999-12-31T15:00:00Z", "+010000-01-01T15:00:00Z", id="last"
        ),
    ],
)
def test_periods_that_reach_out_of_the_years_1_to_9999(zone: str, period: str, at: str, start: str, end: str) -> None:
    found = Calendar(Period(period), zone).span_about(instant_of(at))
    assert tuple(map(time_text, found)) == (start, end)


@pytest.mark.parametrize(
    ("zone", "tile", "start", "end"),
    [
        pytest.param("Asia/Kolkata", 30 * MINUTE, "2026-01-01", "2027-01-01", id="half-hours"),
        pytest.param("Europe/Berlin", 8 * SECOND, "1850-01-01", "1851-01-01", id="seconds"),
        pytest.param("America/Caracas", HOUR, "2020-01-01", "2021-01-01", id="offsets-of-other-years"),
        pytest.param("Europe/Berlin", HOUR, "2026-01-01", "2027-01-01", id="summer-time"),
    ],
)
def test_tiles_that_fit(zone: str, tile: int, start: str, end: str) -> None:
    Calendar(Period.DAY, zone).check_tiles(tile, instant_of(start, zone), instant_of(end, zone))


@pytest.mark.parametrize("period", list(Period))
@pytest.mark.parametrize("at", ["9999-12-31T12:00", "0001-01-01T01:00"])
def test_beyond_the_calendar(period: Period, at: str) -> None:
    with pytest.raises(UserError, match="years 1 to 9999"):
        Calendar(period, "Pacific/Honolulu" if at.startswith("0001") else "UTC").span_at(instant_of(at))


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        pytest.param("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00Z", id="skipped"),
        pytest.param("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30Z", id="twice"),
        pytest.param("Pacific/Apia", "2011-12-30T15:00", "2011-12-30T10:00Z", id="a-day-left-out"),
        pytest.param("UTC", "2026-03-29T02:30", "2026-03-29T02:30Z", id="utc"),
    ],
)
def test_first_instants_of_local_times(zone: str, local: str, instant: str) -> None:
    assert first_instant(load_zone(zone), datetime.fromisoformat(local)) == instant_of(instant)


def test_offsets_of_a_year() -> None:
    start, end = instant_of("2026-01-01", "Europe/Berlin"), instant_of("2027-01-01", "Europe/Berlin")
    assert set(offsets(load_zone("Europe/Berlin"), start, end)) == {HOUR, 2 * HOUR}
    assert [offset_text(offset) for offset in (HOUR, -90 * MINUTE, 3208 * SECOND)] == ["+01:00", "-01:30", "+00:53:28"]


@pytest.mark.parametrize("name", ["localtime", "right/Europe/Berlin", "posixrules", "", "a\0b", "Europe", "x" * 300])
def test_names_that_are_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone"):
        load_zone(name)


@pytest.mark.parametrize(
    ("spans", "gap", "groups"),
    [
        pytest.param([], 10, [], id="none"),
        pytest.param([(0, 0), (9, 9)], 10, [0, 0], id="less-than-the-gap"),
        pytest.param([(0, 0), (10, 10)], 10, [0, 1], id="the-gap-itself-parts"),
        pytest.param([(20, 21), (0, 5), (12, 13)], 8, [0, 0, 0], id="any-order"),
        pytest.param([(20, 21), (0, 4), (12, 13)], 8, [1, 0, 1], id="any-order-two"),
        pytest.param([(0, 50), (3, 4), (55, 60)], 10, [0, 0, 0], id="one-within-another"),
        pytest.param([(-30, -25), (-15, -1), (9, 9)], 10, [0, 1, 2], id="before-1970"),
    ],
)
def test_sessions_of_rows(spans: list[tuple[int, int]], gap: int, groups: list[int]) -> None:
    first, last = (np.array([span[end] for span in spans], np.int64) for end in (0, 1))
    assert session_groups(first, last, gap).tolist() == groups
