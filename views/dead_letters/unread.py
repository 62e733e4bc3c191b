"""Checks that another version of a definition reads all messages that the served one reads.

Both versions have noted their dead letters by position; a letter of the candidate alone is a message that would no
longer be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.schemas.errors import UnreadMessagesError
from tandem.views.batch.chains import Chains
from tandem.views.dead_letters.packed_rows import PackedRows, pack_rows
from tandem.views.dead_letters.tables import dead_letter_acts, dead_letter_rows
from tandem.views.rows import Candidate
from tandem.views.storage.tables import batch_runs, live_segments

__all__ = ["nothing_unread"]

Letters = dict[str, Set[int]]
"""By position the rows that are dead letters, packed: there may be millions."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The runs of one version that are served together, or would be."""

    definition: int
    chain: frozenset[int]
    live: int | None
    boundary: int
    files: Mapping[str, str]
    """Digest -> path."""


def nothing_unread(
    connection: sa.Connection, chains: Chains, name: str, served: sa.Row[Any], wanted: Candidate
) -> None:
    """Raise UnreadMessagesError where the candidate can't read messages that the served version has read.

    Messages that the served version hasn't read yet, and letters that a user has settled, are left out.

    """
    batch = wanted.batch_run.ordinal if wanted.batch_run is not None else None
    live = wanted.live_run.id if wanted.live_run is not None else None
    mine = _side(connection, chains, wanted.definition.id, batch, live, wanted.boundary)
    theirs = _side(connection, chains, served.definition, served.batch_run, served.live_run, served.boundary)
    dead, known = _letters(connection, mine), _letters(connection, theirs)
    paths, unread = mine.files, Letters()
    for place, (rows, generation) in dead.items():
        fresh = rows - known.get(place, (frozenset[int](), 0))[0]
        if not fresh or not _has_read(connection, theirs, place, generation):
            continue
        position = _by_path(place, paths)
        if fresh := fresh - _settled(connection, mine.definition, position):
            unread[position] = PackedRows(pack_rows(fresh))
    if unread:
        count, position = sum(map(len, unread.values())), min(unread)
        raise UnreadMessagesError(
            f"{name}: {count:,} messages that are served can't be read by version {wanted.definition.version}, first "
            f"{position} row {min(unread[position])}: answers would lose them; let it read them (a default for a field "
            "that is new, source.default_revision for messages that name none), or say --accept-dead-letters",
            wanted.definition.version,
            unread,
        )


def _side(
    connection: sa.Connection, chains: Chains, definition: int, batch: int | None, live: int | None, boundary: int
) -> _Side:
    chain = chains.of(connection, batch) if batch is not None else frozenset[int]()
    files: dict[str, str] = {}
    for ordinals in chains.chunks(chain):
        query = sa.select(batch_runs.c.manifest).where(batch_runs.c.ordinal.in_(ordinals))
        for manifest in connection.execute(query).scalars():
            files |= {
                entry["digest"]: entry["path"] for entry in (manifest or {"segments": ()})["segments"] if entry["size"]
            }
    return _Side(definition, frozenset(chain), live, boundary, files)


def _letters(connection: sa.Connection, side: _Side) -> dict[str, tuple[Set[int], int]]:
    """By place (the rows that the side's runs found dead, the generation); for files the place is DIGEST/NUMBER."""
    r, digests = dead_letter_rows.c, {path: digest for digest, path in side.files.items()}
    query = sa.select(r.position, r.generation, r.live_run, r.batch_run, r.rows).where(r.definition == side.definition)
    found: dict[str, tuple[Set[int], int]] = {}
    for row in connection.execute(query):
        by_batch = row.batch_run in side.chain
        # Up to the boundary batch decides, after it live.
        by_live = side.live is not None and row.live_run == side.live and row.generation > side.boundary
        if not by_batch and not by_live:
            continue
        path, _, number = row.position.rpartition("/")
        place = f"{digests[path]}/{number}" if path in digests else row.position
        rows: Set[int] = PackedRows(row.rows)
        if place in found:
            rows = PackedRows(pack_rows(found[place][0] | rows))
        found[place] = (rows, row.generation)
    return found


def _settled(connection: sa.Connection, definition: int, position: str) -> set[int]:
    """Rows of the letters of a position that a user has dropped, or marked as replayed."""
    a = dead_letter_acts.c
    by_hand = sa.select(a.row).where(a.definition == definition, a.position == position)
    return set(connection.execute(by_hand.where(a.kind.in_(("dropped", "replayed")))).scalars())


def _by_path(place: str, paths: Mapping[str, str]) -> str:
    digest, _, number = place.rpartition("/")
    return f"{paths[digest]}/{number}" if digest in paths else place


def _has_read(connection: sa.Connection, side: _Side, place: str, generation: int) -> bool:
    lane, _, number = place.rpartition("/")
    if generation < 0:
        return lane in side.files
    if generation <= side.boundary:
        return bool(side.chain)
    s = live_segments.c
    query = sa.select(s.number).where(s.run == side.live, s.lane == lane, s.number == int(number))
    return side.live is not None and connection.execute(query).first() is not None
