"""Makes revisions of due windows: read in one snapshot, compared with the last ones, written by compare-and-swap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.failpoints import reached
from tandem.schemas.time.windows import SessionWindow
from tandem.views.answers.reading.rows import late_by_tile
from tandem.views.answers.reading.scope import Scope, read_scope
from tandem.views.results.clocks import BEGINNING, Clocks
from tandem.views.results.due.choosing import Choice, Cursor, choose, last_of, lasts_at
from tandem.views.results.due.expanding import expand_due, hold_again
from tandem.views.results.revisions.answering import read_answers
from tandem.views.results.revisions.closing import floor_of
from tandem.views.results.revisions.revising import Revision, is_held, revision_of
from tandem.views.results.revisions.writing import write_revisions
from tandem.views.results.tables import result_due, result_progress, result_waiting
from tandem.views.results.watermarks import WrittenWatermark
from tandem.views.storage.driver_rows import delete_rows
from tandem.views.storage.tables import pointers
from tandem.views.store import ViewStore

__all__ = ["Drainer"]

_LAST: Final = 2**62

_PLACE: Final = ("name", "result", "start", "end", "whole", "key", "mark")
"""With the mark that was seen, so that later changes stay marked."""


class Drainer:
    """Makes the revisions of one definition's results. Any number of them may run; each revision is written once."""

    def __init__(self, store: ViewStore, compiled: CompiledDefinition) -> None:
        self._store, self._compiled = store, compiled
        self._watermark = WrittenWatermark()

    def drain(self, now: int) -> int:
        """Write all revisions that triggers let through at `now` (wall clock, microseconds UTC); returns their number.

        Does nothing before the first publication. Raises StoreError if another version is served.
        """
        definition, database = self._compiled.definition, self._store.database
        with database.read() as connection:
            scope = read_scope(connection, self._store.chains, self._compiled)
        if not scope.publication:
            return 0
        over = self._watermark.at(scope, now)
        while expand_due(database, definition, over, now):
            pass
        return sum(self._drain_result(name, over, now) for name in definition.results)

    def _drain_result(self, name: str, over: int, now: int) -> int:
        """Drain one result, pass by pass, until its triggers hold back the rest."""
        written, cursor, lost = 0, Cursor(), False
        while True:
            seen = self._read(name, over, now, cursor)
            if seen is None:
                return written
            done = self._write(name, seen, now)
            lost = lost or done is None
            written += done or 0
            if lost or not seen.choice.more:
                break
        if not lost:
            self._note_progress(name, seen)
        return written

    def _read(self, name: str, over: int, now: int, cursor: Cursor) -> _Seen | None:
        """The input of one pass, of one instant; None where nothing is served any more."""
        definition, chains = self._compiled.definition, self._store.chains
        result = definition.results[name]
        lateness = result.lateness_of(definition.lateness)
        with self._store.database.read() as connection:
            scope = read_scope(connection, chains, self._compiled)
            if not scope.publication:
                return None
            clocks = _clocks(connection, definition.name, name, scope, lateness, over)
            if clocks.settled_by == scope.publication and not _grew(clocks):
                cursor.settled = None
            late = late_by_tile(connection, scope, BEGINNING, _LAST)
            choice = choose(connection, definition, name, clocks.clocks, now, cursor, sorted(late))
            gap = result.window.gap if isinstance(result.window, SessionWindow) else 0
            lasts = last_of(connection, definition.name, name, choice.asked, gap)
            found = read_answers(connection, scope, self._compiled, name, choice.asked, lasts)
            closed_to = floor_of(connection, definition.name).closed_to
            found = [each for each in found if each.closes > closed_to]
            known = {(last.start, last.key): last for last in lasts}
            if gap:  # the session begins earlier by now
                others = [(each.start, each.key) for each in found if (each.start, each.key) not in known]
                known |= lasts_at(connection, definition.name, name, others)
        compared = [
            revision_of(self._compiled, name, clocks.clocks, each, known.get((each.start, each.key))) for each in found
        ]
        revisions = [revision for revision in compared if revision is not None]
        held = [each for each in revisions if is_held(self._compiled, name, each)]
        ready = [each for each in revisions if not is_held(self._compiled, name, each)]
        return _Seen(scope, clocks, choice, ready, held)

    def _write(self, name: str, seen: _Seen, now: int) -> int | None:
        """Write a pass, unless another version is served by now, or a revision of it was written by another process."""
        if not seen.revisions and not seen.choice.waiting:
            return 0
        of, database = self._compiled.definition.name, self._store.database
        with database.write(durable=True) as connection:
            pointer = connection.execute(sa.select(pointers).where(pointers.c.name == of).with_for_update()).first()
            if pointer is None or pointer.publication != seen.scope.publication:
                return None
            if not _is_next(connection, of, name, seen):
                return None
            write_revisions(database, connection, self._compiled, name, seen.scope, seen.revisions, now)
            _forget(connection, seen.choice.waiting)
            hold_again(database, connection, of, name, self._compiled.definition.tile, seen.held, now)
            reached("results-drained")
        return len(seen.revisions)

    def _note_progress(self, name: str, seen: _Seen) -> None:
        """Note that everything that is over, or settled, has been sent, as of the last pass's instant."""
        of, tile = self._compiled.definition.name, self._compiled.definition.tile
        clocks, d, p = seen.clocks, result_due.c, result_progress.c
        over = clocks.clocks.over // tile * tile
        if over <= clocks.clocks.on_time_to and clocks.settled_by == seen.scope.publication and not _grew(clocks):
            return
        with self._store.database.write() as connection:
            pending = sa.select(d.tile).where(d.name == of, d.tile < over).limit(1)
            if connection.execute(pending).first() is not None:
                return
            mine = (p.name == of) & (p.result == name)
            values = {
                "on_time_to": max(over, clocks.clocks.on_time_to),
                "final_to": max(clocks.clocks.settled, clocks.clocks.final_to),
                "settled_by": seen.scope.publication,
            }
            if connection.execute(result_progress.update().where(mine).values(values)).rowcount == 0:
                connection.execute(result_progress.insert().values(name=of, result=name, **values))


@dataclass(frozen=True)
class _Progress:
    clocks: Clocks
    settled_by: int
    passes: int = 0
    """Number of passes that have written revisions."""


@dataclass(frozen=True)
class _Seen:
    scope: Scope
    clocks: _Progress
    choice: Choice
    revisions: list[Revision]
    held: list[Revision]
    """Open sessions, to be compared again when they may be over."""


def _grew(progress: _Progress) -> bool:
    return progress.clocks.settled > progress.clocks.final_to


def _clocks(connection: sa.Connection, of: str, name: str, scope: Scope, lateness: int, over: int) -> _Progress:
    p = result_progress.c
    row = connection.execute(sa.select(result_progress).where(p.name == of, p.result == name)).first()
    clocks = Clocks.of(scope, lateness, over)
    if row is None:
        return _Progress(clocks, 0)
    on_time_to = row.on_time_to if row.on_time_to is not None else BEGINNING
    final_to = row.final_to if row.final_to is not None else BEGINNING
    # A window that was over stays over, also where another live run is served whose watermark is lower.
    stated = Clocks(max(clocks.over, on_time_to), clocks.settled, on_time_to, final_to)
    return _Progress(stated, row.settled_by, row.passes)


def _is_next(connection: sa.Connection, of: str, name: str, seen: _Seen) -> bool:
    """Whether the last revisions are still those that were read: no process has written any since, or none of these."""
    p = result_progress.c
    passes = connection.execute(sa.select(p.passes).where(p.name == of, p.result == name)).scalar()
    if (passes or 0) == seen.clocks.passes:
        return True
    places = [(each.found.start, each.found.key) for each in seen.revisions]
    known = lasts_at(connection, of, name, places)
    return all(known.get(place) == each.last for place, each in zip(places, seen.revisions, strict=True))


def _forget(connection: sa.Connection, waiting: Sequence[tuple[Any, ...]]) -> None:
    delete_rows(connection, result_waiting, _PLACE, [row[: len(_PLACE)] for row in waiting])
