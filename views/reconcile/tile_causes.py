"""Explains differences between live and batch in a tile from the store: late events, copies in several generations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from tandem.schemas.states import Measures, block_schema, merge_blocks
from tandem.views.answers.merging import decode_states, encode_states
from tandem.views.answers.reading.rows import TileRow, batch_rows
from tandem.views.answers.reading.scope import Scope
from tandem.views.batch.chains import Chains
from tandem.views.reconcile.digests import MODULUS, ids_hashed, sum_of
from tandem.views.reconcile.tables import late_ids
from tandem.views.reconcile.tile_audit import IdSum, LiveTiles, sums_by_tile, tile_ids, written_ids
from tandem.views.rows import Ids
from tandem.views.storage.checksums import checked_states
from tandem.views.storage.tables import batch_runs, live_states, straddlers

__all__ = ["Causes", "Identity", "cross_duplicates_of", "differing_values", "explain"]

Identity = tuple[int, int]
"""(hash of the id, hash of the content), as unsigned numbers."""

_CHUNK: Final = 50_000


@dataclass(frozen=True, slots=True)
class Causes:
    """The causes of a difference between live and batch in one generation of a tile; numbers of events."""

    late: int = 0
    """Events that came too late for live: batch alone counts them."""
    arrived: int = 0
    """Events that live counts in another generation, where another copy lies; batch in this one."""
    left: int = 0
    """Events that live counts in this generation, batch in another."""
    missing: int = 0
    """Events of the journal that live should have counted and hasn't."""
    extra: int = 0
    """Events that live has and the journal hasn't."""
    logic: int = 0
    """Keys whose values differ although the same events were counted."""

    @property
    def explained(self) -> bool:
        """Whether late events and duplicates account for every difference."""
        return not (self.missing or self.extra or self.logic)

    @property
    def cross_duplicates(self) -> int:
        """Copies in several generations, in either direction."""
        return self.arrived + self.left


def explain(
    connection: sa.Connection,
    scope: Scope,
    live: LiveTiles,
    tile: int,
    batch: Mapping[int, IdSum],
) -> dict[int, Causes] | None:
    """By generation the causes of a tile's differences, or None where the store alone can't explain them: then the tile
    must be computed again. `batch`: batch's counts in it, by generation.
    """
    named = cross_duplicates_of(connection, live.run, tile)
    late = _late(connection, live.run, tile)
    at = _generations(tile_ids(connection, scope, tile), {*named, *(identity for identity, _ in late)})
    sums: dict[int, IdSum] = {g: ids for (t, g), ids in live.said.items() if t == tile}
    causes: dict[int, Causes] = {}

    def move(generation: int, identity: Identity, sign: int, cause: str) -> None:
        known = sums.get(generation, IdSum())
        if known.digest is None:
            return
        sums[generation] = IdSum(known.counted + sign, (known.digest + sign * _hash(identity)) % MODULUS)
        stated = causes.get(generation, Causes())
        causes[generation] = replace(stated, **{cause: getattr(stated, cause) + 1})

    for identity, counted in named.items():
        found = at.get(identity)
        if found is not None and found != counted and live.floor < counted <= scope.boundary:
            move(counted, identity, -1, "left")
            if live.floor < found <= scope.boundary:
                move(found, identity, 1, "arrived")
    for identity, generation in late:
        if identity not in named and at.get(identity) == generation and live.floor < generation <= scope.boundary:
            move(generation, identity, 1, "late")
    covered = {g for g in (*sums, *batch) if live.floor < g <= scope.boundary}
    agrees = all(sums.get(g, IdSum()) == batch.get(g, IdSum()) for g in covered)
    return causes if agrees else None


def cross_duplicates_of(connection: sa.Connection, run: int, tile: int) -> dict[Identity, int]:
    """Events that live counted in a later generation than that of another copy: the generation in which it counted
    them.
    """
    s = straddlers.c
    query = sa.select(s.hash, s.content, s.counted_generation).where(s.run == run, s.tile == tile)
    return {_identity(event, content): counted for event, content, counted in connection.execute(query)}


def _late(connection: sa.Connection, run: int, tile: int) -> set[tuple[Identity, int]]:
    late = late_ids.c
    query = sa.select(late.hash, late.content, late.generation).where(late.run == run, late.tile == tile)
    return {(_identity(event, content), generation) for event, content, generation in connection.execute(query)}


def _identity(event: int, content: int) -> Identity:
    return event % (1 << 64), content % (1 << 64)


def _generations(ids: Ids, wanted: Collection[Identity]) -> dict[Identity, int]:
    """The generation of each wanted id that batch counted."""
    if not wanted:
        return {}
    likely = ids[np.isin(ids["hash"], np.array([event for event, _ in wanted], np.uint64))]
    return {(int(row["hash"]), int(row["content"])): int(row["generation"]) for row in likely}


def _hash(identity: Identity) -> int:
    return sum_of(ids_hashed(*(np.array([part], np.uint64) for part in identity)))


def differing_values(
    connection: sa.Connection,
    chains: Chains,
    scope: Scope,
    measures: Measures,
    live: LiveTiles,
    written: Mapping[tuple[int, int], IdSum],
) -> dict[int, set[str]]:
    """Keys by tile whose state in batch differs from that of live, although both counted the same events.

    Only those tiles can be compared in which batch counted, beyond its events from before live's start, the same events
    as live. `written`: batch's counts, by tile and generation. Reads the live rows that batch covers.
    """
    base = _base(connection, chains, scope, live.floor)
    before = sums_by_tile(written_ids(connection, base).items()) if base is not None else {}
    counted = sums_by_tile(written.items())
    said = sums_by_tile(live.said.items())
    same = {
        tile
        for tile, ids in said.items()
        if ids.digest is not None and counted.get(tile, IdSum()).less(before.get(tile, IdSum())) == ids
    }
    if not same:
        return {}
    parts: dict[tuple[int, str], list[TileRow]] = {}
    for row in (*(batch_rows(connection, base) if base is not None else ()), *_live_rows(connection, scope, live)):
        if row.tile in same:
            parts.setdefault((row.tile, row.key), []).append(row)
    differing: dict[int, set[str]] = {}
    merged = _merged(measures, parts)
    for row in batch_rows(connection, scope):
        if row.tile in same and merged.pop((row.tile, row.key), None) != (row.events, row.states):
            differing.setdefault(row.tile, set()).add(row.key)
    for tile, key in merged:
        differing.setdefault(tile, set()).add(key)
    return differing


def _base(connection: sa.Connection, chains: Chains, scope: Scope, floor: int) -> Scope | None:
    """The newest ancestor that covers no generation after `floor`, if all its rows are still there."""
    b = batch_runs.c
    rows = [r for r in connection.execute(sa.select(b.ordinal, b.boundary, b.settled)) if r.ordinal in scope.chain]
    older = max((r.ordinal for r in rows if r.boundary <= floor), default=None)
    if older is None or any(r.settled for r in rows if r.ordinal > older):
        return None
    return replace(scope, batch_ordinal=older, chain=chains.of(connection, older))


def _live_rows(connection: sa.Connection, scope: Scope, live: LiveTiles) -> Iterator[TileRow]:
    s = live_states.c
    query = sa.select(live_states).where(s.run == live.run, s.generation > live.floor, s.generation <= scope.boundary)
    return (TileRow(*row[1:6]) for row in checked_states(live_states.name, connection.execute(query)))


def _merged(
    measures: Measures, parts: Mapping[tuple[int, str], list[TileRow]]
) -> dict[tuple[int, str], tuple[int, bytes]]:
    """(events, states) of each tile and key over its rows."""
    done = {place: (rows[0].events, rows[0].states) for place, rows in parts.items() if len(rows) == 1}
    several = [row for rows in parts.values() if len(rows) > 1 for row in rows]
    # Whole groups are adjacent, but a chunk may cut one: cut only where the place changes.
    for chunk in _chunks(several):
        block = merge_blocks(measures, [_block(measures, chunk)])
        tiles, keys = block.column(0).to_pylist(), block.column(1).to_pylist()
        values = zip(block.column(2).to_pylist(), encode_states(measures, block), strict=True)
        done |= dict(zip(zip(tiles, keys, strict=True), values, strict=True))
    return done


def _chunks(rows: list[TileRow]) -> Iterable[list[TileRow]]:
    start = 0
    while start < len(rows):
        end = min(start + _CHUNK, len(rows))
        while end < len(rows) and (rows[end].tile, rows[end].key) == (rows[end - 1].tile, rows[end - 1].key):
            end += 1
        yield rows[start:end]
        start = end


def _block(measures: Measures, rows: list[TileRow]) -> pa.RecordBatch:
    """Rows as a block, with the tile as generation; keys may repeat."""
    columns = [
        pa.array([row.tile for row in rows], pa.int64()),
        pa.array([row.key for row in rows], pa.string()),
        pa.array([row.events for row in rows], pa.int64()),
        *decode_states(measures, [row.states for row in rows], "live and batch"),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=block_schema(measures))
