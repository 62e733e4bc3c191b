"""Windows of the calendar, cumulative ones and sessions behind the prover: right as they are, found when broken."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest
from samples.windowed import TEXT

from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.time.calendars import Calendar
from tandem.schemas.time.durations import HOUR, MINUTE
from tandem.schemas.time.instants import instant_of
from tandem.verification.mismatch import Mismatch
from tandem.verification.oracle.oracle import Oracle
from tandem.verification.running import run_schedule
from tandem.verification.world.schedules import draw_schedule

WINDOWS = (
    ", day: {calendar: day, zone: Europe/Berlin}, week: {calendar: week, first_day: sunday}, "
    "total: {since: ever}, today: {since: day, zone: Europe/Berlin}, march: {since: 2026-03-29, zone: Europe/Berlin}"
)
YAML = TEXT.format(tile="15m", gap="20m", lateness="1h", more=WINDOWS)
DEFINITION = loads(YAML)


def payloads(random: Random) -> list[bytes]:
    """Visits around the change of clocks."""
    middle = instant_of("2026-03-29", "Europe/Berlin")
    times = [middle + random.randrange(-30 * HOUR, 30 * HOUR) for _ in range(12)]
    times += [at + random.choice([1, 19, 20, 21]) * MINUTE for at in times for _ in range(2)]
    return [
        json.dumps({"id": str(index), "at": at, "user": random.choice("ab"), "amount": random.randint(-5, 5)}).encode()
        for index, at in enumerate(times)
    ]


def proved(seeds: range) -> int:
    compared = 0
    for seed in seeds:
        random = Random(seed)
        sample, oracle = payloads(random), Oracle(compile_definition(DEFINITION))
        schedule = draw_schedule(DEFINITION, [oracle.event(payload) for payload in sample], random)
        compared += run_schedule(DEFINITION, YAML, sample, schedule, oracle).answers
    return compared


def test_declared_windows_are_right_however_events_come() -> None:
    assert proved(range(2)) > 200


_SPAN_AT = Calendar.span_at


def _in_utc(calendar: Calendar, at: int) -> tuple[int, int]:
    return _SPAN_AT(Calendar(calendar.period, "UTC", calendar.first_day), at)


def _by_first_events(first: np.ndarray, last: np.ndarray, gap: int) -> np.ndarray:
    order = np.argsort(first, kind="stable")
    begins = np.diff(first[order], prepend=first[order][:1]) > gap
    groups = np.empty(len(order), np.int64)
    groups[order] = np.cumsum(begins)
    return groups


@pytest.mark.parametrize(
    ("place", "broken", "window"),
    [
        pytest.param(
            "tandem.views.answers.session_rows.session_groups", _by_first_events, "window visit", id="by-first-events"
        ),
        pytest.param(
            "tandem.views.answers.cumulative._prefixes", lambda _, states: states, "window (total|today)", id="no-sums"
        ),
        pytest.param("tandem.schemas.time.calendars.Calendar.span_at", _in_utc, "window (day|today)", id="days-in-utc"),
    ],
)
def test_what_is_broken_is_found(monkeypatch: pytest.MonkeyPatch, place: str, broken: object, window: str) -> None:
    monkeypatch.setattr(place, broken)
    with pytest.raises(Mismatch, match=window):
        proved(range(6))
