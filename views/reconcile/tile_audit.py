"""Compares batch's records with its rows, and with live's counts: from the store alone, tile by tile.

This is the cheap level of reconciling. It reads no journal: only tiles whose differences it can't explain are computed
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from tandem.views.answers.reading.rows import TileRow, batch_rows
from tandem.views.answers.reading.scope import Scope
from tandem.views.batch.chains import Chain, Chains
from tandem.views.batch.event_ids import unpack_ids
from tandem.views.layers.reading import LayerFile
from tandem.views.reconcile.digest_rows import RowSum
from tandem.views.reconcile.digests import MODULUS, digest_of_ids, from_bytes
from tandem.views.reconcile.tables import batch_id_digests, batch_state_digests, live_id_digests
from tandem.views.reconcile.tile_sums import sums_of_rows
from tandem.views.rows import ID_DTYPE, Ids
from tandem.views.storage.checksums import AS_IT_IS, crc_of
from tandem.views.storage.tables import batch_cleared, batch_ids, batch_states, live_runs, live_tallies

__all__ = [
    "BatchTiles",
    "DamagedRow",
    "IdSum",
    "LiveTiles",
    "Place",
    "read_batch_tiles",
    "read_live_tiles",
    "sums_by_tile",
    "tile_ids",
    "written_ids",
]


@dataclass(frozen=True, slots=True)
class IdSum:
    """Number of events, and the digest of their ids (None: unknown)."""

    counted: int = 0
    digest: int | None = 0

    def add(self, other: IdSum) -> IdSum:
        """The sum of both."""
        if self.digest is None or other.digest is None:
            return IdSum(self.counted + other.counted, None)
        return IdSum(self.counted + other.counted, (self.digest + other.digest) % MODULUS)

    def less(self, other: IdSum) -> IdSum:
        """The difference to another sum."""
        if self.digest is None or other.digest is None:
            return IdSum(self.counted - other.counted, None)
        return IdSum(self.counted - other.counted, (self.digest - other.digest) % MODULUS)


Place = tuple[int, int]
"""(tile, generation)."""


_AS_IT_IS: Final = batch_ids.alias(AS_IT_IS)
"""Ids are read in spite of wrong checksums: reconciling compares them with digests."""


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row of batch_states or batch_ids whose checksum differs."""

    table: str
    key: Mapping[str, Any]
    """Its primary key by column, as far as it can be read."""
    tile: Any
    used: bool
    """Whether an answer would use it."""


@dataclass(slots=True)
class BatchTiles:
    """The records of a batch run and its ancestors, as written and as found."""

    rows_written: dict[int, RowSum] = field(default_factory=dict)
    """Sums by tile, as they were written."""
    rows_found: dict[int, RowSum] = field(default_factory=dict)
    ids_written: dict[Place, IdSum] = field(default_factory=dict)
    ids_found: dict[Place, IdSum] = field(default_factory=dict)
    damaged: list[DamagedRow] = field(default_factory=list)
    """Rows whose checksums differ."""
    damaged_files: list[LayerFile] = field(default_factory=list)
    """Files that aren't as they were written; none of their contents was checked."""

    @property
    def tiles(self) -> set[int]:
        """Every tile with rows or ids, now or as written."""
        return {*self.rows_written, *self.rows_found, *(tile for tile, _ in self.ids_written)}

    def changed_rows(self) -> set[int]:
        """Tiles whose rows were changed, added or lost since they were written."""
        both = {*self.rows_written, *self.rows_found}
        return {t for t in both if self.rows_written.get(t, RowSum()) != self.rows_found.get(t, RowSum())}

    def sound(self, row: DamagedRow) -> bool:
        """Whether the tile's digest proves that only a row's checksum is damaged."""
        if row.table == batch_ids.name:
            return row.tile not in self.changed_ids(True)
        return row.used and row.tile not in self.changed_rows()

    def changed_ids(self, deduplicates: bool) -> set[int]:
        """Tiles whose ids differ from those that were written."""
        if not deduplicates:
            return set()
        both = {*self.ids_written, *self.ids_found}
        return {p[0] for p in both if self.ids_written.get(p, IdSum()) != self.ids_found.get(p, IdSum())}

    def miscounted(self) -> set[int]:
        """Tiles whose rows were written with another number of events than were counted by ids."""
        counted: dict[int, int] = {}
        for (tile, _), ids in self.ids_written.items():
            counted[tile] = counted.get(tile, 0) + ids.counted
        both = {*counted, *self.rows_written}
        return {t for t in both if counted.get(t, 0) != self.rows_written.get(t, RowSum()).events}


@dataclass(frozen=True, slots=True)
class LiveTiles:
    """A live run's counts for the generations after `floor` and up to the boundary."""

    run: int
    floor: int
    """The run holds no generation up to this one: batch had them before it, or they were pruned."""
    base_batch_run: int | None
    base_boundary: int
    said: Mapping[Place, IdSum]


def read_batch_tiles(connection: sa.Connection, chains: Chains, scope: Scope, deduplicates: bool) -> BatchTiles:
    """All tiles of the served batch run; reads every row and every id of it once."""
    tiles = BatchTiles()
    if scope.batch_ordinal is None:
        return tiles
    s = batch_state_digests.c
    query = sa.select(s.tile, s.batch_run, s.rows, s.events, s.digest).where(s.definition == scope.definition)
    for tile, ordinal, *columns in connection.execute(query):
        if ordinal in scope.chain:
            tiles.rows_written[tile] = tiles.rows_written.get(tile, RowSum()).add(RowSum.stored(*columns))
    damaged, used = list[Any](), set[tuple[str, int, bytes]]()

    def looked_at() -> Iterator[TileRow]:
        for row in batch_rows(connection, scope, damaged, tiles.damaged_files):
            if damaged and any((row.key, row.tile, row.states) == (*bad[1:3], bad[5]) for bad in damaged):
                used.add((row.key, row.tile, row.states))
            yield row

    tiles.rows_found = sums_of_rows(looked_at())
    for bad in damaged:
        key = dict(zip(("definition", "key", "tile", "batch_run"), bad[:4], strict=True))
        tiles.damaged.append(DamagedRow(batch_states.name, key, bad[2], (*bad[1:3], bad[5]) in used))
    tiles.ids_written = written_ids(connection, scope)
    if deduplicates:
        _find_ids(connection, scope, tiles)
    return tiles


def written_ids(connection: sa.Connection, scope: Scope) -> dict[Place, IdSum]:
    """The counts of a batch run and its ancestors, as they were written."""
    begun, sums = _begun(connection, scope.definition, scope.chain), dict[Place, IdSum]()
    i = batch_id_digests.c
    query = sa.select(i.tile, i.batch_run, i.generation, i.counted, i.digest).where(i.definition == scope.definition)
    for tile, ordinal, generation, counted, digest in connection.execute(query):
        if ordinal in scope.chain and ordinal >= begun.get(tile, 0):
            _add(sums, (tile, generation), IdSum(counted, from_bytes(digest)))
    return sums


def _find_ids(connection: sa.Connection, scope: Scope, tiles: BatchTiles) -> None:
    begun = _begun(connection, scope.definition, scope.chain)
    query = sa.select(_AS_IT_IS).where(_AS_IT_IS.c.definition == scope.definition).execution_options(yield_per=1_000)
    for *row, crc in connection.execute(query):
        _, tile, _, ordinal, generation, packed = row
        if crc_of(batch_ids.name, row) != crc and connection.dialect.name == "sqlite":
            key = dict(zip((column.name for column in batch_ids.primary_key), row, strict=False))
            tiles.damaged.append(DamagedRow(batch_ids.name, key, tile, True))
        if ordinal in scope.chain and ordinal >= begun.get(tile, 0) and isinstance(packed, bytes):
            whole = len(packed) - len(packed) % 16  # a truncated rest shows in the count
            ids = unpack_ids(packed[:whole], generation)
            _add(tiles.ids_found, (tile, generation), IdSum(len(ids), digest_of_ids(ids)))


def _begun(connection: sa.Connection, definition: int, chain: Chain) -> dict[int, int]:
    """By tile the batch run that cleared its ids."""
    c = batch_cleared.c
    newest: dict[int, int] = {}
    for tile, ordinal in connection.execute(sa.select(c.tile, c.batch_run).where(c.definition == definition)):
        if ordinal in chain:
            newest[tile] = max(ordinal, newest.get(tile, 0))
    return newest


def _add(sums: dict[Place, IdSum], place: Place, more: IdSum) -> None:
    sums[place] = sums[place].add(more) if place in sums else more


def read_live_tiles(connection: sa.Connection, scope: Scope, live_id: int | None) -> LiveTiles | None:
    """A live run's counts for sealed generations that it still holds; None without a live run."""
    if live_id is None:
        return None
    run = connection.execute(sa.select(live_runs).where(live_runs.c.id == live_id)).one()
    t, d = live_tallies.c, live_id_digests.c
    same = sa.and_(d.run == t.run, d.tile == t.tile, d.shard == t.shard, d.generation == t.generation, d.seen == t.seen)
    floor = max(run.pruned_to, run.base_boundary)
    query = (
        sa.select(t.tile, t.generation, t.counted, d.digest)
        .outerjoin(live_id_digests, same)
        .where(t.run == live_id, t.generation > floor, t.generation <= scope.boundary)
    )
    said: dict[Place, IdSum] = {}
    for tile, generation, counted, digest in connection.execute(query):
        # A tally of duplicates alone has an empty sum.
        known = from_bytes(digest) if digest is not None else None if counted else 0
        _add(said, (tile, generation), IdSum(counted, known))
    return LiveTiles(live_id, floor, run.base_batch_run, run.base_boundary, said)


def tile_ids(connection: sa.Connection, scope: Scope, tile: int) -> Ids:
    """The ids that batch counted in a tile, sorted by hash and content; damaged ones are left out."""
    begun = _begun(connection, scope.definition, scope.chain).get(tile, 0)
    b = _AS_IT_IS.c
    query = sa.select(b.batch_run, b.generation, b.ids).where(b.definition == scope.definition, b.tile == tile)
    parts = [np.empty(0, ID_DTYPE)]
    for ordinal, generation, packed in connection.execute(query):
        if ordinal in scope.chain and ordinal >= begun and isinstance(packed, bytes):
            parts.append(unpack_ids(packed[: len(packed) - len(packed) % 16], generation))
    return _sorted(np.concatenate(parts))


def _sorted(ids: Any) -> Ids:
    return np.asarray(ids[np.lexsort((ids["content"], ids["hash"]))])


def sums_by_tile(places: Iterable[tuple[Place, IdSum]]) -> dict[int, IdSum]:
    """The sum over the generations of each tile."""
    sums: dict[int, IdSum] = {}
    for (tile, _), ids in places:
        sums[tile] = sums.get(tile, IdSum()).add(ids)
    return sums
