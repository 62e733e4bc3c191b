"""The ids of a tile's counted events: sorted columns of id and content hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.schemas.columns import CONTENT, GENERATION, HASH

__all__ = ["ID_SCHEMA", "Ids", "SeenIds", "Verdict", "as_ids", "ids_batch", "joined", "merge_sorted"]

ID_SCHEMA = pa.schema([(HASH, pa.uint64()), (CONTENT, pa.uint64()), (GENERATION, pa.int64())])
"""Counted ids: an event is a copy of another if both hashes are equal."""

_ID_TYPE = np.dtype([("hash", "<u8"), ("content", "<u8"), ("generation", "<i8")])

Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids as columns of equal length: columns are much faster to sort and search than rows."""

    hash: npt.NDArray[np.uint64]
    content: npt.NDArray[np.uint64]
    generation: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hash)

    def __getitem__(self, rows: Rows) -> Ids:
        return Ids(self.hash[rows], self.content[rows], self.generation[rows])

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Ids:
        """The columns HASH, CONTENT and GENERATION of a batch."""
        return cls(*(batch.column(name).to_numpy(zero_copy_only=False) for name in ID_SCHEMA.names))

    def by_identity(self, *, lowest_first: bool = False, in_runs: bool = False) -> npt.NDArray[np.int64]:
        """The order by hash and content; with `lowest_first` then by generation and position.

        `in_runs`: the ids are a few sorted runs, which take half as long to merge as to sort.
        """
        order = np.argsort(self.hash, kind="stable" if in_runs else None)
        hashes = self.hash[order]
        equal = np.zeros(len(hashes) + 1, bool)
        np.equal(hashes[1:], hashes[:-1], out=equal[1:-1])
        # Nearly all hashes differ: only the others need more than one column, and a sort that is stable.
        tied = np.flatnonzero(equal[1:] | equal[:-1])
        if len(tied):
            rows = np.sort(order[tied]) if lowest_first else order[tied]
            columns = (self.generation, self.content, self.hash) if lowest_first else (self.content, self.hash)
            order[tied] = rows[np.lexsort([column[rows] for column in columns])]
        return order


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of `SeenIds.add` for a batch of events."""

    first: npt.NDArray[np.bool_]
    """Whether each event counts; the others are duplicates."""
    conflicts: npt.NDArray[np.bool_]
    """Whether each event counts although another with the same id and other content counted before."""
    cross_duplicates: Ids
    """Duplicates of events that were counted in a later generation: hash, content, their own generation."""
    counted_generations: npt.NDArray[np.int64]
    """For each cross-boundary duplicate the generation in which its other copy was counted."""
    counted: Ids
    """The ids of the counted events, sorted by hash and content."""


@dataclass(slots=True)
class SeenIds:
    """The ids counted in one tile and shard: at most log2(n) sorted arrays, merged as they grow.

    Memory: 24 bytes for each event of the tile.
    """

    levels: list[Ids] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(level) for level in self.levels)

    def add(self, batch: pa.RecordBatch) -> Verdict:
        """Deduplicate events (columns HASH, CONTENT, GENERATION) and add those that count.

        Of copies within the batch the first of the lowest generation counts.
        """
        events = Ids.of(batch)
        order = events.by_identity(lowest_first=True)
        ordered = events[order]
        leads = np.ones(len(ordered), bool)
        same_id = ordered.hash[1:] == ordered.hash[:-1]
        leads[1:] = ~(same_id & (ordered.content[1:] == ordered.content[:-1]))
        candidates, order = ordered[leads], order[leads]
        known, clash, counted_in = self._look_up(candidates)
        clash[1:] |= candidates.hash[1:] == candidates.hash[:-1]
        later = known & (counted_in > candidates.generation)
        counted = candidates[~known] if known.any() else candidates
        first = np.zeros(len(events), bool)
        first[order[~known]] = True
        conflicts = np.zeros(len(events), bool)
        conflicts[order[clash & ~known]] = True
        self._insert(counted)
        return Verdict(first, conflicts, candidates[later], counted_in[later], counted)

    def load(self, batch: pa.RecordBatch) -> None:
        """Add ids (columns as ID_SCHEMA) that were counted before."""
        ids = Ids.of(batch)
        self._insert(ids[ids.by_identity(in_runs=True)])

    def generations_of(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """For each event (columns as in `add`) the generation in which its copy was counted; 0 for none."""
        known, _, counted_in = self._look_up(Ids.of(batch))
        return np.where(known, counted_in, 0)

    def stretches(self) -> pa.RecordBatch:
        """All ids, as ID_SCHEMA, in a few sorted stretches, without merging these."""
        return ids_batch(joined(self.levels))

    def dump(self) -> pa.RecordBatch:
        """All ids, as ID_SCHEMA, sorted by hash and content."""
        if len(self.levels) > 1:  # what comes later is spared these merges
            self.levels = [merge_sorted(self.levels)]
        return ids_batch(merge_sorted(self.levels))

    def _look_up(self, candidates: Ids) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        known = np.zeros(len(candidates), bool)
        clash = np.zeros(len(candidates), bool)
        counted_in = np.zeros(len(candidates), np.int64)
        for level in self.levels:
            at = np.searchsorted(level.hash, candidates.hash, "left")
            pending = np.flatnonzero(at < len(level))
            while len(pending):
                found, wanted = level[at[pending]], candidates[pending]
                same_id = found.hash == wanted.hash
                same = same_id & (found.content == wanted.content)
                known[pending[same]] = True
                counted_in[pending[same]] = found.generation[same]
                clash[pending[same_id & ~same]] = True
                # The same id with other content: its further contents stand next to it.
                pending = pending[same_id & ~same]
                at[pending] += 1
                pending = pending[at[pending] < len(level)]
        return known, clash, counted_in

    def _insert(self, ids: Ids) -> None:
        if not len(ids):
            return
        self.levels.append(ids)
        while len(self.levels) > 1 and len(self.levels[-2]) <= 2 * len(self.levels[-1]):
            last = self.levels.pop()
            self.levels[-1] = merge_sorted([self.levels[-1], last])


def as_ids(batch: pa.RecordBatch) -> npt.NDArray[np.void]:
    """The id columns of a batch as one structured array, the view store's form."""
    ids = Ids.of(batch)
    rows = np.empty(len(ids), _ID_TYPE)
    rows["hash"], rows["content"], rows["generation"] = ids.hash, ids.content, ids.generation
    return rows


def ids_batch(ids: Ids) -> pa.RecordBatch:
    """Ids as a record batch of ID_SCHEMA."""
    columns = (ids.hash, ids.content, ids.generation)
    return pa.record_batch([pa.array(np.ascontiguousarray(column)) for column in columns], schema=ID_SCHEMA)


def merge_sorted(levels: Sequence[Ids]) -> Ids:
    """The levels as one, sorted by hash and content."""
    if len(levels) == 1:
        return levels[0]
    together = joined(levels)
    return together[together.by_identity(in_runs=True)]


def joined(parts: Sequence[Ids]) -> Ids:
    """The ids one after the other, as they are."""
    columns = zip(*((part.hash, part.content, part.generation) for part in (_NONE, *parts)), strict=True)
    return Ids(*(np.concatenate(column) for column in columns))


_NONE: Final = Ids(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64))
