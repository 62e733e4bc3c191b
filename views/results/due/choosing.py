"""Chooses the windows and keys of a result that may be sent now: by their triggers, and by time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.definition.models import Definition
from tandem.schemas.result_windows.models import Result
from tandem.views.results.clocks import BEGINNING, Clocks, Timing
from tandem.views.results.due.expanding import LATER
from tandem.views.results.revisions.answering import Last
from tandem.views.results.tables import result_revisions, result_waiting
from tandem.views.storage.driver_rows import whole_rows

__all__ = ["Choice", "Cursor", "choose", "last_of", "lasts_at"]

_WINDOWS: Final = 64
_REVISIONS: Final = 2_000
_IN_ONE: Final = 200
_MOST_BY_KEY: Final = 400
"""Most keys of a window whose revisions are looked up one by one."""

_BEFORE_FINAL: Final = tuple(timing for timing in Timing if timing < Timing.FINAL)
"""Queried one by one, so that the index finds those that close in time."""

Place = tuple[int, int]


@dataclass
class Cursor:
    """The position in the revisions whose time may have come: (closes, start, key)."""

    over: tuple[int, int, str] | None = (BEGINNING, 0, "")
    settled: tuple[int, int, str] | None = (BEGINNING, 0, "")
    """None: all were examined."""


@dataclass
class Choice:
    """The windows and keys to read and compare."""

    asked: dict[Place, set[str] | None] = field(default_factory=dict)
    waiting: list[tuple[Any, ...]] = field(default_factory=list)
    """Whole rows that this pass clears."""
    more: bool = False

    def add(self, place: Place, key: str) -> None:
        self.add_keys(place, {key})

    def add_keys(self, place: Place, keys: set[str] | None) -> None:
        """Add keys of a window; None: all keys."""
        known = self.asked.setdefault(place, set())
        if keys is None or known is None:
            self.asked[place] = None
        else:
            known |= keys


def choose(
    connection: sa.Connection,
    definition: Definition,
    name: str,
    clocks: Clocks,
    now: int,
    cursor: Cursor,
    late_tiles: Sequence[int],
) -> Choice:
    """Choose some windows of a result that may be sent. `late_tiles`: with late events that batch lacks, sorted."""
    choice = Choice()
    _from_waiting(connection, definition, name, clocks, now, choice)
    result = definition.results[name]
    r = result_revisions.c
    if cursor.over is not None:
        rows = _page(connection, definition.name, name, r.timing == Timing.EARLY, clocks.over, cursor.over)
        cursor.over = _take(rows, choice, definition, result)
    elif cursor.settled is not None:
        rows = _page(connection, definition.name, name, r.timing.in_(_BEFORE_FINAL), clocks.settled, cursor.settled)
        cursor.settled = _take(rows, choice, definition, result, late_tiles)
    choice.more = choice.more or cursor.over is not None or cursor.settled is not None
    return choice


def _from_waiting(
    connection: sa.Connection, definition: Definition, name: str, clocks: Clocks, now: int, choice: Choice
) -> None:
    trigger, w = definition.results[name].trigger, result_waiting.c
    early_cut = now - trigger.early if trigger.early is not None else BEGINNING
    late_cut = {"each": LATER, "never": BEGINNING}.get(str(trigger.late))
    late_cut = now - int(trigger.late) if late_cut is None else late_cut
    over = (w.end <= clocks.over) & ((w.end > clocks.on_time_to) | (w.since <= late_cut))
    passes = (w.end <= clocks.settled) | over | ((w.end > clocks.over) & (w.since <= early_cut))
    mine = (w.name == definition.name) & (w.result == name)
    query = sa.select(w.start, w.end).where(mine, passes).group_by(w.start, w.end).order_by(w.end, w.start)
    windows = connection.execute(query.limit(_WINDOWS)).all()
    choice.more = len(windows) == _WINDOWS
    for start, end in windows:
        of_window = {"name": definition.name, "result": name, "start": start, "end": end}
        rows = whole_rows(connection, result_waiting, _WAITING, of_window)
        choice.waiting += rows
        whole = any(row[4] for row in rows)
        choice.add_keys((start, end), None if whole else {row[5] for row in rows})


_WAITING: Final = sa.text(
    'SELECT * FROM result_waiting WHERE name = :name AND result = :result AND start = :start AND "end" = :end'
)


def _page(
    connection: sa.Connection, of: str, name: str, below: Any, until: int, after: tuple[int, int, str]
) -> Sequence[Any]:
    r = result_revisions.c
    place = sa.tuple_(r.closes, r.start, r.key)
    query = sa.select(r.start, r.end, r.closes, r.key).where(r.name == of, r.result == name, below, r.closes <= until)
    following = query.where(r.closes >= after[0], place > sa.tuple_(*after)).order_by(r.closes, r.start, r.key)
    return connection.execute(following.limit(_REVISIONS)).all()


def _take(
    rows: Sequence[sa.Row[Any]],
    choice: Choice,
    definition: Definition,
    result: Result,
    late_tiles: Sequence[int] = (),
) -> tuple[int, int, str] | None:
    for row in rows:
        reach = row.closes if result.is_session else row.end
        first = bisect_left(late_tiles, row.start)
        if first < len(late_tiles) and late_tiles[first] < reach:
            continue
        tile = row.start // definition.tile * definition.tile
        place = (tile, tile + definition.tile) if result.is_session else (row.start, row.end)
        choice.add(place, row.key)
    return (rows[-1].closes, rows[-1].start, rows[-1].key) if len(rows) == _REVISIONS else None


def last_of(
    connection: sa.Connection, of: str, result: str, asked: dict[Place, set[str] | None], gap: int
) -> list[Last]:
    """The last revisions of these windows and keys; of sessions (with a gap) those near each tile."""
    r, found = result_revisions.c, dict[tuple[int, str], Last]()
    for (start, end), keys in asked.items():
        if not gap and (keys is None or len(keys) > _MOST_BY_KEY):
            rows = whole_rows(connection, result_revisions, _OF_WINDOW, {"name": of, "result": result, "start": start})
            found |= {(row[2], row[3]): _last(row) for row in rows if keys is None or row[3] in keys}
            continue
        mine = (r.name == of) & (r.result == result)
        near = (r.start < end + gap) & (r.closes > start - gap) if gap else r.start == start
        query = sa.select(result_revisions).where(mine, near)
        if keys is not None and len(keys) <= _MOST_BY_KEY:
            query = query.where(r.key.in_(sorted(keys)))
        for row in connection.execute(query).all():
            if keys is None or row.key in keys:
                found[row.start, row.key] = _last(row)
    return list(found.values())


_OF_WINDOW: Final = sa.text("SELECT * FROM result_revisions WHERE name = :name AND result = :result AND start = :start")


def lasts_at(
    connection: sa.Connection, of: str, result: str, places: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], Last]:
    """The last revisions of these starts and keys, where there are any."""
    r, found = result_revisions.c, dict[tuple[int, str], Last]()
    for at in range(0, len(places), _IN_ONE):
        here = sa.tuple_(r.start, r.key).in_(places[at : at + _IN_ONE])
        for row in connection.execute(sa.select(result_revisions).where(r.name == of, r.result == result, here)):
            found[row.start, row.key] = _last(row)
    return found


def _last(row: Sequence[Any]) -> Last:
    return Last(*row[2:-1]) if len(row) == _COLUMNS else Last(*row[2:])


_COLUMNS: Final = len(result_revisions.columns)
"""Number of columns, including the checksum."""
