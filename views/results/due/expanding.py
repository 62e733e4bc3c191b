"""Due tiles become waiting windows, in one transaction: the tile is forgotten once every window of it is noted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.definition.models import Definition
from tandem.schemas.time.windows import SessionWindow
from tandem.views.results.due.marking import fresh_mark
from tandem.views.results.due.windows import Windowed, held_windows
from tandem.views.results.revisions.closing import floor_of
from tandem.views.results.revisions.revising import Revision
from tandem.views.results.tables import result_due, result_revisions, result_waiting
from tandem.views.storage.database import Database
from tandem.views.storage.driver_rows import delete_rows

__all__ = ["LATER", "alert_stream", "expand_due", "hold_again"]

_AT_ONCE: Final = 5_000
LATER: Final = 2**62
"""`since` of a window that is never early: another that is open ends before it."""

_PLACE: Final = ("name", "tile", "whole", "key", "mark")
"""With the mark that was seen: what changed since stays."""


def alert_stream(rule: str) -> str:
    """What a rule's windows wait as, and its alerts are sent as."""
    return f"alert {rule}"


def expand_due(database: Database, definition: Definition, over: int, now: int) -> bool:
    """Note the windows of some due tiles; whether more are due. `over`: windows that end by then aren't open."""
    d = result_due.c
    with database.write() as connection:
        query = sa.select(result_due).where(d.name == definition.name).order_by(d.tile, d.whole, d.key)
        rows = connection.execute(query.limit(_AT_ONCE)).all()
        if not rows:
            return False
        closed_to = floor_of(connection, definition.name).closed_to
        waiting: dict[tuple[Any, ...], int] = {}
        for tile, of_tile in groupby(rows, lambda row: int(row.tile)):
            found = _windows(definition, tile, over, now)
            windows = [each for each in found if _goes_on(connection, definition, each[0], closed_to)]
            for row in of_tile:
                for (name, start, end), since in windows:
                    place = (name, start, end, row.whole, row.key)
                    waiting[place] = min(since, waiting.get(place, since))
        mark = fresh_mark()
        values = [(definition.name, *place, mark, since) for place, since in sorted(waiting.items())]
        database.write_rows(connection, database.made(_upsert), values)
        delete_rows(connection, result_due, _PLACE, [row[: len(_PLACE)] for row in rows])
    return len(rows) == _AT_ONCE


def _goes_on(connection: sa.Connection, definition: Definition, place: tuple[str, int, int], closed_to: int) -> bool:
    """Whether a window isn't closed: windows of results alone are, and of a tile's sessions one may close later."""
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
    """Note sessions that are longer than was known when their tiles became due, by the time at which they close."""
    mark = fresh_mark()
    places = {(s.found.start // tile * tile, s.found.closes, s.found.key) for s in sessions}
    values = [(of, name, start, closes, 0, key, mark, now) for start, closes, key in sorted(places)]
    database.write_rows(connection, database.made(_upsert), values)


def _windows(definition: Definition, tile: int, over: int, now: int) -> list[tuple[tuple[str, int, int], int]]:
    """Results' windows that a tile lies in, and since when they wait. The tile may be of another version, a smaller one
    within one of this version's: then it is that one.
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
    """Results by their names, and rules by their streams."""
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
