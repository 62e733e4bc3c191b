"""Compares declared calendar windows, cumulative ones and sessions with the naive oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.errors import UserError
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.windows import CalendarWindow, CumulativeWindow, SessionWindow
from tandem.verification.oracle.oracle import Event, Oracle
from tandem.views.answers.all_steps import AnswerRow, all_answers
from tandem.views.answers.cumulative import answer_ever, cumulative
from tandem.views.answers.point import answer
from tandem.views.answers.session_rows import all_sessions
from tandem.views.answers.sessions import sessions
from tandem.views.store import ViewStore

__all__ = ["Compared", "compare_windows"]

Compared = tuple[str, tuple[str, str] | None]
"""(the compared window, (check, difference), or None if it is right)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)


def compare_windows(store: ViewStore, oracle: Oracle, events: Iterable[Event]) -> Iterator[Compared]:
    """Every answer of the definition's calendar, cumulative and session windows over the events that must be served.

    `events`: all that the answers must count; copies among them count once.
    """
    counted = sorted(oracle.counted(events), key=lambda event: (event.key, event.time))
    for name, window in oracle.compiled.definition.windows.items():
        found: Iterable[Compared] = ()
        if isinstance(window, CalendarWindow):
            found = _calendar(store, oracle, window, counted)
        elif isinstance(window, SessionWindow):
            found = _sessions(store, oracle, window.gap, counted)
        elif isinstance(window, CumulativeWindow) and counted:
            found = _cumulative(store, oracle, window, counted)
        try:
            for place, wrong in found:
                yield f"window {name}, {place}", wrong
        except UserError:
            continue  # tiles don't fit the zone at a time of the sample: refused, so there is no answer


def _calendar(store: ViewStore, oracle: Oracle, window: CalendarWindow, events: Sequence[Event]) -> Iterator[Compared]:
    wanted: dict[tuple[str, date], list[Event]] = {}
    for event in events:
        wanted.setdefault((event.key, _period(window.calendar, window.first_day, window.zone, event.time)), []).append(
            event
        )
    found: dict[tuple[str, date], AnswerRow] = {}
    for row in all_answers(store, oracle.compiled, window.periods):
        found[row.key, _period(window.calendar, window.first_day, window.zone, row.start)] = row
    for place in sorted(wanted.keys() | found.keys()):
        yield f"key {place[0]}, from {place[1]}", oracle.wrong_at(_results(found.get(place)), wanted.get(place, []))


def _sessions(store: ViewStore, oracle: Oracle, gap: int, events: Sequence[Event]) -> Iterator[Compared]:
    wanted = {(mine[0].key, mine[0].time, mine[-1].time): mine for mine in _naive_sessions(events, gap)}
    found = {(row.key, row.start, row.end): row for row in all_sessions(store, oracle.compiled, gap)}
    for place in sorted(wanted.keys() | found.keys()):
        yield _session_place(*place), oracle.wrong_at(_results(found.get(place)), wanted.get(place, []))
    for (key, start, end), mine in wanted.items():
        middle = mine[len(mine) // 2].time
        listed = sessions(store, oracle.compiled, key, middle, middle + 1, gap).sessions
        of_it = [{**s.results, "events": s.certificate.events} for s in listed if (s.start, s.end) == (start, end)]
        found_here = of_it[0] if len(of_it) == len(listed) == 1 else None
        yield f"{_session_place(key, start, end)}, read from its middle", oracle.wrong_at(found_here, mine)


def _cumulative(
    store: ViewStore, oracle: Oracle, window: CumulativeWindow, events: Sequence[Event]
) -> Iterator[Compared]:
    compiled, tile = oracle.compiled, oracle.compiled.definition.tile
    end = max(event.tile for event in events) + tile
    for key, group in groupby(events, key=lambda event: event.key):
        mine = [event for event in group if _since(window, event.time, end)]
        yield f"key {key}", oracle.wrong_at(_upto(store, compiled, window, key, end), mine)
        if window.since != "ever" and window.start_at(end - 1) >= end:
            continue
        start = None if window.since == "ever" else window.start_at(end - 1)
        step = max(tile, (end - (start if start is not None else mine[0].tile)) // 7 // tile * tile)
        for point in cumulative(store, compiled, key, start, end, step).points:
            until = [event for event in mine if event.time < point.end]
            yield f"key {key}, step", oracle.wrong_at({**point.results, "events": point.events}, until)


def _upto(
    store: ViewStore, compiled: CompiledDefinition, window: CumulativeWindow, key: str, end: int
) -> Mapping[str, Any] | None:
    start = window.start_at(end - 1)
    if start >= end:
        return {"events": 0}
    asked = (
        answer_ever(store, compiled, key, end) if window.since == "ever" else answer(store, compiled, key, start, end)
    )
    return {**asked.results, "events": asked.certificate.events}


def _naive_sessions(events: Sequence[Event], gap: int) -> list[list[Event]]:
    """Sessions of events that are sorted by key and time."""
    found: list[list[Event]] = []
    for event in events:
        if found and found[-1][-1].key == event.key and event.time - found[-1][-1].time < gap:
            found[-1].append(event)
        else:
            found.append([event])
    return found


def _since(window: CumulativeWindow, at: int, end: int) -> bool:
    if window.since == "ever":
        return True
    if window.periods is None:
        return at >= instant_of(window.since, window.zone)
    now = _period(window.since, window.first_day, window.zone, end - 1)
    return _period(window.since, window.first_day, window.zone, at) >= now


def _period(period: str, first_day: str, zone: str, at: int) -> date:
    """The first date of the period, by the zone's calendar at that time."""
    day = _date(zone, at)
    match period:
        case "day":
            return day
        case "week":
            while day.strftime("%A").lower() != first_day:
                day -= timedelta(days=1)
            return day
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case _:
            return day.replace(month=1, day=1)


def _date(zone: str, at: int) -> date:
    """The latest date that the zone has had by then: clocks may go back over midnight."""
    place, utc = ZoneInfo(zone), _EPOCH + timedelta(microseconds=at)
    local = utc.astimezone(place)
    back = (utc - 3 * _HOUR).astimezone(place)
    if back.utcoffset() == local.utcoffset():
        return local.date()
    return max((utc - timedelta(seconds=seconds)).astimezone(place).date() for seconds in range(0, 3 * 3600, 30))


def _results(row: AnswerRow | None) -> dict[str, Any] | None:
    return None if row is None else {**row.results, "events": row.events}


def _session_place(key: str, start: int, end: int) -> str:
    return f"key {key}, session from {start / 1e6:.6f} s to {end / 1e6:.6f} s"
