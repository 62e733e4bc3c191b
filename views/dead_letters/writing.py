"""Writes the facts about dead letters, by runs and by users; `open_letters` derives which are open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tandem.views import lookups
from tandem.views.batch.chains import Chains
from tandem.views.dead_letters.facts import LetterNote, LetterState, Place, Run, chunks, letters_of_run
from tandem.views.dead_letters.open_letters import lock_letters, noted_positions, refresh
from tandem.views.dead_letters.packed_rows import pack_rows, unpack_rows
from tandem.views.dead_letters.pages import Pages
from tandem.views.dead_letters.tables import dead_letter_acts, dead_letter_replays, dead_letter_rows
from tandem.views.rows import DeadLetterStatus
from tandem.views.storage.database import Clock, Database
from tandem.views.updates import SegmentLike

__all__ = ["DeadLetters", "note_segments", "write_notes"]

_SENT: Final = "sent"


def note_segments(
    database: Database, connection: sa.Connection, run: sa.Row[Any], segments: Sequence[SegmentLike], now: int
) -> None:
    """Note the dead records and the replays of segments that a live run (its row) has just taken in.

    For a segment without `dead_rows` and `replays` the first `dead` rows count as the dead ones.
    """
    notes = []
    for s in segments:
        replays = getattr(s, "replays", ())
        if s.dead or replays:
            rows = getattr(s, "dead_rows", ()) or range(s.dead)
            notes.append(LetterNote(f"{s.position}/{s.number}", s.generation, rows, replays))
    # Where another run noted letters, this one may have found fewer.
    elsewhere = noted_positions(connection, run.definition, [f"{s.position}/{s.number}" for s in segments])
    write_notes(database, connection, run.definition, (run.id, 0), notes, now)
    refresh(connection, run.definition, elsewhere | {note.position for note in notes})


def write_notes(
    database: Database, connection: sa.Connection, definition: int, run: Run, notes: Iterable[LetterNote], now: int
) -> None:
    """Write a run's findings; earlier notes stay. Call `views.dead_letters.open_letters.refresh` after it."""
    rows, replays = [], []
    for note in notes:
        if len(note.rows):
            rows.append((definition, note.position, *run, note.generation, pack_rows(note.rows)))
        for r in note.replays:
            place = (definition, r.original, r.original_row, note.position, r.row, *run)
            replays.append((*place, note.generation, r.attempt, r.decoded, r.stage, r.reason, now))
    for table, values in ((dead_letter_rows, rows), (dead_letter_replays, replays)):
        database.write_rows(connection, database.insert_new(table), values)


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead letters of a view store. Each call is one transaction, and can be repeated."""

    database: Database
    chains: Chains
    clock: Clock

    def note(self, version: str, batch_run: str, notes: Sequence[LetterNote]) -> None:
        """Note the dead rows and the outcomes of replays that a batch run found; `live.write_segments` does so for live
        runs.
        """
        with self.database.write() as connection:
            definition = lookups.definition_row(connection, version).id
            run = (0, int(lookups.find_batch_run(connection, batch_run).ordinal))
            write_notes(self.database, connection, definition, run, notes, self.clock())
            refresh(connection, definition, {note.position for note in notes})

    def settle(self, version: str, places: Sequence[Place], status: DeadLetterStatus, note: str = "") -> int:
        """Mark the open ones of these letters as replayed or dropped by hand; returns their number."""
        with self.database.write(durable=True) as connection:
            definition = lookups.definition_row(connection, version).id
            asked, settled = set(places), list[Place]()
            pages = Pages.of(connection, definition, {position for position, _ in places})
            while (page := pages.next_states(connection)) is not None:
                is_open = ((s.position, s.row) for s in page if s.status is DeadLetterStatus.OPEN)
                settled += [place for place in is_open if place in asked]
            self._act(connection, definition, [(place, 0, note) for place in settled], status.value)
        return len(settled)

    def send(self, version: str, letters: Sequence[tuple[Place, int, str]]) -> list[bool]:
        """Note that replays (place of the original, attempt, destination) are about to be sent.

        False for an attempt that was noted already: another process sends it, so the caller must not.
        """
        a = dead_letter_acts.c
        with self.database.write(durable=True) as connection:
            definition = lookups.definition_row(connection, version).id
            lock_letters(connection, definition)
            fresh = []
            for (position, row), attempt, _ in letters:
                same = (a.definition == definition) & (a.position == position) & (a.row == row) & (a.kind == _SENT)
                fresh.append(connection.execute(sa.select(a.ordinal).where(same, a.attempt == attempt)).first() is None)
            self._act(
                connection, definition, [letter for letter, new in zip(letters, fresh, strict=True) if new], _SENT
            )
        return fresh

    def unsend(self, version: str, letters: Sequence[tuple[Place, int]]) -> None:
        """Take back `send` for attempts (place, attempt) that were certainly not sent."""
        a = dead_letter_acts.c
        with self.database.write(durable=True) as connection:
            definition = lookups.definition_row(connection, version).id
            for (position, row), attempt in letters:
                place = (a.definition == definition) & (a.position == position) & (a.row == row)
                connection.execute(dead_letter_acts.delete().where(place, a.kind == _SENT, a.attempt == attempt))

    def states(
        self, version: str, status: DeadLetterStatus | None = None, positions: Collection[str] | None = None
    ) -> Iterator[LetterState]:
        """The letters of a version, of one status or at some positions, by position and row.

        Read in pages, each by a transaction of its own: memory holds one, and a slow reader holds nothing up.
        """
        pages: Pages | None = None
        while True:
            with self.database.read() as connection:
                pages = pages or Pages.of(connection, lookups.definition_row(connection, version).id, positions)
                page = pages.next_states(connection)
            if page is None:
                return
            yield from (letter for letter in page if status is None or letter.status is status)

    def found_by(self, version: str, batch_run: str) -> dict[str, Set[int]]:
        """By position (FILE/NUMBER, LANE/NUMBER) the rows that a batch run found dead."""
        with self.database.read() as connection:
            definition = lookups.definition_row(connection, version).id
            return letters_of_run(connection, definition, lookups.find_batch_run(connection, batch_run).ordinal)

    def is_noted(self, version: str, position: str, row: int, batch_run: str | None, live_run: str | None) -> bool:
        """Whether a batch run or one of its ancestors, or a live run, found this record dead."""
        r = dead_letter_rows.c
        with self.database.read() as connection:
            definition = lookups.definition_row(connection, version).id
            chain: frozenset[int] = frozenset()
            if batch_run is not None:
                chain = self.chains.of(connection, lookups.find_batch_run(connection, batch_run).ordinal)
            live = lookups.find_live_run(connection, version, live_run).id if live_run is not None else None
            query = sa.select(r.live_run, r.batch_run, r.rows)
            query = query.where(r.definition == definition, r.position == position)
            return any(
                (found.batch_run in chain or (live is not None and found.live_run == live))
                and row in unpack_rows(found.rows)
                for found in connection.execute(query)
            )

    def _act(
        self, connection: sa.Connection, definition: int, letters: Sequence[tuple[Place, int, str]], kind: str
    ) -> None:
        rows, places = list[tuple[Any, ...]](), [place for place, _, _ in letters]
        last = _last_acts(connection, definition, places)
        for place, attempt, note in letters:
            last[place] = last.get(place, 0) + 1
            rows.append((definition, *place, last[place], kind, attempt, note, self.clock()))
        self.database.write_rows(connection, self.database.insert(dead_letter_acts), rows)
        refresh(connection, definition, {position for position, _ in places})


def _last_acts(connection: sa.Connection, definition: int, places: Sequence[Place]) -> dict[Place, int]:
    """By letter the number of its last act, of those that have any."""
    a, asked, last = dead_letter_acts.c, set(places), dict[Place, int]()
    query = sa.select(a.position, a.row, sa.func.max(a.ordinal)).group_by(a.position, a.row)
    for chunk in chunks(sorted({position for position, _ in places})):
        found = query.where(a.definition == definition, a.position.in_(chunk))
        for position, row, ordinal in connection.execute(found, execution_options={"yield_per": 10_000}):
            if (position, row) in asked:
                last[position, row] = ordinal
    return last
