"""Sessions read from both views: their bounds, their certificates, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from samples.windowed import Event, View, definition_of

from tandem.schemas.errors import StoreError, UserError
from tandem.schemas.time.durations import HOUR, MINUTE
from tandem.views.answers import sessions as module
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.answers.reading.rows import tile_rows
from tandem.views.answers.session_rows import all_sessions
from tandem.views.answers.sessions import session_at, sessions

KEY = '["ann"]'
Make = Callable[..., View]


@pytest.fixture
def view_of(tmp_path: Path) -> Iterator[Make]:
    made: list[View] = []

    def make(times: Sequence[int], *, boundary: int = 1, watermark: int = 100 * HOUR, **options: Any) -> View:
        generations = options.pop("generations", [1] * len(times))
        events = [Event(at, generation=g) for at, g in zip(times, generations, strict=True)]
        compiled = definition_of(options.pop("tile", MINUTE), options.pop("gap", 10 * MINUTE), **options)
        made.append(View(tmp_path / f"{len(made)}.db", compiled, events, boundary, watermark))
        return made[-1]

    yield make
    for view in made:
        view.store.close()


def spans(view: View, start: int, end: int, gap: int = 10 * MINUTE) -> list[tuple[int, int]]:
    return [(s.start, s.end) for s in sessions(view.store, view.compiled, KEY, start, end, gap).sessions]


@pytest.mark.parametrize(
    ("times", "found"),
    [
        pytest.param([0, 10 * MINUTE - 1], [(0, 10 * MINUTE - 1)], id="less-than-the-gap"),
        pytest.param([0, 10 * MINUTE], [(0, 0), (10 * MINUTE, 10 * MINUTE)], id="the-gap-itself-parts"),
        pytest.param([59_999_999, 60_000_000], [(59_999_999, 60_000_000)], id="across-tiles"),
        pytest.param([7, 7, 7], [(7, 7)], id="at-one-instant"),
    ],
)
def test_which_side_the_gap_itself_is(view_of: Make, times: list[int], found: list[tuple[int, int]]) -> None:
    assert spans(view_of(times), -HOUR, HOUR) == found


def test_a_gap_of_one_tile_is_exact(view_of: Make) -> None:
    times = [0, MINUTE - 1, 2 * MINUTE - 2, 3 * MINUTE - 2, 4 * MINUTE - 1]
    view = view_of(times, gap=MINUTE)
    assert spans(view, 0, HOUR, MINUTE) == [(0, times[2]), (times[3], times[3]), (times[4], times[4])]


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        pytest.param(30 * MINUTE, 31 * MINUTE, [(0, 60 * MINUTE)], id="within"),
        pytest.param(60 * MINUTE, 61 * MINUTE, [(0, 60 * MINUTE)], id="last-event-is-the-start"),
        pytest.param(60 * MINUTE + 1, 61 * MINUTE, [], id="after-the-last-event"),
        pytest.param(-5, 0, [], id="up-to-the-first-event"),
        pytest.param(-5, 1, [(0, 60 * MINUTE)], id="with-the-first-event"),
        pytest.param(27 * MINUTE, 28 * MINUTE, [(0, 60 * MINUTE)], id="between-two-of-its-events"),
        pytest.param(-HOUR, 3 * HOUR, [(0, 60 * MINUTE), (2 * HOUR, 2 * HOUR)], id="all"),
    ],
)
def test_sessions_reach_over_the_bounds(view_of: Make, start: int, end: int, found: list[tuple[int, int]]) -> None:
    view = view_of([*range(0, HOUR + 1, 5 * MINUTE), 2 * HOUR])
    assert spans(view, start, end) == found


def test_long_sessions_take_few_reads(view_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(range(0, 60 * HOUR, 9 * MINUTE))
    reads = []
    read = tile_rows
    monkeypatch.setattr(module, "tile_rows", lambda *a: reads.append(a[3:]) or read(*a))
    (found,) = sessions(view.store, view.compiled, KEY, 30 * HOUR, 30 * HOUR + 1, 10 * MINUTE).sessions
    assert (found.start, found.certificate.events) == (0, len(view.events))
    assert len(reads) < 20
    seen = sorted(reads)
    assert all(before[1] <= after[0] for before, after in pairwise(seen)), "a tile was read twice"


@pytest.mark.parametrize(
    ("at", "found"),
    [
        pytest.param(-1, [], id="before"),
        pytest.param(0, [0], id="first-event"),
        pytest.param(15 * MINUTE - 1, [0], id="less-than-the-gap-after-the-last"),
        pytest.param(15 * MINUTE, [], id="the-gap-after-the-last"),
        pytest.param(40 * MINUTE, [40 * MINUTE], id="the-next"),
    ],
)
def test_the_session_at_an_instant(view_of: Make, at: int, found: list[int]) -> None:
    view = view_of([0, 5 * MINUTE, 40 * MINUTE])
    current = session_at(view.store, view.compiled, KEY, at, 10 * MINUTE)
    assert ([s.start for s in current.sessions], current.start, current.end) == (found, at, at)


def statuses(view: View, start: int = -HOUR, end: int = 3 * HOUR) -> tuple[list[str], str]:
    found = sessions(view.store, view.compiled, KEY, start, end, 10 * MINUTE)
    return [str(s.certificate.status) for s in found.sessions], str(found.certificate.status)


def test_batch_alone_over_closed_sessions_is_final(view_of: Make) -> None:
    view = view_of([0, HOUR])
    assert statuses(view) == (["FINAL", "FINAL"], "FINAL")


@pytest.mark.parametrize(
    ("watermark", "is_open", "status"),
    [
        pytest.param(HOUR + 10 * MINUTE - 1, True, "PROVISIONAL", id="an-event-may-come"),
        pytest.param(HOUR + 10 * MINUTE, False, "PROVISIONAL", id="a-late-one-may-come"),
        pytest.param(HOUR + 25 * MINUTE - 1, False, "PROVISIONAL", id="lateness-not-over"),
        pytest.param(HOUR + 25 * MINUTE, False, "FINAL", id="closed"),
    ],
)
def test_an_open_session_says_so(view_of: Make, watermark: int, is_open: bool, status: str) -> None:
    view = view_of([0, HOUR], watermark=watermark, lateness=15 * MINUTE)
    first, last = sessions(view.store, view.compiled, KEY, 0, HOUR + 1, 10 * MINUTE).sessions
    assert str(first.certificate.status) == "FINAL"
    assert (last.open, str(last.certificate.status), last.closes) == (is_open, status, HOUR + 10 * MINUTE)
    told = [reason for reason in last.certificate.reasons if reason.startswith("the session is open until")]
    assert bool(told) == is_open


def test_a_list_with_an_open_session_says_so(view_of: Make) -> None:
    found = sessions((view := view_of([0, HOUR], watermark=HOUR)).store, view.compiled, KEY, 0, 2 * HOUR, 10 * MINUTE)
    assert "1 of 2 sessions are open" in found.certificate.reasons


@pytest.mark.parametrize(
    ("late", "partial"),
    [
        pytest.param(-11 * MINUTE, [False, False], id="too-long-before"),
        pytest.param(-10 * MINUTE, [True, False], id="may-prolong-the-first"),
        pytest.param(9 * MINUTE, [True, False], id="may-be-in-the-first"),
        pytest.param(30 * MINUTE, [False, False], id="between-them"),
        pytest.param(50 * MINUTE, [False, True], id="may-begin-the-second"),
        pytest.param(70 * MINUTE, [False, False], id="too-long-after"),
    ],
)
def test_late_events_make_those_sessions_partial_that_they_may_change(
    view_of: Make, late: int, partial: list[bool]
) -> None:
    view = view_of([0, HOUR])
    view.segment(1, generation=2, received=1, routed=0, late=((late, 1),))
    found, whole = statuses(view)
    assert [status == "PARTIAL" for status in found] == partial
    assert whole == "PARTIAL"  # one that is missing may be a session of its own


def test_a_late_event_far_from_all_is_of_no_list(view_of: Make) -> None:
    view = view_of([0, HOUR])
    view.segment(1, generation=2, received=1, routed=0, late=((9 * HOUR, 1),))
    assert statuses(view) == (["FINAL", "FINAL"], "FINAL")


def test_events_in_flight_and_live_ones_are_told(view_of: Make) -> None:
    view = view_of([0, 5 * MINUTE, HOUR], generations=[1, 2, 1])
    view.segment(1, generation=3, received=4, routed=4)
    first, last = sessions(view.store, view.compiled, KEY, 0, 2 * HOUR, 10 * MINUTE).sessions
    assert first.certificate.reasons == ("1 of 2 events come from live", "in flight: 4 events")
    assert (first.certificate.live_events, last.certificate.live_events) == (((2, 1),), ())
    assert str(last.certificate.status) == "PROVISIONAL"


def test_nothing_published_is_partial(tmp_path: Path) -> None:
    view = View(tmp_path / "v.db", definition_of(MINUTE, HOUR), [], 0, 0)
    with view.store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM pointers")
        connection.exec_driver_sql("DELETE FROM publications")
    found = sessions(view.store, view.compiled, KEY, 0, HOUR, HOUR)
    assert (found.sessions, found.certificate.reasons) == ((), ("nothing is published yet",))
    view.store.close()


def test_no_session_without_the_declaration(view_of: Make) -> None:
    view = view_of([0])
    plain = type("Plain", (), {"version": view.compiled.version, "definition": view.compiled.definition})()
    plain.measures = view.compiled.measures[:-2]
    for ask in (
        lambda: sessions(view.store, plain, KEY, 0, 1, HOUR),
        lambda: session_at(view.store, plain, KEY, 0, HOUR),
        lambda: all_sessions(view.store, plain, HOUR),
    ):
        with pytest.raises(UserError, match="visits keeps no sessions: declare one in its definition"):
            ask()


@pytest.mark.parametrize(
    ("start", "end", "gap", "message"),
    [
        pytest.param(0, 1, MINUTE - 1, "a gap of 59s999ms999us is shorter than the tile of visits, 1m", id="gap"),
        pytest.param(5, 5, MINUTE, "found start 5 and end 5", id="empty"),
    ],
)
def test_other_questions_are_refused(view_of: Make, start: int, end: int, gap: int, message: str) -> None:
    view = view_of([0])
    with pytest.raises(UserError, match=message):
        sessions(view.store, view.compiled, KEY, start, end, gap)


def test_times_kept_for_sessions_are_no_results(view_of: Make) -> None:
    view = view_of([0, HOUR])
    names = {"n", "amount", "largest", "amounts"}
    assert set(answer(view.store, view.compiled, KEY, 0, HOUR).results) == names
    assert all(set(row.results) == names for row in all_answers(view.store, view.compiled))
    assert all(set(row.results) == names for row in all_sessions(view.store, view.compiled, HOUR))


def test_all_sessions_merge_in_pieces(view_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [0, 3 * MINUTE, 14 * MINUTE, 24 * MINUTE - 1, HOUR, HOUR + 11 * MINUTE]
    view = view_of(times, generations=[1, 2, 1, 1, 2, 1])
    whole = list(all_sessions(view.store, view.compiled, 10 * MINUTE))
    assert [(row.start, row.events, row.batch_events) for row in whole] == [
        (0, 2, 1),
        (14 * MINUTE, 2, 2),
        (HOUR, 1, 0),
        (HOUR + 11 * MINUTE, 1, 1),
    ]
    monkeypatch.setattr("tandem.views.answers.session_rows._MERGE_AT_ONCE", 1)
    assert list(all_sessions(view.store, view.compiled, 10 * MINUTE)) == whole


def test_damaged_states_are_named(view_of: Make) -> None:
    view = view_of([0])
    with view.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE batch_states SET states = x'01'")
    with pytest.raises(StoreError, match=r"batch states .* is damaged: its checksum differs"):
        sessions(view.store, view.compiled, KEY, 0, 1, HOUR)
