"""Sessions, calendar windows and cumulative answers against naive oracles, over random events, zones and boundaries."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.windowed import (
    Event,
    View,
    definition_of,
    expected_periods,
    expected_results,
    expected_sessions,
    local_date,
)

from tandem.schemas.time.calendars import PERIODS, Calendar, Period
from tandem.schemas.time.durations import DAY, HOUR, MINUTE
from tandem.schemas.time.instants import instant_of
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.cumulative import answer_ever, cumulative
from tandem.views.answers.point import answer, series_over
from tandem.views.answers.session_rows import all_sessions
from tandem.views.answers.sessions import session_at, sessions
from tandem.views.windows import edges_of

seeded = settings(max_examples=12, deadline=None, derandomize=True, database=None)


@contextmanager
def view_of(events: list[Event], boundary: int, tile: int, gap: int) -> Iterator[View]:
    with tempfile.TemporaryDirectory() as folder:
        view = View(Path(folder) / "views.db", definition_of(tile, gap), events, boundary, watermark=0)
        yield view
        view.store.close()


def drawn(random: Random, start: int, end: int, most: int, users: str = "ab") -> list[Event]:
    """Events anywhere in a span, many of them close together, on edges, or copies in time."""
    times = [random.randrange(start, end) for _ in range(random.randint(0, most))]
    for at in list(times):
        near = random.choice([0, 1, MINUTE - 1, MINUTE, 5 * MINUTE, 5 * MINUTE - 1, 17 * MINUTE, HOUR])
        times += [at + near] * random.randint(0, 2)
    times += [at // MINUTE * MINUTE + random.choice([0, -1]) for at in times[::3]]
    return [Event(at, random.randint(-3, 9), random.choice(users), random.randint(1, 4)) for at in times]


@seeded
@given(seed=st.integers(0, 2**32))
def test_sessions_equal_the_oracle(seed: int) -> None:
    random = Random(seed)
    tile = random.choice([MINUTE, 5 * MINUTE])
    gap = tile + random.choice([0, 0, 1, 30_000_000, 12 * MINUTE])
    span = random.choice([3, 30]) * HOUR
    events = drawn(random, -span, span, 30)
    boundary = random.randint(0, 4)
    with view_of(events, boundary, tile, gap) as view:
        everything = []
        for user in "ab":
            wanted = expected_sessions([event for event in events if event.user == user], gap)
            everything += [(f'["{user}"]', s[0].at, s[-1].at, expected_results(s)) for s in wanted]
            for _ in range(10):
                start = random.randrange(-span, span)
                end = start + random.choice([1, gap, HOUR, random.randrange(1, 2 * span)])
                found = sessions(view.store, view.compiled, f'["{user}"]', start, end, gap).sessions
                overlapping = [s for s in wanted if s[0].at < end and s[-1].at >= start]
                assert [(s.start, s.end, s.results) for s in found] == [
                    (s[0].at, s[-1].at, expected_results(s)) for s in overlapping
                ]
                assert [s.certificate.batch_events for s in found] == [
                    sum(event.generation <= boundary for event in s) for s in overlapping
                ]
                current = session_at(view.store, view.compiled, f'["{user}"]', start, gap).sessions
                assert [s.start for s in current] == [s[0].at for s in wanted if s[0].at <= start < s[-1].at + gap]
        rows = [(row.key, row.start, row.end, row.results) for row in all_sessions(view.store, view.compiled, gap)]
        assert rows == everything


ZONES = [
    pytest.param("Europe/Berlin", HOUR, "2026-03-29", id="berlin-spring"),
    pytest.param("Europe/Berlin", HOUR, "2026-10-25", id="berlin-autumn"),
    pytest.param("America/New_York", HOUR, "2026-03-08", id="new-york-spring"),
    pytest.param("America/New_York", 15 * MINUTE, "2026-11-01", id="new-york-autumn"),
    pytest.param("America/Sao_Paulo", HOUR, "2018-11-04", id="midnight-is-skipped"),
    pytest.param("America/Sao_Paulo", HOUR, "2019-02-17", id="midnight-comes-again"),
    pytest.param("Asia/Kolkata", 30 * MINUTE, "2026-01-01", id="half-an-hour"),
    pytest.param("Asia/Kathmandu", 15 * MINUTE, "2026-01-01", id="a-quarter"),
    pytest.param("Australia/Lord_Howe", 30 * MINUTE, "2026-04-05", id="half-an-hour-of-summer"),
    pytest.param("Pacific/Apia", HOUR, "2011-12-31", id="a-day-is-left-out"),
    pytest.param("Africa/Casablanca", HOUR, "2026-02-15", id="summer-time-is-taken-back-for-ramadan"),
    pytest.param("UTC", DAY, "2024-02-29", id="utc"),
]


@pytest.mark.parametrize(("zone", "tile", "near"), ZONES)
def test_calendar_windows_equal_the_oracle(zone: str, tile: int, near: str) -> None:
    for seed in range(2):
        random = Random(f"{zone} {near} {seed}")
        middle = instant_of(near, zone)
        width = random.choice([2, 10, 200]) * DAY
        events = drawn(random, middle - width, middle + width, 40)
        with view_of(events, random.randint(0, 4), tile, DAY) as view:
            for period in PERIODS:
                calendar, wanted = Calendar(Period(period), zone), expected_periods(events, period, zone)
                rows = list(all_answers(view.store, view.compiled, calendar))
                found = {(row.key, _first_date(row.start, period, zone)): row.results for row in rows}
                assert found == {place: expected_results(mine) for place, mine in wanted.items()}
                assert len(found) == len(rows)
                for row in rows[:4]:
                    assert answer(view.store, view.compiled, row.key, row.start, row.end).results == row.results


def _first_date(start: int, period: str, zone: str) -> object:
    return expected_periods([Event(start)], period, zone).popitem()[0][1]


@pytest.mark.parametrize(("zone", "tile", "near"), ZONES)
@pytest.mark.parametrize("period", PERIODS)
def test_periods_follow_each_other_and_hold_what_they_say(zone: str, tile: int, near: str, period: str) -> None:
    middle, calendar = instant_of(near, zone), Calendar(Period(period), zone)
    spans = list(calendar.spans(middle - 5 * DAY, middle + 5 * DAY))
    assert spans[0][0] <= middle - 5 * DAY
    assert spans[-1][1] >= middle + 5 * DAY
    for (_, end), (start, _) in pairwise(spans):
        assert end == start
    for start, end in spans:
        assert start < end
        assert calendar.span_at(start) == calendar.span_at(end - 1) == (start, end)
        assert local_date(start - 1, zone) != local_date(start, zone)
        calendar.check_tiles(tile, start, end)


@seeded
@given(seed=st.integers(0, 2**32))
def test_cumulative_answers_equal_the_oracle(seed: int) -> None:
    random = Random(seed)
    zone = random.choice(["UTC", "Europe/Berlin", "America/New_York"])
    middle = instant_of(random.choice(["2026-03-29", "2026-10-25"]), zone)
    events = drawn(random, middle - 20 * DAY, middle + 20 * DAY, 60)
    end = middle + random.randrange(-200, 400) * HOUR
    start = random.choice([None, end - random.randint(1, 900) * HOUR])
    step: Any = random.choice([5 * HOUR, DAY, 7 * DAY, Calendar(Period.DAY, zone), Calendar(Period.WEEK, zone)])
    with view_of(events, random.randint(0, 4), HOUR, DAY) as view:
        mine = [event for event in events if event.user == "a" and event.at < end]
        mine = [event for event in mine if start is None or event.at >= start]
        found = cumulative(view.store, view.compiled, '["a"]', start, end, step)
        for point in found.points:
            assert point.start == found.start
            assert point.results == expected_results([event for event in mine if event.at < point.end])
        assert [point.end for point in found.points] == edges_of(found.start, end, step)[1:]
        assert found.points[-1].events == found.certificate.events == len(mine)
        if start is None:
            whole = answer_ever(view.store, view.compiled, '["a"]', end)
            assert found.start <= whole.start
        else:
            whole = answer(view.store, view.compiled, '["a"]', start, end)
        assert whole.results == found.points[-1].results
        assert whole.certificate.batch_events == found.certificate.batch_events


def test_a_series_by_calendar_is_the_answers_of_its_periods() -> None:
    start, end = instant_of("2026-03-01", "Europe/Berlin"), instant_of("2026-04-01", "Europe/Berlin")
    events = drawn(Random(5), start - DAY, end + DAY, 60)
    with view_of(events, 2, HOUR, DAY) as view:
        edges = edges_of(start, end, Calendar(Period.DAY, "Europe/Berlin"))
        found = series_over(view.store, view.compiled, '["a"]', edges)
        assert sorted({(point.end - point.start) // HOUR for point in found.points}) == [23, 24]
        for point in found.points:
            mine = [e for e in events if e.user == "a" and point.start <= e.at < point.end]
            assert point.results == expected_results(mine)
