"""Turns due tiles into waiting windows, in one transaction: a tile is cleared once every window of it is noted.

A window waits by key where few of its keys have changed, else as a whole: about the same is read and compared, and one
row is written instead of one for each key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.definition.models import Definition
from tandem.schemas.time.windows import SessionWindow
from tandem.views.results.clocks import BEGINNING
from tandem.views.results.due.marking import fresh_mark
from tandem.views.results.due.windows import Windowed, held_windows
from tandem.views.results.revisions.answering import MOST_BY_KEY
from tandem.views.results.revisions.closing import floor_of
from tandem.views.results.revisions.revising import Revision
from tandem.views.results.tables import result_due, result_revisions, result_waiting
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import delete_rows, whole_rows

__all__ = ["LATER", "alert_stream", "expand_due", "hold_again"]

_AT_ONCE: Final = 5_000
_FEW: Final = 50
"""Rows of a mark from which on it is faster to remove them together."""
LATER: Final = 2**62
"""`since` of a window that is never early: another open window ends before it."""

_ALERT: Final = "alert "

_PLACE: Final = ("name", "tile", "whole", "key", "mark")
"""With the mark that was seen, so that later changes stay marked."""


def alert_stream(rule: str) -> str:
    """The stream of a rule's waiting windows and of its alerts."""
    return f"{_ALERT}{rule}"


def expand_due(database: Database, definition: Definition, over: int, now: int) -> bool:
    """Note some due tiles' windows; returns whether more are due. `over`: windows that end by then aren't open.

    Begins no write transaction where nothing is due: live waits while one is open.
    """
    if not _any_is_due(database, definition.name):
        return False
    with database.write() as connection:
        rows = whole_rows(connection, result_due, _DUE, {"name": definition.name, "most": _AT_ONCE})
        if not rows:
            return False
        closed_to = floor_of(connection, definition.name).closed_to
        waiting: dict[tuple[Any, ...], int] = {}
        for tile, of_tile in groupby(rows, itemgetter(1)):
            keys = {key if not whole else None for _, _, whole, key, _ in of_tile}
            for place, since in _windows(definition, tile, over, now):
                if not _goes_on(connection, definition, place, closed_to):
                    continue
                for key in _held(connection, definition, place, over, since, keys):
                    held = (*place, 1, "") if key is None else (*place, 0, key)
                    waiting[held] = min(since, waiting.get(held, since))
        mark = fresh_mark()
        values = [(definition.name, *place, mark, since) for place, since in sorted(waiting.items())]
        database.write_rows(connection, database.made(_upsert), values)
        _forget(connection, rows)
    return len(rows) == _AT_ONCE


def _any_is_due(database: Database, name: str) -> bool:
    with database.read() as connection:
        return bool(whole_rows(connection, result_due, _DUE, {"name": name, "most": 1}))


_DUE: Final = sa.text("SELECT * FROM result_due WHERE name = :name ORDER BY tile, whole, key LIMIT :most")


def _held(
    connection: sa.Connection,
    definition: Definition,
    place: tuple[str, int, int],
    over: int,
    since: int,
    keys: set[str | None],
) -> set[str | None]:
    """The waiting keys to note for a window with these changed keys: the keys themselves, or {None} for all keys."""
    name, start, end = place
    result = definition.results.get(name)
    if result is None:
        rule = {"name": definition.name, "rule": name.removeprefix(_ALERT), "first": BEGINNING}
        return keys if None in keys else _few_or_all(connection, keys, _JUDGED, rule)
    if isinstance(result.window, SessionWindow):
        return keys
    if None in keys or (end > over and (result.trigger.early is None or since == LATER)):
        return {None}  # once the window is over, all its keys are due in any case
    return _few_or_all(connection, keys, _SENT, {"name": definition.name, "result": name, "start": start})


def _few_or_all(
    connection: sa.Connection, keys: set[str | None], known: sa.TextClause, place: dict[str, Any]
) -> set[str | None]:
    """The keys, or {None} where they are many, and at least half of the known ones."""
    if len(keys) <= MOST_BY_KEY:
        return keys
    most = 2 * len(keys)
    found = connection.execute(known, {**place, "most": most + 1}).scalar_one()
    return {None} if found <= most else keys


_JUDGED: Final = sa.text(
    "SELECT count(*) FROM (SELECT DISTINCT key FROM decision_verdict_parts WHERE name = :name AND rule = :rule "
    "AND part >= coalesce((SELECT max(part) FROM decision_verdict_parts WHERE name = :name AND rule = :rule "
    "AND part < (SELECT max(part) FROM decision_verdict_parts WHERE name = :name AND rule = :rule)), :first) "
    "LIMIT :most) AS judged"
)
"""Number of keys that a rule has verdicts of in its last two parts of time, up to a limit."""

_SENT: Final = sa.text(
    "SELECT count(*) FROM (SELECT 1 FROM result_revisions "
    "WHERE name = :name AND result = :result AND start = :start LIMIT :most) AS sent"
)
"""Number of sent keys of a window, up to a limit; all others have changed."""


def _forget(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Remove due rows; those of completely read tiles by their marks, where these are few."""
    last = rows[-1][1] if len(rows) == _AT_ONCE else None
    marks = {(name, tile, mark) for name, tile, _, _, mark in rows if tile != last}
    if len(marks) * _FEW > len(rows):
        delete_rows(connection, result_due, _PLACE, rows)
        return
    delete_rows(connection, result_due, ("name", "tile", "mark"), sorted(marks))
    delete_rows(connection, result_due, _PLACE, [row for row in rows if row[1] == last])


def _goes_on(connection: sa.Connection, definition: Definition, place: tuple[str, int, int], closed_to: int) -> bool:
    """Whether a window isn't closed: only results' windows close, and a session of a tile may close later."""
    name, start, end = place
    result = definition.results.get(name)
    if result is None or end > closed_to:
        return True
    if not isinstance(result.window, SessionWindow):
        return False
    r, gap = result_revisions.c, result.window.gap
    reaches = (r.start < start + definition.tile + gap) & (r.closes > max(start - gap, closed_to))
    mine = (r.name == definition.name) & (r.result == name)
    return connection.execute(sa.select(r.start).where(mine, reaches).limit(1)).first() is not None


def hold_again(
    database: Database,
    connection: sa.Connection,
    of: str,
    name: str,
    tile: int,
    sessions: Sequence[Revision],
    now: int,
) -> None:
    """Note sessions that have become longer than when their tiles became due, by the time at which they close."""
    mark = fresh_mark()
    places = {(s.found.start // tile * tile, s.found.closes, s.found.key) for s in sessions}
    values = [(of, name, start, closes, 0, key, mark, now) for start, closes, key in sorted(places)]
    database.write_rows(connection, database.made(_upsert), values)


def _windows(definition: Definition, tile: int, over: int, now: int) -> list[tuple[tuple[str, int, int], int]]:
    """The results' windows that a tile lies in, and since when they wait. A tile of another version that lies within a
    tile of this version counts as that tile.
    """
    found = []
    tile = tile // definition.tile * definition.tile
    for name, result in _judged_and_sent(definition):
        is_open = False
        for start, end in held_windows(result, tile, definition.tile):
            found.append(((name, start, end), LATER if is_open else now))
            is_open = is_open or end > over
    return found


def _judged_and_sent(definition: Definition) -> Iterator[tuple[str, Windowed]]:
    """Results by their names, rules by their streams."""
    yield from definition.results.items()
    yield from ((alert_stream(name), rule) for name, rule in definition.rules.items())


def _upsert(database: Database) -> Any:
    insert = database.insert(result_waiting)
    since = sa.case(
        (insert.excluded.since < result_waiting.c.since, insert.excluded.since), else_=result_waiting.c.since
    )
    return insert.on_conflict_do_update(
        index_elements=list(result_waiting.primary_key), set_={"mark": insert.excluded.mark, "since": since}
    )
