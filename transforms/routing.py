"""From decoded events to the tiles and shards that they count in: filter, derive, key, lateness."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.columns import CONTENT, GENERATION, HASH, ID, KEY, LATE, TIME
from schemas.compiled import CompiledDefinition, Prepared
from schemas.hashing import hash64, hash_rows
from schemas.messages import DeadLetter
from transforms.elements import DeadLetterBatch, SegmentTally, SourceBatch, TileKey

__all__ = ["Routed", "late_rows", "route", "tile_of"]

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Routed:
    """Where the records of one source batch go."""

    parts: tuple[tuple[TileKey, pa.RecordBatch], ...]
    """Events by tile and shard: KEY, TIME, ID, HASH, CONTENT, GENERATION, LATE and the measures' inputs."""
    tally: SegmentTally
    dead: DeadLetterBatch


def tile_of(times: Times, size: int) -> Times:
    """The start of the tile that each time lies in; tiles begin at multiples of `size` from 1970-01-01 UTC."""
    return np.floor_divide(times, size) * size


def late_rows(tiles: Times, size: int, lateness: int, watermark: int | None) -> Flags:
    """Events whose tile is over by more than the lateness, by the watermark stored before them."""
    if watermark is None:
        return np.zeros(len(tiles), bool)
    return np.asarray(tiles + size + lateness <= watermark)


def route(compiled: CompiledDefinition, shards: int, batch: SourceBatch) -> Routed:
    """Filter, derive and key the events of a batch, set the late ones apart, and split the rest by tile and shard."""
    definition = compiled.definition
    prepared = compiled.prepare(batch.decoded.events)
    dead = (*batch.decoded.dead, *_failed_letters(batch, prepared))
    times = prepared.events.column(TIME).to_numpy()
    tiles = tile_of(times, definition.tile)
    late = late_rows(tiles, definition.tile, definition.lateness, batch.watermark)
    late_tiles, late_counts = np.unique(tiles[late], return_counts=True)
    # A copy of a late event may yet be in time, in another lane: the fold must know of it.
    chosen = np.arange(len(tiles)) if definition.deduplicate else np.flatnonzero(~late)
    parts = _split(compiled, shards, batch, prepared, tiles, late, chosen)
    tally = SegmentTally(
        position=batch.position,
        number=batch.number,
        generation=batch.generation,
        received=batch.decoded.received,
        routed=int((~late).sum()),
        filtered=prepared.filtered,
        dead=len(dead),
        late=tuple(zip(late_tiles.tolist(), late_counts.tolist(), strict=True)),
        reported=batch.reported,
    )
    return Routed(parts, tally, DeadLetterBatch(batch.position, batch.number, batch.generation, dead))


def _split(
    compiled: CompiledDefinition,
    shards: int,
    batch: SourceBatch,
    prepared: Prepared,
    tiles: Times,
    late: Flags,
    chosen: npt.NDArray[np.int64],
) -> tuple[tuple[TileKey, pa.RecordBatch], ...]:
    if not len(chosen):
        return ()
    events = _identified(compiled, batch, prepared).append_column(LATE, pa.array(late))
    shard = np.zeros(len(tiles), np.int64)
    if shards > 1:
        shard = (hash64(events.column(KEY)) % np.uint64(shards)).astype(np.int64)
    order = chosen[np.lexsort((shard[chosen], tiles[chosen]))]
    tiles, shard = tiles[order], shard[order]
    events = events.take(pa.array(order))
    borders = np.flatnonzero((tiles[1:] != tiles[:-1]) | (shard[1:] != shard[:-1])) + 1
    starts, ends = [0, *borders.tolist()], [*borders.tolist(), len(order)]
    return tuple(
        ((int(tiles[start]), int(shard[start])), events.slice(start, end - start))
        for start, end in zip(starts, ends, strict=True)
    )


def _identified(compiled: CompiledDefinition, batch: SourceBatch, prepared: Prepared) -> pa.RecordBatch:
    """The prepared events with the hashes of their id and of all that the definition reads of them."""
    sources = batch.decoded.events
    if prepared.events.num_rows != sources.num_rows:
        sources = sources.take(pa.array(prepared.rows))
    count = prepared.events.num_rows
    content = hash_rows([sources.column(name) for name in compiled.source_columns])
    return (
        prepared.events.append_column(HASH, pa.array(hash64(prepared.events.column(ID))))
        .append_column(CONTENT, pa.array(content))
        .append_column(GENERATION, pa.array(np.full(count, batch.generation, np.int64)))
    )


def _failed_letters(batch: SourceBatch, prepared: Prepared) -> list[DeadLetter]:
    letters = []
    for row, reason in sorted(prepared.failed.items()):
        place = int(batch.decoded.rows[row])
        if batch.messages is None:
            record = batch.decoded.events.slice(row, 1).to_pylist()[0]
            payload = json.dumps(record, default=str, sort_keys=True).encode()
            letters.append(DeadLetter(payload, reason, "expression", place))
            continue
        message = batch.messages.slice(place, 1).to_pylist()[0]
        letters.append(
            DeadLetter(
                message["data"],
                reason,
                "expression",
                place,
                message["message_id"],
                message["publish_time"],
                dict(message["attributes"]),
            )
        )
    return letters
