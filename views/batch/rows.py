"""Prepares the rows that one write of a batch run puts into each table, before its transaction begins.

The lock on the store is then held for the inserts alone, and several processes that write one run overlap. This is
sound because the ancestors' rows, which the preparation reads, never change: a newer ancestor replaces whatever pruning
removes of them. Only the tiles that the run has cleared may differ by then; the writer checks them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.states import Measures, block_schema, empty_block, merge_blocks, with_generation
from tandem.views.answers.merging import StoredRow, decode_states, encoded_states
from tandem.views.batch.event_ids import PackedIds, pack_all
from tandem.views.reconcile.digest_rows import RowSum
from tandem.views.reconcile.digests import Hashes128, as_bytes, digest_of_pairs, row_hashes, sum_of
from tandem.views.storage.checksums import state_crc
from tandem.views.storage.tables import batch_states
from tandem.views.updates import BatchUpdateLike

__all__ = ["Below", "Place", "PreparedBatch", "StateColumns", "prepare"]

_AT_ONCE: Final = 1 << 15
"""Rows that are hashed and converted to Python values at a time."""

Place = tuple[int, int]
"""Tile and shard."""


@dataclass(frozen=True, slots=True)
class Below:
    """The ancestors' rows below a batch run, at the places and keys that it is about to write."""

    definition: int
    ordinal: int
    cleared: frozenset[int]
    """Tiles that the run itself has cleared."""
    rows: Mapping[Place, Mapping[str, StoredRow]]
    """By place and key the ancestors' rows, for the keys that are written."""


@dataclass(frozen=True, slots=True)
class StateColumns:
    """Rows of states in the order of the key's bytes, then tile, column by column."""

    keys: list[str]
    tiles: list[int]
    events: list[int]
    states: list[bytes]
    crcs: list[int]

    def rows(self, definition: int, ordinal: int) -> Iterator[tuple[Any, ...]]:
        """The rows for batch_states."""
        columns = (self.keys, self.tiles, repeat(ordinal), self.events, self.states, self.crcs)
        return zip(repeat(definition), *columns, strict=False)


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """The rows of one write of a batch run, in the order of their tables' keys."""

    below: Below
    states: StateColumns
    ids: list[tuple[Any, ...]]
    """The rows for batch_ids."""
    state_digests: list[tuple[Any, ...]]
    id_digests: list[tuple[Any, ...]]


def prepare(below: Below, measures: Measures, updates: Sequence[BatchUpdateLike]) -> PreparedBatch:
    """Merge updates with the ancestors' rows, encode the states, pack the ids, and sum up the digests."""
    places = sorted({(update.tile, update.shard) for update in updates})
    definition, ordinal = below.definition, below.ordinal
    states, sums = _encoded(measures, _merged(measures, updates, places, below), places, (definition, ordinal))
    digests = [
        (definition, *place, ordinal, *_less_replaced(written, below.rows.get(place, {})).columns)
        for place, written in zip(places, sums, strict=True)
        if written.rows
    ]
    ids, id_digests = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    in_order = sorted(updates, key=lambda update: (update.tile, update.shard))
    for update, mine in zip(in_order, pack_all(in_order), strict=True):
        place = update.tile, update.shard
        ids.extend((definition, *place, ordinal, packed.generation, packed.packed) for packed in mine)
        id_digests.extend((definition, *place, ordinal, *columns) for columns in _counted(update, mine))
    return PreparedBatch(below, states, ids, digests, id_digests)


def _less_replaced(written: RowSum, replaced: Mapping[str, StoredRow]) -> RowSum:
    return written.less(RowSum.of([(key, row.events, row.states) for key, row in replaced.items()]))


def _merged(
    measures: Measures, updates: Sequence[BatchUpdateLike], places: Sequence[Place], below: Below
) -> pa.RecordBatch:
    """One row a place and key, merged over all generations; the generation's column holds the place's number."""
    numbers = {place: number for number, place in enumerate(places)}
    blocks: list[tuple[int, pa.RecordBatch]] = []
    for update in updates:
        if not update.block.num_rows:
            continue
        number = numbers[update.tile, update.shard]
        blocks.append((number, with_generation(_columns(measures, update.block), number)))
    blocks += [
        (numbers[place], _stored_block(measures, numbers[place], place[0], rows))
        for place, rows in below.rows.items()
        if rows
    ]
    blocks = sorted((entry for entry in blocks if entry[1].num_rows), key=lambda entry: entry[0])
    alone = len({number for number, _ in blocks}) == len(blocks)
    if alone and all(_one_generation(update.block) for update in updates):
        return pa.concat_batches([block for _, block in blocks]) if blocks else empty_block(measures)
    return merge_blocks(measures, [block for _, block in blocks])


def _one_generation(block: pa.RecordBatch) -> bool:
    """Whether the block's keys all differ: its rows are already unique by generation and key."""
    generations = block.column(GENERATION).to_numpy(zero_copy_only=False)
    return not len(generations) or bool(generations.min() == generations.max())


def _columns(measures: Measures, block: pa.RecordBatch) -> pa.RecordBatch:
    schema = block_schema(measures)
    return pa.RecordBatch.from_arrays([block.column(name) for name in schema.names], schema=schema)


def _stored_block(measures: Measures, number: int, tile: int, rows: Mapping[str, StoredRow]) -> pa.RecordBatch:
    """Stored rows by key as a block, with the place's number as generation."""
    columns = [
        pa.array(np.full(len(rows), number, np.int64)),
        pa.array(list(rows), pa.string()),
        pa.array([row.events for row in rows.values()], pa.int64()),
        *decode_states(measures, [row.states for row in rows.values()], f"batch, tile {tile}"),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=block_schema(measures))


def _encoded(
    measures: Measures, merged: pa.RecordBatch, places: Sequence[Place], run: tuple[int, int]
) -> tuple[StateColumns, list[RowSum]]:
    """(the rows of a run (definition, ordinal) as they are stored, the sums over the rows of each place)."""
    if not merged.num_rows:
        return StateColumns([], [], [], [], []), [RowSum()] * len(places)
    encoded = encoded_states(measures, merged)
    ranks, texts = _ranked(merged.column(KEY))
    order = np.argsort(ranks, kind="stable")  # already sorted by place within a key
    numbers, events = merged.column(GENERATION).to_numpy(), merged.column(EVENTS).to_numpy()
    columns = pa.record_batch({KEY: merged.column(KEY), EVENTS: merged.column(EVENTS), "states": encoded})
    del merged, encoded
    states, hashes = list[bytes](), np.empty((len(order), 2), np.uint64)
    for at in range(0, len(order), _AT_ONCE):
        rows = order[at : at + _AT_ONCE]
        part = columns.take(pa.array(rows))
        hashes[rows] = row_hashes(*part.columns)
        states += part.column("states").to_pylist()
    keys = [texts[rank] for rank in ranks[order].tolist()]
    tiles = np.array([tile for tile, _ in places], np.int64)[numbers[order]]
    found = _sealed(StateColumns(keys, tiles.tolist(), events[order].tolist(), states, []), run)
    return found, _sums(hashes, numbers, events, len(places))


def _sealed(columns: StateColumns, run: tuple[int, int]) -> StateColumns:
    definition, ordinal = run
    rows = zip(columns.keys, columns.tiles, columns.events, columns.states, strict=True)
    name = batch_states.name
    columns.crcs[:] = [
        state_crc(name, definition, k, tile, ordinal, events, states) for k, tile, events, states in rows
    ]
    return columns


def _ranked(keys: pa.Array) -> tuple[npt.NDArray[np.int64], list[str]]:
    """(each row's rank among the distinct keys in the order of their bytes, those keys)."""
    encoded = keys.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    ranks = np.empty(len(order), np.int64)
    ranks[order.to_numpy()] = np.arange(len(order))
    return ranks[encoded.indices.to_numpy(zero_copy_only=False)], encoded.dictionary.take(order).to_pylist()


def _sums(hashes: Hashes128, numbers: npt.NDArray[np.int64], events: npt.NDArray[np.int64], size: int) -> list[RowSum]:
    """The sums over the rows of each place, which lie together."""
    borders = np.searchsorted(numbers, np.arange(size + 1)).tolist()
    return [
        RowSum(end - start, int(events[start:end].sum()), sum_of(hashes[start:end])) for start, end in pairwise(borders)
    ]


def _counted(update: BatchUpdateLike, ids: Sequence[PackedIds]) -> Iterator[tuple[int, int, bytes]]:
    """(generation, events, digest) of the events that an update counted, for batch_id_digests."""
    tallies = getattr(update, "tallies", ())
    if not update.ids.num_rows:
        # Without de-duplication no ids are kept, but the fold has summed up their digest.
        for tally in tallies:
            yield tally.generation, tally.counted, as_bytes(getattr(tally, "digest", 0))
        return
    summed = {tally.generation: (tally.counted, getattr(tally, "digest", 0)) for tally in tallies}
    for mine in ids:
        counted, digest = summed.get(mine.generation, (0, 0))
        if counted != len(mine.pairs) or not digest:  # the fold has no sum, or the sum of other ids
            digest = digest_of_pairs(mine.pairs[:, 0], mine.pairs[:, 1])
        yield mine.generation, len(mine.pairs), as_bytes(digest)
