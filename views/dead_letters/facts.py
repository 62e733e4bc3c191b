"""Facts about dead letters, as values and as stored rows: kept by run, and never taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import sqlalchemy as sa

from tandem.views.dead_letters.packed_rows import PackedRows
from tandem.views.dead_letters.tables import dead_letter_rows
from tandem.views.rows import DeadLetterStatus

__all__ = [
    "Act",
    "Facts",
    "LetterNote",
    "LetterState",
    "Place",
    "ReplayLike",
    "Run",
    "Tried",
    "chunks",
    "letters_of_run",
]

_CHUNK: Final = 400

Run = tuple[int, int]
"""(live run's number, 0) or (0, batch run's ordinal)."""

Place = tuple[str, int]
"""Position (LANE/NUMBER, FILE/NUMBER) and row."""


class ReplayLike(Protocol):
    """The outcome of one record that is a replay."""

    @property
    def row(self) -> int: ...
    @property
    def original(self) -> str: ...
    @property
    def original_row(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def decoded(self) -> bool: ...
    @property
    def stage(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class LetterNote:
    """A run's finding at one position: dead rows, and the outcomes of replays."""

    position: str
    generation: int
    rows: Sequence[int]
    replays: Sequence[ReplayLike] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """A user's act on a letter."""

    kind: str
    """'sent', 'replayed' or 'dropped'."""
    attempt: int
    note: str
    """The user's note; for 'sent' the destination."""
    at: int
    """Microseconds UTC, by the store's clock."""


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcome of a replay in one run."""

    position: str
    row: int
    generation: int
    attempt: int
    decoded: bool
    stage: str
    reason: str
    seen_at: int
    """Microseconds UTC, by the store's clock."""
    run: Run


@dataclass(frozen=True, slots=True)
class LetterState:
    """The stored facts about one letter."""

    position: str
    row: int
    generation: int
    status: DeadLetterStatus
    acts: tuple[Act, ...] = ()
    """In the order of time."""
    tried: tuple[Tried, ...] = ()
    """In the order of `seen_at`."""

    @property
    def tries(self) -> int:
        """Number of reads: one of the letter itself, one of each replay."""
        return 1 + len({(tried.position, tried.row) for tried in self.tried})

    @property
    def attempts(self) -> int:
        """Number of replays that were sent, or seen, so far."""
        return max((0, *(act.attempt for act in self.acts), *(tried.attempt for tried in self.tried)))

    @property
    def in_flight(self) -> bool:
        """Whether the letter's last replay was sent and no run has read it, or a run could read it and isn't served
        yet.
        """
        if self.status is not DeadLetterStatus.OPEN:
            return False
        sent = max((act.attempt for act in self.acts if act.kind == "sent"), default=0)
        seen = max((tried.attempt for tried in self.tried), default=0)
        newest = max(self.tried, key=lambda tried: (tried.attempt, tried.seen_at), default=None)
        return sent > seen or (newest is not None and newest.decoded)


@dataclass(slots=True)
class Facts:
    """The stored facts about some positions and their replays and originals."""

    rows: dict[str, dict[Run, Set[int]]] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    tried: dict[Place, list[Tried]] = field(default_factory=dict)
    """By the original's place."""
    originals: dict[Place, set[Place]] = field(default_factory=dict)
    """By the replay's place."""
    acts: dict[Place, list[Act]] = field(default_factory=dict)

    def anywhere(self, place: Place) -> bool:
        """Whether any run found this record dead."""
        return any(place[1] in rows for rows in self.rows.get(place[0], {}).values())

    def letters(self, position: str) -> list[int]:
        """Rows of a position that are letters of their own: a failed replay counts with its original."""
        rows = sorted(set().union(*self.rows.get(position, {}).values()))
        return [row for row in rows if not any(map(self.anywhere, self.originals.get((position, row), ())))]


def chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))


def letters_of_run(connection: sa.Connection, definition: int, batch_run: int) -> dict[str, Set[int]]:
    """By position the rows that a batch run found dead; there may be millions."""
    r = dead_letter_rows.c
    query = sa.select(r.position, r.rows).where(r.definition == definition, r.batch_run == batch_run)
    return {position: PackedRows(rows) for position, rows in connection.execute(query)}
