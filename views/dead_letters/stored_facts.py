"""Reads the facts about dead letters from their tables: of some positions, as much as decides on their letters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tandem.views.dead_letters.facts import Act, Facts, Place, Tried, chunks
from tandem.views.dead_letters.packed_rows import PackedRows
from tandem.views.dead_letters.tables import dead_letter_acts, dead_letter_replays, dead_letter_rows

__all__ = ["ReplayFiles", "facts_deciding", "read_facts"]

_AT_ONCE: Final = {"yield_per": 10_000}


@dataclass(frozen=True, slots=True)
class ReplayFiles:
    """The files into which letters of files were written to be replayed, and the positions of these letters.

    A line of such a file is the same letter as its original, also before its outcome is noted.
    """

    originals: dict[str, set[str]]
    """By the path of a replay file."""

    @classmethod
    def of(cls, connection: sa.Connection, definition: int) -> ReplayFiles:
        """Those of a definition version; reads every replay that was ever sent, one by one."""
        originals: dict[str, set[str]] = {}
        for position, _, path, _ in _sent_lines(connection, definition, None):
            originals.setdefault(path, set()).add(position)
        return cls(originals)

    def lines(
        self, connection: sa.Connection, definition: int, positions: Iterable[str]
    ) -> Iterator[tuple[Place, Place]]:
        """(place of a line, place of its original) of those positions that are replay files."""
        for position in positions:
            path = position.removesuffix("/0")
            for chunk in chunks(sorted(self.originals.get(path, ()))):
                for original, row, sent_to, line in _sent_lines(connection, definition, chunk):
                    if sent_to == path:
                        yield (f"{path}/0", line), (original, row)


def read_facts(connection: sa.Connection, definition: int, positions: Collection[str]) -> Facts:
    """The facts about these positions, the originals of their replays and the replays of their letters."""
    wanted = fresh = set(positions)
    r = dead_letter_replays.c
    while fresh:
        found = set[str]()
        for given, other in ((r.position, r.original), (r.original, r.position)):
            query = sa.select(other).where(r.definition == definition).distinct()
            for chunk in chunks(sorted(fresh)):
                found |= set(connection.execute(query.where(given.in_(chunk))).scalars())
        fresh, wanted = found - wanted, wanted | found
    facts = Facts()
    _add_rows(facts, connection, definition, wanted)
    _add_replays(facts, connection, definition, wanted)
    for position, row, path, line in _add_acts(facts, connection, definition, wanted):
        if facts.generations.get(position, 0) < 0:
            facts.originals.setdefault((f"{path}/0", line), set()).add((position, row))
    return facts


def facts_deciding(
    connection: sa.Connection, definition: int, positions: Collection[str], replay_files: ReplayFiles
) -> Facts:
    """The facts that decide on the letters of these positions: of the originals of their replays only the rows."""
    facts = Facts()
    _add_replays(facts, connection, definition, positions)
    _add_acts(facts, connection, definition, positions)
    lines = list(replay_files.lines(connection, definition, positions))
    originals = {place[0] for places in facts.originals.values() for place in places}
    _add_rows(facts, connection, definition, {*positions, *originals, *(original[0] for _, original in lines)})
    for line, original in lines:
        if facts.generations.get(original[0], 0) < 0:
            facts.originals.setdefault(line, set()).add(original)
    return facts


def _add_rows(facts: Facts, connection: sa.Connection, definition: int, positions: Collection[str]) -> None:
    for row in _of_positions(connection, dead_letter_rows, "position", definition, positions):
        facts.rows.setdefault(row.position, {})[row.live_run, row.batch_run] = PackedRows(row.rows)
        facts.generations[row.position] = row.generation


def _add_replays(facts: Facts, connection: sa.Connection, definition: int, positions: Collection[str]) -> None:
    """Add the replays at these positions, and those of their letters."""
    for name in ("position", "original"):
        for row in _of_positions(connection, dead_letter_replays, name, definition, positions):
            _add_replay(facts, row)


def _add_replay(facts: Facts, row: Any) -> None:
    original, place = (row.original, row.original_row), (row.position, row.row)
    run = (row.live_run, row.batch_run)
    tried = Tried(*place, row.generation, row.attempt, row.decoded, row.stage, row.reason, row.seen_at, run)
    known = facts.tried.setdefault(original, [])
    if tried not in known:
        known.append(tried)
    if original != place:
        facts.originals.setdefault(place, set()).add(original)


def _add_acts(
    facts: Facts, connection: sa.Connection, definition: int, positions: Collection[str]
) -> list[tuple[str, int, str, int]]:
    """Add the acts on these positions' letters; returns those that sent a letter as a line of a file, as `_sent_lines`
    does.
    """
    acts, lines = list(_of_positions(connection, dead_letter_acts, "position", definition, positions)), []
    for row in sorted(acts, key=lambda act: act.ordinal):
        facts.acts.setdefault((row.position, row.row), []).append(Act(row.kind, row.attempt, row.note, row.at))
        if row.kind == "sent" and (sent_to := _line_of(row.note)) is not None:
            lines.append((row.position, row.row, *sent_to))
    return lines


def _sent_lines(
    connection: sa.Connection, definition: int, positions: Collection[str] | None
) -> Iterator[tuple[str, int, str, int]]:
    """(position, row, path of the replay file, its line) of the letters of these positions that were sent as lines."""
    a = dead_letter_acts.c
    query = sa.select(a.position, a.row, a.note).where(a.definition == definition, a.kind == "sent")
    query = query if positions is None else query.where(a.position.in_(positions))
    with connection.execute(query, execution_options=_AT_ONCE) as found:
        for position, row, note in found:
            if (sent_to := _line_of(note)) is not None:
                yield position, row, *sent_to


def _line_of(note: str) -> tuple[str, int] | None:
    """(path, line) of PATH#LINE, where a letter of a file was sent to; None for a topic."""
    path, mark, line = note.rpartition("#")
    return (path, int(line)) if mark and line.isdecimal() else None


def _of_positions(
    connection: sa.Connection, table: sa.Table, column: str, definition: int, positions: Collection[str]
) -> Iterator[sa.Row[Any]]:
    query = sa.select(table).where(table.c.definition == definition)
    for chunk in chunks(sorted(positions)):
        yield from connection.execute(query.where(table.c[column].in_(chunk)))
