"""Derives which dead letters are open from the served runs, the runs' findings and the users' acts.

Facts are kept by run, and never taken back: the rows that a run found dead, the outcome of a replay in a run, a user's
act. A letter is open while the served answers lack it. For each letter and each of its replays one run decides, the one
that holds its generation in what is served: a batch run up to the boundary, the live run after it. Until that run has
read it, the notes of any run count, so that no letter is settled too early.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from tandem.views.batch.chains import Chains
from tandem.views.dead_letters.facts import Facts, LetterState, Run, chunks, read_facts
from tandem.views.dead_letters.packed_rows import PackedRows
from tandem.views.dead_letters.tables import dead_letter_rows, dead_letters
from tandem.views.rows import DeadLetterStatus
from tandem.views.storage.tables import batch_counts, batch_runs, definitions, live_segments, pointers, publications

__all__ = ["letter_states", "lock_letters", "noted_positions", "refresh"]


@dataclass(frozen=True, slots=True)
class _View:
    """One served publication: the run that holds each generation."""

    boundary: int
    live_run: int | None
    batch: tuple[tuple[int, int, frozenset[int]], ...]
    """(ordinal, boundary, generations of its files), oldest first."""

    def holder(self, generation: int) -> Run | None:
        """The run that decides on a generation; None where no served run holds it."""
        if generation > self.boundary:
            return (self.live_run, 0) if self.live_run is not None else None
        for ordinal, boundary, files in self.batch:
            if generation in files if generation < 0 else generation <= boundary:
                return 0, ordinal
        return None


def noted_positions(connection: sa.Connection, definition: int, positions: Sequence[str]) -> set[str]:
    """The positions, of the given ones, at which any run of the definition noted letters."""
    r = dead_letter_rows.c
    some = sa.select(r.position).where(r.definition == definition)
    if connection.execute(some.limit(1)).first() is None:
        return set()
    return {
        position
        for chunk in chunks(positions)
        for position in connection.execute(some.where(r.position.in_(chunk)).distinct()).scalars()
    }


def lock_letters(connection: sa.Connection, definition: int) -> None:
    """Serialize transactions that write facts about letters: the second waits here, and then sees the first's facts."""
    lock = sa.select(definitions.c.id).where(definitions.c.id == definition).with_for_update(key_share=True)
    connection.execute(lock).all()


def refresh(connection: sa.Connection, definition: int, positions: Collection[str] | None = None) -> None:
    """Derive again which letters are open at these positions and at those of their replays and originals.

    Call it last in a transaction that wrote facts or moved the pointer (then for all positions: None).
    """
    if positions is not None and not positions:
        return
    if positions is None and not _has_letters(connection, definition):
        return
    lock_letters(connection, definition)
    facts = read_facts(connection, definition, positions)
    decide = _decider(connection, definition, facts)
    known = _known(connection, definition, list(facts.rows))
    for position in facts.rows:
        statuses = [decide(position, row) for row in facts.letters(position)]
        counts = {status: statuses.count(status) for status in DeadLetterStatus}
        opened = counts[DeadLetterStatus.OPEN]
        settled = DeadLetterStatus.REPLAYED if counts[DeadLetterStatus.REPLAYED] else DeadLetterStatus.DROPPED
        values = {
            "count": opened,
            "status": (DeadLetterStatus.OPEN if opened else settled).value,
            "replayed": counts[DeadLetterStatus.REPLAYED],
            "dropped": counts[DeadLetterStatus.DROPPED],
        }
        if position in known:
            at = (dead_letters.c.definition == definition) & (dead_letters.c.position == position)
            connection.execute(dead_letters.update().where(at).values(values))
        else:
            place = {"definition": definition, "position": position, "generation": facts.generations[position]}
            connection.execute(dead_letters.insert().values(place | values))


def letter_states(connection: sa.Connection, definition: int) -> list[LetterState]:
    """Every letter of a definition version, by position and row."""
    facts = read_facts(connection, definition, None)
    decide = _decider(connection, definition, facts)
    return [
        LetterState(
            position,
            row,
            facts.generations[position],
            decide(position, row),
            tuple(facts.acts.get((position, row), ())),
            tuple(sorted(facts.tried.get((position, row), ()), key=lambda tried: (tried.seen_at, tried.attempt))),
        )
        for position in sorted(facts.rows)
        for row in facts.letters(position)
    ]


def _decider(connection: sa.Connection, definition: int, facts: Facts) -> Callable[[str, int], DeadLetterStatus]:
    """The rule at the head of this module, applied to the letters of these facts."""
    views = _served_views(connection, definition)
    whole = _Whole(connection, definition)
    if views:
        _leave_out_files(facts, {ordinal for view in views for ordinal, _, _ in view.batch})

    def lacks(view: _View, position: str, row: int) -> bool:
        by_run = facts.rows[position]
        holder = view.holder(facts.generations[position])
        if holder is not None and (holder in by_run or whole.has_read(holder, position, facts.generations[position])):
            dead = row in by_run.get(holder, ())
        else:
            dead = facts.anywhere((position, row))
        tried = facts.tried.get((position, row), ())
        return dead and not any(t.decoded and t.run == view.holder(t.generation) for t in tried)

    def decide(position: str, row: int) -> DeadLetterStatus:
        kinds = {act.kind for act in facts.acts.get((position, row), ())}
        if "dropped" in kinds:
            return DeadLetterStatus.DROPPED
        if "replayed" in kinds:
            return DeadLetterStatus.REPLAYED
        # Before the first publication only a user's act settles a letter.
        missing = not views or any(lacks(view, position, row) for view in views)
        return DeadLetterStatus.OPEN if missing else DeadLetterStatus.REPLAYED

    return decide


def _leave_out_files(facts: Facts, served: Collection[int]) -> None:
    """Remove the letters of files that no served batch run has read: no answer lacks them."""
    for position, by_run in facts.rows.items():
        if facts.generations[position] < 0:
            facts.rows[position] = {run: rows for run, rows in by_run.items() if run[1] in served}


@dataclass(slots=True)
class _Whole:
    """Tells whether a run without notes at a position found no dead rows there, or hasn't read it."""

    connection: sa.Connection
    definition: int
    known: dict[tuple[Run, int | str], bool] = field(default_factory=dict)

    def has_read(self, run: Run, position: str, generation: int) -> bool:
        live, batch = run
        place = (run, position if live else generation)
        if place not in self.known:
            self.known[place] = self._took_in(live, position) if live else self._noted_all(batch, generation)
        return self.known[place]

    def _took_in(self, live_run: int, position: str) -> bool:
        lane, _, number = position.rpartition("/")
        s = live_segments.c
        query = sa.select(s.number).where(s.run == live_run, s.lane == lane)
        found = number.isdecimal() and self.connection.execute(query.where(s.number == int(number))).first()
        return bool(found)

    def _noted_all(self, batch_run: int, generation: int) -> bool:
        """Whether the run's notes on a generation hold as many dead rows as its manifest counts."""
        c, r = batch_counts.c, dead_letter_rows.c
        query = sa.select(c.dead).where(c.batch_run == batch_run, c.generation == generation)
        dead = self.connection.execute(query).scalar()
        notes = sa.select(r.rows).where(
            r.definition == self.definition, r.batch_run == batch_run, r.generation == generation
        )
        return dead is not None and dead == sum(len(PackedRows(d)) for d in self.connection.execute(notes).scalars())


def _served_views(connection: sa.Connection, definition: int) -> list[_View]:
    """The served publications of a definition version, under any name."""
    p = publications.c
    query = sa.select(p.boundary, p.batch_run, p.live_run).join(pointers, pointers.c.publication == p.ordinal)
    chains, views = Chains(), []
    for row in connection.execute(query.where(p.definition == definition)).all():
        chain = chains.of(connection, row.batch_run)
        layers, seen = list[Any](), set[int]()
        for ordinals in chains.chunks(chain):
            b = batch_runs.c
            layers += connection.execute(
                sa.select(b.ordinal, b.boundary, b.file_sets).where(b.ordinal.in_(ordinals))
            ).all()
        batch = []
        for ordinal, boundary, file_sets in sorted(layers, key=lambda layer: layer[0]):
            files = {int(entry["generation"]) for entry in file_sets}
            batch.append((ordinal, boundary, frozenset(files - seen)))
            seen |= files
        views.append(_View(row.boundary, row.live_run, tuple(batch)))
    return views


def _known(connection: sa.Connection, definition: int, positions: Sequence[str]) -> set[str]:
    d = dead_letters.c
    query = sa.select(d.position).where(d.definition == definition)
    return {
        position
        for chunk in chunks(positions)
        for position in connection.execute(query.where(d.position.in_(chunk))).scalars()
    }


def _has_letters(connection: sa.Connection, definition: int) -> bool:
    some = sa.select(dead_letter_rows.c.position).where(dead_letter_rows.c.definition == definition).limit(1)
    return connection.execute(some).first() is not None
