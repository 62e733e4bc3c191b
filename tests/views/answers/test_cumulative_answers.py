"""Cumulative answers: statuses of each step, bounds, and that each tile is merged once; and lists of windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from samples.windowed import Event, View, definition_of

from tandem.schemas.errors import UserError
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.time.calendars import Calendar, Period
from tandem.schemas.time.durations import DAY, HOUR, MINUTE
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.windows import CalendarWindow, CumulativeWindow, SessionWindow, Window
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.cumulative import answer_ever, cumulative
from tandem.views.answers.point import series_over
from tandem.views.windows import edges_of, windows_of

KEY = '["ann"]'


@pytest.fixture
def view(tmp_path: Path) -> Any:
    """An event an hour for ten hours; those of hours 5 to 9 are live."""
    events = [Event(hour * HOUR, amount=hour, generation=1 + hour // 5) for hour in range(10)]
    made = View(tmp_path / "v.db", definition_of(HOUR, HOUR), events, 1, watermark=8 * HOUR)
    yield made
    made.store.close()


def test_each_step_has_the_status_of_all_before_its_end(view: View) -> None:
    view.segment(1, generation=3, received=1, routed=0, late=((7 * HOUR, 1),))
    points = cumulative(view.store, view.compiled, KEY, 0, 10 * HOUR, 2 * HOUR).points
    assert [(p.end // HOUR, p.events, p.results["amount"], str(p.status)) for p in points] == [
        (2, 2, 1, "FINAL"),
        (4, 4, 6, "FINAL"),
        (6, 6, 15, "PROVISIONAL"),
        (8, 8, 28, "PARTIAL"),
        (10, 10, 45, "PARTIAL"),
    ]


def test_the_certificate_is_of_all_of_it(view: View) -> None:
    certificate = cumulative(view.store, view.compiled, KEY, 0, 10 * HOUR, 3 * HOUR).certificate
    assert (certificate.events, certificate.batch_events, certificate.live_events) == (10, 5, ((2, 5),))
    assert any(reason.startswith("events are taken in until") for reason in certificate.reasons)


def test_late_events_from_before_the_first_count_since_ever(view: View) -> None:
    view.segment(1, generation=3, received=1, routed=0, late=((-500 * DAY, 3),))
    assert answer_ever(view.store, view.compiled, KEY, 10 * HOUR).certificate.pending_late == 3
    found = cumulative(view.store, view.compiled, KEY, None, 10 * HOUR, DAY)
    assert (found.certificate.pending_late, [str(p.status) for p in found.points]) == (3, ["PARTIAL"])
    since = cumulative(view.store, view.compiled, KEY, 0, 10 * HOUR, DAY)
    assert since.certificate.pending_late == 0


def test_a_key_without_events_since_ever(view: View) -> None:
    found = answer_ever(view.store, view.compiled, '["nobody"]', 10 * HOUR)
    assert (found.start, found.end, found.results["n"]) == (9 * HOUR, 10 * HOUR, 0)
    steps = cumulative(view.store, view.compiled, '["nobody"]', None, 10 * HOUR, 4 * HOUR)
    assert [(p.start // HOUR, p.end // HOUR, p.events) for p in steps.points] == [(8, 10, 0)]


def test_rows_are_merged_once_however_many_steps(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    merged = []
    merge = Count.merge
    monkeypatch.setattr(Count, "merge", lambda *a: merged.append(len(a[1])) or merge(*a))
    counts = {}
    for hours in (400, 800):
        merged.clear()
        cumulative(view.store, view.compiled, KEY, 0, hours * HOUR, HOUR)
        counts[hours] = sum(merged)
    assert counts[800] < 2.5 * counts[400]  # quadratic would be 4


@pytest.mark.parametrize(
    ("start", "end", "step", "message"),
    [
        pytest.param(0, 10 * HOUR, 90 * MINUTE, "isn't a multiple of the tile", id="step-within-a-tile"),
        pytest.param(1, 10 * HOUR, HOUR, "start 1 isn't a multiple", id="start-within-a-tile"),
        pytest.param(0, HOUR + 1, HOUR, "end 3600000001 isn't a multiple", id="end-within-a-tile"),
        pytest.param(HOUR, HOUR, HOUR, "found start 3600000000 and end 3600000000", id="empty"),
        pytest.param(0, HOUR, 0, "longer than nothing", id="no-step"),
        pytest.param(0, 100_001 * HOUR, HOUR, "100,001 steps; at most 100,000 a series", id="too-many"),
        pytest.param(0, 10 * HOUR, Calendar(Period.DAY, "Asia/Kolkata"), "[+]05:30", id="zone"),
    ],
)
def test_other_questions_are_refused(view: View, start: int, end: int, step: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cumulative(view.store, view.compiled, KEY, start, end, step)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        pytest.param([0], "found 1 edges", id="one"),
        pytest.param([0, HOUR + 1], "step at 3600000001 isn't a multiple", id="within-a-tile"),
        pytest.param([0, HOUR, HOUR], "found start 3600000000 and end 3600000000", id="twice"),
    ],
)
def test_edges_that_are_refused(view: View, edges: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        series_over(view.store, view.compiled, KEY, edges)


def test_all_answers_of_a_calendar_that_cuts_tiles_are_refused_before_the_first(view: View) -> None:
    with pytest.raises(UserError, match="tiles of 1h don't divide the offset"):
        next(all_answers(view.store, view.compiled, Calendar(Period.MONTH, "Asia/Kathmandu")))


DAY_OF_CHANGE = instant_of("2026-03-29", "Europe/Berlin")


@pytest.mark.parametrize(
    ("window", "start", "end", "found"),
    [
        pytest.param(Window.model_validate("4h"), 5, 13, [(4, 8), (8, 12), (12, 16)], id="fixed"),
        pytest.param(Window.model_validate("4h"), 4, 8, [(4, 8)], id="fixed-on-edges"),
        pytest.param(Window.model_validate({"size": "4h", "every": "2h"}), 6, 8, [(4, 8), (6, 10)], id="sliding"),
        pytest.param(
            Window.model_validate({"size": "3h", "every": "1h"}), 0, 1, [(-2, 1), (-1, 2), (0, 3)], id="sliding-by-one"
        ),
        pytest.param(CumulativeWindow(since="ever"), 0, 0, [], id="empty-span"),
    ],
)
def test_windows_that_overlap_a_span(window: Any, start: int, end: int, found: list[tuple[int, int]]) -> None:
    listed = [(a // HOUR, b // HOUR) for a, b in windows_of(window, start * HOUR, end * HOUR)]
    assert listed == found


def test_windows_of_a_calendar_and_since_a_period() -> None:
    spans = list(windows_of(CalendarWindow(calendar="day", zone="Europe/Berlin"), DAY_OF_CHANGE, DAY_OF_CHANGE + DAY))
    assert [(end - start) // HOUR for start, end in spans] == [23, 24]
    since = CumulativeWindow(since="month", zone="Europe/Berlin")
    assert list(windows_of(since, DAY_OF_CHANGE, DAY_OF_CHANGE + HOUR)) == [
        (instant_of("2026-03-01", "Europe/Berlin"), DAY_OF_CHANGE + HOUR)
    ]
    with pytest.raises(UserError, match="sessions have their bounds from events"):
        list(windows_of(SessionWindow.model_validate({"session": "1h"}), 0, DAY))


def test_edges_of_calendars_are_cut_by_the_span() -> None:
    calendar = Calendar(Period.DAY, "Europe/Berlin")
    edges = edges_of(DAY_OF_CHANGE - HOUR, DAY_OF_CHANGE + DAY, calendar)
    assert [(edge - DAY_OF_CHANGE) // HOUR for edge in edges] == [-1, 0, 23, 24]
    assert edges_of(0, 10, 4) == [0, 4, 8, 10]
