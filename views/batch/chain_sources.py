"""The sources of a batch run and its ancestors, and which of them hold events of given tiles."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from tandem.views.answers.reading.rows import batch_rows
from tandem.views.answers.reading.scope import Scope
from tandem.views.reconcile.digest_rows import unpack_tiles
from tandem.views.reconcile.tables import segment_tiles
from tandem.views.rows import BatchManifest, SegmentFile
from tandem.views.storage.tables import batch_runs, publications
from tandem.views.store import ViewStore

__all__ = ["ChainFile", "ChainSources", "chain_sources", "covered_at", "holding", "rows_of", "stored_tiles"]


@dataclass(frozen=True, slots=True)
class ChainFile:
    """A data file that a run of the chain read."""

    file: SegmentFile
    generation: int
    arrival_time: int
    """Start of that run, microseconds UTC."""


@dataclass(frozen=True, slots=True)
class ChainSources:
    """The files and segments that a batch run and its ancestors read."""

    files: tuple[ChainFile, ...]
    segments: tuple[SegmentFile, ...]


def chain_sources(store: ViewStore, scope: Scope) -> ChainSources:
    """The files and segments in all manifests of the served chain."""
    files, segments = list[ChainFile](), list[SegmentFile]()
    with store.database.read() as connection:
        rows = {row.ordinal: row for row in connection.execute(sa.select(batch_runs)) if row.ordinal in scope.chain}
    for row in rows.values():
        above = rows[row.parent].file_sets if row.parent in rows else []
        added = [entry["generation"] for entry in row.file_sets if entry not in above]
        for file in BatchManifest.from_data(row.manifest).segments if row.manifest is not None else ():
            # Segments are listed with their messages, files with their bytes.
            if file.size and added:
                files.append(ChainFile(file, added[0], row.created_at))
            else:
                segments.append(file)
    return ChainSources(tuple(files), tuple(segments))


def holding(
    store: ViewStore, definition: int, tiles: Collection[int]
) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """(segments, batches of files) that hold an event of any of the tiles, as far as their tiles are noted.

    Both are pairs of position (a lane, or a file's path) and number there.
    """
    wanted, found, known = set(tiles), set[tuple[str, int]](), set[tuple[str, int]]()
    with store.database.read() as connection:
        for position, number, held in stored_tiles(connection, definition):
            known.add((position, number))
            if not wanted.isdisjoint(held):
                found.add((position, number))
    return found, known


def stored_tiles(connection: sa.Connection, definition: int) -> Iterator[tuple[str, int, list[int]]]:
    """(position, number, tiles) of each segment and batch of a file whose tiles are noted, in the order of both."""
    s = segment_tiles.c
    query = sa.select(s.position, s.number, s.tiles).where(s.definition == definition).order_by(s.position, s.number)
    for position, number, packed in connection.execute(query):
        yield position, number, unpack_tiles(packed)


def covered_at(store: ViewStore, scope: Scope) -> dict[int, int]:
    """By boundary the first publication of a batch view up to it, wall clock, microseconds UTC."""
    p = publications.c
    query = sa.select(p.boundary, sa.func.min(p.published_at)).where(
        p.name == scope.name, p.definition == scope.definition, p.batch_run.is_not(None)
    )
    with store.database.read() as connection:
        return {boundary: int(at) for boundary, at in connection.execute(query.group_by(p.boundary))}


def rows_of(store: ViewStore, scope: Scope, tiles: Collection[int]) -> dict[int, dict[str, tuple[int, bytes]]]:
    """The served rows of batch in these tiles: by tile and key (events, states)."""
    found: dict[int, dict[str, tuple[int, bytes]]] = {tile: {} for tile in tiles}
    with store.database.read() as connection:
        for row in batch_rows(connection, scope):
            if row.tile in found:
                found[row.tile][row.key] = (row.events, row.states)
    return found
