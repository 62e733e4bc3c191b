"""Deduplicates and tallies many tiles at once, as `tandem.transforms.fold.state.TileState.admit` does one tile.

Only for tiles of which neither an ancestor nor a live run has counted events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.columns import KEY, LATE
from tandem.schemas.states import numbered
from tandem.transforms.batch.spill_files import with_plain_keys
from tandem.transforms.elements import Tally
from tandem.transforms.routing.seen_ids import ID_SCHEMA, Ids, ids_batch
from tandem.views.reconcile.digests import digests_of_groups, ids_hashed

__all__ = ["AdmittedTiles", "admit_tiles", "concatenated", "is_plain"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AdmittedTiles:
    """The counted events of several tiles."""

    counted: pa.RecordBatch
    """The counted events, tile by tile."""
    owners: Rows
    """The number of each counted event's tile."""
    tallies: tuple[tuple[Tally, ...], ...]
    """By tile, one a generation, ascending."""
    ids: pa.RecordBatch
    """The ids of the counted events tile by tile, sorted by hash and content; none without de-duplication."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of counted events of each tile."""
        return tuple(np.bincount(self.owners, minlength=len(self.tallies)).tolist())


def concatenated(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The batches as one; if some have keys as codes and others as strings, all get strings."""
    if len({batch.schema.field(KEY).type for batch in batches}) > 1:
        batches = [with_plain_keys(batch) for batch in batches]
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def admit_tiles(events: pa.RecordBatch, owners: Rows, count: int, *, deduplicate: bool = True) -> AdmittedTiles:
    """The counted events of each of `count` tiles; none of the events is late.

    `owners`: the number of each event's tile, ascending. Of several copies the first of the lowest generation counts.
    """
    ids = Ids.of(events)
    if not deduplicate:
        none = np.zeros(len(owners), bool)
        return AdmittedTiles(events, owners, _tallies(count, (owners, ids), (owners, ids), none), _NONE)
    order = _by_tile_and_identity(owners, ids)
    ordered, mine = ids[order], owners[order]
    same_id = (ordered.hash[1:] == ordered.hash[:-1]) & (mine[1:] == mine[:-1])
    leads = np.ones(len(order), bool)
    leads[1:] = ~(same_id & (ordered.content[1:] == ordered.content[:-1]))
    clash = np.zeros(len(order), bool)
    clash[1:] = same_id & leads[1:]
    every = bool(leads.all())
    first = np.ones(len(order), bool)
    first[order[~leads]] = False
    counted = events if every else events.filter(pa.array(first))
    candidates = ordered if every else ordered[leads]
    tallies = _tallies(count, (owners, ids), (mine[leads], candidates), clash[leads])
    return AdmittedTiles(counted, owners if every else owners[first], tallies, ids_batch(candidates))


def _by_tile_and_identity(owners: Rows, ids: Ids) -> Rows:
    """The order by tile, hash and content; copies by generation, then by position."""
    if not len(owners):
        return np.zeros(0, np.int64)
    bits = np.uint64(max(int(owners[-1]).bit_length(), 1))
    # The tile and most of the hash share a word, which nearly decides.
    words = (owners.astype(np.uint64) << (np.uint64(64) - bits)) | (ids.hash >> bits)
    order = np.argsort(words)
    in_order = words[order]
    equal = np.zeros(len(order) + 1, bool)
    np.equal(in_order[1:], in_order[:-1], out=equal[1:-1])
    tied = np.flatnonzero(equal[1:] | equal[:-1])
    if len(tied):
        rows = np.sort(order[tied])
        order[tied] = rows[np.lexsort([ids.generation[rows], ids.content[rows], ids.hash[rows], words[rows]])]
    return order


def _tallies(
    count: int, events: tuple[Rows, Ids], counted: tuple[Rows, Ids], conflicts: npt.NDArray[np.bool_]
) -> tuple[tuple[Tally, ...], ...]:
    """The tallies of each tile, one a generation, ascending; `conflicts`: among the counted events."""
    (owners, ids), (mine, candidates) = events, counted
    generations, codes = numbered(np.concatenate([ids.generation, candidates.generation]))
    width = max(len(generations), 1)
    received = owners * width + codes[: len(owners)]
    places = mine * width + codes[len(owners) :]
    size = count * width
    totals, firsts = np.bincount(received, minlength=size), np.bincount(places, minlength=size)
    clashes = np.bincount(places[conflicts], minlength=size)
    digests = digests_of_groups(ids_hashed(candidates.hash, candidates.content), places, size)
    found: list[list[Tally]] = [[] for _ in range(count)]
    for place in np.flatnonzero(totals).tolist():
        tile, generation = divmod(place, width)
        number, first = int(totals[place]), int(firsts[place])
        found[tile].append(
            Tally(int(generations[generation]), first, number - first, int(clashes[place]), digests[place])
        )
    return tuple(map(tuple, found))


def is_plain(events: pa.RecordBatch) -> bool:
    """Whether none of the events is late."""
    return not events.column(LATE).true_count


_NONE: Final = pa.RecordBatch.from_pylist([], schema=ID_SCHEMA)
