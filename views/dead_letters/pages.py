"""Reads dead letters in pages: so many positions at once as hold some ten thousand letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import sqlalchemy as sa

from tandem.views.dead_letters.facts import Facts, LetterState, chunks
from tandem.views.dead_letters.packed_rows import PackedRows
from tandem.views.dead_letters.served import Served, decider
from tandem.views.dead_letters.stored_facts import ReplayFiles, facts_deciding
from tandem.views.dead_letters.tables import dead_letter_rows

__all__ = ["Page", "Pages"]

_POSITIONS: Final = 200
_LETTERS: Final = 20_000
"""Letters that fill a page; one position may hold more."""


@dataclass(frozen=True, slots=True)
class Page:
    """Positions, and the facts that decide on their letters."""

    positions: Sequence[str]
    facts: Facts


@dataclass(slots=True)
class Pages:
    """The letters of a definition version, page by page in the order of positions: memory holds one page's facts.

    Each page may be read by a transaction of its own; it is of one instant, other pages may be of others.
    """

    definition: int
    served: Served
    replay_files: ReplayFiles
    only: Sequence[str] | None
    """The positions that are read, None: all."""
    after: str | None = None

    @classmethod
    def of(cls, connection: sa.Connection, definition: int, only: Collection[str] | None = None) -> Pages:
        """All pages, before the first."""
        wanted = None if only is None else sorted(set(only))
        return cls(definition, Served.of(connection, definition), ReplayFiles.of(connection, definition), wanted)

    def next(self, connection: sa.Connection) -> Page | None:
        """The next page, None after the last."""
        self.served.forget_segments()
        positions = _next_positions(connection, self.definition, self.after, self.only)
        if not positions:
            return None
        self.after = positions[-1]
        return Page(positions, facts_deciding(connection, self.definition, positions, self.replay_files))

    def next_states(self, connection: sa.Connection) -> list[LetterState] | None:
        """The letters of the next page, by position and row; None after the last."""
        if self.after is not None:
            self.served.look_again(connection)
        page = self.next(connection)
        if page is None:
            return None
        facts, decide = page.facts, decider(connection, page.facts, self.served)
        return [
            LetterState(
                position,
                row,
                facts.generations[position],
                decide(position, row),
                tuple(facts.acts.get((position, row), ())),
                tuple(sorted(facts.tried.get((position, row), ()), key=lambda tried: (tried.seen_at, tried.attempt))),
            )
            for position in page.positions
            for row in facts.letters(position)
        ]


def _next_positions(
    connection: sa.Connection, definition: int, after: str | None, only: Sequence[str] | None
) -> list[str]:
    """The positions of the next page, in order."""
    r = dead_letter_rows.c
    noted = sa.select(r.position).where(r.definition == definition).distinct()
    if only is None:
        noted = noted.order_by(r.position)
        noted = noted if after is None else noted.where(r.position > after)
        found = list(connection.execute(noted.limit(_POSITIONS)).scalars())
    else:
        left = [position for position in only if after is None or position > after]
        asked = (sorted(connection.execute(noted.where(r.position.in_(some))).scalars()) for some in chunks(left))
        found = next(filter(None, asked), [])
    counts = Counter[str]()
    notes = sa.select(r.position, r.rows).where(r.definition == definition, r.position.in_(found))
    for position, rows in connection.execute(notes):
        counts[position] += len(PackedRows(rows))
    letters = list(accumulate(counts[position] for position in found))
    return [position for position, so_far in zip(found, letters, strict=True) if so_far <= _LETTERS] or found[:1]
