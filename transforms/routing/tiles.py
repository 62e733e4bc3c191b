"""Routes decoded events to the tiles and shards in which they count: filter, derive, key, lateness."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.formats.avro.types import source_fields
from tandem.formats.json.encoding import record_json
from tandem.schemas.buckets import buckets_of, first_bucket, in_buckets, shards_of
from tandem.schemas.columns import CONTENT, GENERATION, HASH, ID, KEY, LATE, TILE, TIME
from tandem.schemas.definition.compiled import CompiledDefinition, Prepared
from tandem.schemas.definition.loading import Source
from tandem.schemas.hashing import hash64, hash_rows
from tandem.schemas.messages import DeadLetter
from tandem.schemas.telemetry.traces import Segment
from tandem.transforms.elements import DeadLetterBatch, SegmentTally, SourceBatch, TileKey
from tandem.transforms.routing.replay_outcomes import EarlierLetters, find_replays, outcomes_of, repeated
from tandem.transforms.routing.spreading import Groups, groups_of, spread
from tandem.transforms.sources.reader_epochs import stamped
from tandem.transforms.sources.traced import marked

__all__ = ["Routed", "late_rows", "route", "sorted_places", "tile_of"]

_NONE: Final = np.zeros(0, np.int64)

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Agreed = Callable[[npt.NDArray[np.uint8]], "tuple[int, ...] | None"]
"""Given the buckets of a batch's events, the load of each bucket on which all workers agree; None: unknown."""


@dataclass(frozen=True, slots=True)
class Routed:
    """The routing of one source batch's records."""

    parts: tuple[tuple[TileKey, pa.RecordBatch], ...]
    """Events by tile and shard, under the key of `spread`: KEY, the measures' inputs, HASH, CONTENT, GENERATION,
    LATE. Together: by shard, in the order of their tiles, with TILE besides, under their first tile."""
    tally: SegmentTally
    dead: DeadLetterBatch


def tile_of(times: Times, size: int) -> Times:
    """The start of each time's tile; tiles begin at multiples of `size` from 1970-01-01 UTC."""
    return np.floor_divide(times, size) * size


def late_rows(tiles: Times, size: int, lateness: int, watermark: int | None) -> Flags:
    """Whether each event's tile ended more than the lateness before the watermark stored before the event."""
    if watermark is None:
        return np.zeros(len(tiles), bool)
    return np.asarray(tiles + size + lateness <= watermark)


def route(
    compiled: CompiledDefinition,
    shards: int,
    batch: SourceBatch,
    earlier: EarlierLetters | None = None,
    agreed: Agreed | None = None,
    *,
    together: bool = False,
) -> Routed:
    """Filter, derive and key the events of a batch, mark late ones, and split them by tile and shard.

    `earlier` knows the originals of replays, for definitions that don't deduplicate. `agreed`: the loads by which
    shards are spread. `together`: tiles stay together, so that small ones don't cost a part each.
    """
    definition = compiled.definition
    prepared = compiled.prepare(batch.decoded.events)
    dead = (*batch.decoded.dead, *_failed_letters(definition.source, batch, prepared))
    times = prepared.events.column(TIME).to_numpy()
    tiles = tile_of(times, definition.tile)
    replays = find_replays(batch)
    again = repeated(compiled, batch, prepared, replays, earlier)
    late = late_rows(tiles, definition.tile, definition.lateness, batch.watermark) & ~again
    late_tiles, late_counts = np.unique(tiles[late], return_counts=True) if late.any() else (_NONE, _NONE)
    # A copy of a late event may yet be in time, in another lane: the fold must know of it.
    chosen = np.arange(len(tiles)) if definition.deduplicate else np.flatnonzero(~late & ~again)
    routed = compiled, shards, batch, prepared, tiles, late, chosen
    parts = _together(*routed) if together else _split(*routed, agreed)
    tally = SegmentTally(
        position=batch.position,
        number=batch.number,
        generation=batch.generation,
        received=batch.decoded.received,
        routed=int((~late & ~again).sum()),
        filtered=prepared.filtered,
        dead=len(dead),
        late=tuple(zip(late_tiles.tolist(), late_counts.tolist(), strict=True)),
        reported=batch.reported,
        tiles=_distinct(tiles, definition.tile),
        duplicates=int(again.sum()),
        dead_rows=tuple(sorted(letter.row for letter in dead)),
        replays=outcomes_of(replays, dead),
    )
    return Routed(parts, tally, DeadLetterBatch(batch.position, batch.number, batch.generation, dead, tally.replays))


def _distinct(tiles: Times, size: int) -> tuple[int, ...]:
    """The distinct tiles, ascending; by a table of marks where they are close together."""
    if not len(tiles):
        return ()
    first = int(tiles.min())
    places = (tiles - first) // size
    if places.max() >= 8 * len(places):
        return tuple(np.unique(tiles).tolist())
    return tuple((np.flatnonzero(np.bincount(places)) * size + first).tolist())


def _split(
    compiled: CompiledDefinition,
    shards: int,
    batch: SourceBatch,
    prepared: Prepared,
    tiles: Times,
    late: Flags,
    chosen: npt.NDArray[np.int64],
    agreed: Agreed | None,
) -> tuple[tuple[TileKey, pa.RecordBatch], ...]:
    if not len(chosen):
        return ()
    events = _identified(compiled, batch, prepared, late)
    places, shard = (tiles - tiles.min()) // compiled.definition.tile, np.zeros(len(tiles), np.int64)
    groups: Groups | None = None
    if shards > 1:
        buckets = buckets_of(events.column(KEY))
        shard = shards_of(buckets, shards)
        groups = groups_of(shards, agreed(buckets) if agreed is not None else None)
        places = places * shards + shard
    order = chosen[sorted_places(places[chosen])]
    tiles, shard, places = tiles[order], shard[order], places[order]
    events = events.take(pa.array(order))
    borders = [0, *(np.flatnonzero(places[1:] != places[:-1]) + 1).tolist(), len(order)]
    events = stamped(events, {batch.position: batch.opening} if batch.opening is not None else {})
    events = marked(events, [Segment(batch.position, batch.number)])
    return tuple(
        (
            spread((int(tiles[start]), first_bucket(int(shard[start]), shards)), shards, groups),
            events.slice(start, end - start),
        )
        for start, end in pairwise(borders)
    )


def _together(
    compiled: CompiledDefinition,
    shards: int,
    batch: SourceBatch,
    prepared: Prepared,
    tiles: Times,
    late: Flags,
    chosen: npt.NDArray[np.int64],
) -> tuple[tuple[TileKey, pa.RecordBatch], ...]:
    """As `_split`, with one part a shard; workers don't have to agree on loads, since places of parts say nothing."""
    if not len(chosen):
        return ()
    events = _identified(compiled, batch, prepared, late).append_column(TILE, pa.array(tiles))
    numbers = (tiles[chosen] - tiles.min()) // compiled.definition.tile
    shard = np.zeros(len(chosen), np.int64)
    if shards > 1:
        shard = shards_of(buckets_of(events.column(KEY)), shards)[chosen]
        numbers += shard * (int(numbers.max()) + 1)
    if len(chosen) < len(tiles) or (numbers[1:] < numbers[:-1]).any():
        order = sorted_places(numbers)
        events, tiles, shard = events.take(pa.array(chosen[order])), tiles[chosen[order]], shard[order]
    events = marked(events, [Segment(batch.position, batch.number)])
    borders = [0, *(np.flatnonzero(shard[1:] != shard[:-1]) + 1).tolist(), len(shard)]
    return tuple(
        ((int(tiles[start]), first_bucket(int(shard[start]), shards)), events.slice(start, end - start))
        for start, end in pairwise(borders)
    )


def sorted_places(places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The stable order of places, counted from 0: NumPy sorts two bytes by radix, many times faster than eight."""
    return np.argsort(places.astype(np.uint16) if places.max() < 1 << 16 else places, kind="stable")


def _identified(compiled: CompiledDefinition, batch: SourceBatch, prepared: Prepared, late: Flags) -> pa.RecordBatch:
    """The prepared events with the hashes of their id and of all fields that the definition reads, and LATE."""
    sources = batch.decoded.events
    if prepared.events.num_rows != sources.num_rows:
        sources = sources.take(pa.array(prepared.rows))
    count = prepared.events.num_rows
    content = hash_rows([sources.column(name) for name in compiled.source_columns])
    ids = in_buckets(hash64(prepared.events.column(ID)), prepared.events.column(KEY))
    return (
        prepared.events.select(compiled.aggregated_columns)
        .append_column(HASH, pa.array(ids))
        .append_column(CONTENT, pa.array(content))
        .append_column(GENERATION, pa.array(np.full(count, batch.generation, np.int64)))
        .append_column(LATE, pa.array(late))
    )


def _failed_letters(source: Source, batch: SourceBatch, prepared: Prepared) -> list[DeadLetter]:
    letters = []
    for row, reason in sorted(prepared.failed.items()):
        place = int(batch.decoded.rows[row])
        if batch.messages is None:
            payload = _record(source, batch.decoded.events.slice(row, 1))
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


def _record(source: Source, event: pa.RecordBatch) -> bytes:
    """The fields that were read of a record as JSON, in the form that the JSON decoder reads back."""
    fields = source_fields(source)
    names = [name for name in event.schema.names if name in fields.usable]
    arrays = {name: event.column(name) for name in names}
    if source.event_time not in arrays:
        arrays[source.event_time] = event.column(TIME).cast(pa.timestamp("us", "UTC"))
    ids = event.column(ID).to_pylist()
    for name, value in zip(source.event_id, ids if len(source.event_id) == 1 else json.loads(ids[0]), strict=True):
        if name not in arrays:
            arrays[name] = pa.array([value]).cast(fields.usable[name].arrow)
    return record_json(fields, arrays, 0)
