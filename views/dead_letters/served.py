"""Decides which letters are open: each by the served run that holds its generation.

For each letter and each of its replays one run decides, the one that holds its generation in what is served: a batch
run up to the boundary, the live run after it. Until that run has read it, the notes of any run count, so that no letter
is settled too early.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from tandem.views.batch.chains import Chains
from tandem.views.dead_letters.facts import Facts, Run
from tandem.views.dead_letters.packed_rows import PackedRows
from tandem.views.dead_letters.tables import dead_letter_rows
from tandem.views.rows import DeadLetterStatus
from tandem.views.storage.tables import batch_counts, batch_runs, live_segments, pointers, publications

__all__ = ["Served", "decider"]


@dataclass(frozen=True, slots=True)
class View:
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


@dataclass(slots=True)
class Served:
    """What is served of a definition version, and which of its runs have read what."""

    definition: int
    views: list[View]
    known: dict[tuple[Run, int | str], bool] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: sa.Connection, definition: int) -> Served:
        """What is served now."""
        return cls(definition, _served_views(connection, definition))

    def look_again(self, connection: sa.Connection) -> None:
        """Read what is served now."""
        self.views = _served_views(connection, self.definition)

    def forget_segments(self) -> None:
        """Forget what was known of single segments: there may be millions."""
        self.known = {place: known for place, known in self.known.items() if isinstance(place[1], int)}

    def has_read(self, connection: sa.Connection, run: Run, position: str, generation: int) -> bool:
        """Whether a run without notes at a position found no dead rows there, or hasn't read it."""
        live, batch = run
        place = (run, position if live else generation)
        if place not in self.known:
            self.known[place] = (
                _took_in(connection, live, position) if live else self._noted_all(connection, batch, generation)
            )
        return self.known[place]

    def _noted_all(self, connection: sa.Connection, batch_run: int, generation: int) -> bool:
        """Whether the run's notes on a generation hold as many dead rows as its manifest counts."""
        c, r = batch_counts.c, dead_letter_rows.c
        query = sa.select(c.dead).where(c.batch_run == batch_run, c.generation == generation)
        dead = connection.execute(query).scalar()
        notes = sa.select(r.rows).where(
            r.definition == self.definition, r.batch_run == batch_run, r.generation == generation
        )
        return dead is not None and dead == sum(len(PackedRows(d)) for d in connection.execute(notes).scalars())


def _took_in(connection: sa.Connection, live_run: int, position: str) -> bool:
    lane, _, number = position.rpartition("/")
    s = live_segments.c
    query = sa.select(s.number).where(s.run == live_run, s.lane == lane)
    return bool(number.isdecimal() and connection.execute(query.where(s.number == int(number))).first())


def decider(connection: sa.Connection, facts: Facts, served: Served) -> Callable[[str, int], DeadLetterStatus]:
    """The rule at the head of this module, applied to the letters of these facts."""
    views = served.views
    if views:
        _leave_out_files(facts, {ordinal for view in views for ordinal, _, _ in view.batch})

    def lacks(view: View, position: str, row: int) -> bool:
        by_run = facts.rows[position]
        holder, generation = view.holder(facts.generations[position]), facts.generations[position]
        if holder is not None and (holder in by_run or served.has_read(connection, holder, position, generation)):
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


def _served_views(connection: sa.Connection, definition: int) -> list[View]:
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
        views.append(View(row.boundary, row.live_run, tuple(batch)))
    return views
