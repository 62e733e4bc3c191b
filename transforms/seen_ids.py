"""Which events of a tile were counted already: sorted arrays of id and content hashes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.columns import CONTENT, GENERATION, HASH

__all__ = ["ID_SCHEMA", "SeenIds", "Verdict", "ids_batch"]

ID_SCHEMA = pa.schema([(HASH, pa.uint64()), (CONTENT, pa.uint64()), (GENERATION, pa.int64())])
"""Counted ids: an event is another's copy when both hashes are equal."""

_ID_TYPE = np.dtype([("hash", "<u8"), ("content", "<u8"), ("generation", "<i8")])
Ids = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `SeenIds.add` says of a batch of events."""

    first: npt.NDArray[np.bool_]
    """For each event whether it counts; the others are duplicates."""
    conflicts: npt.NDArray[np.bool_]
    """Events that count although another of the same id, but other content, counted before."""
    straddlers: Ids
    """Duplicates of an event that was counted in a later generation: hash, content, their own generation."""
    counted_generations: npt.NDArray[np.int64]
    """For each straddler the generation in which its other copy was counted."""


@dataclass(slots=True)
class SeenIds:
    """The ids counted in one tile and shard: at most log2(n) sorted arrays, merged as they grow.

    Memory: 24 bytes an event of the tile.
    """

    levels: list[Ids] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(level) for level in self.levels)

    def add(self, batch: pa.RecordBatch) -> Verdict:
        """Judge events (columns HASH, CONTENT, GENERATION) and remember those that count.

        Of copies within the batch the one of the lowest generation counts, the first of them by position.
        """
        events = as_ids(batch)
        order = np.lexsort((events["generation"], events["content"], events["hash"]))
        ordered = events[order]
        leads = np.ones(len(ordered), bool)
        same_id = ordered["hash"][1:] == ordered["hash"][:-1]
        leads[1:] = ~(same_id & (ordered["content"][1:] == ordered["content"][:-1]))
        candidates = ordered[leads]
        known, clash, counted_in = self._look_up(candidates)
        clash[1:] |= candidates["hash"][1:] == candidates["hash"][:-1]
        later = known & (counted_in > candidates["generation"])
        first = np.zeros(len(events), bool)
        first[order[leads][~known]] = True
        conflicts = np.zeros(len(events), bool)
        conflicts[order[leads][clash & ~known]] = True
        self._insert(candidates[~known])
        return Verdict(first, conflicts, candidates[later], counted_in[later])

    def load(self, batch: pa.RecordBatch) -> None:
        """Remember ids (columns as ID_SCHEMA) that were counted before."""
        ids = as_ids(batch)
        self._insert(ids[np.lexsort((ids["content"], ids["hash"]))])

    def generations_of(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """For each event (columns as in `add`) the generation in which its copy was counted; 0: none was."""
        known, _, counted_in = self._look_up(as_ids(batch))
        return np.where(known, counted_in, 0)

    def dump(self) -> pa.RecordBatch:
        """All ids, as ID_SCHEMA, sorted by hash and content."""
        return ids_batch(merge_sorted(self.levels))

    def _look_up(self, candidates: Ids) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        known = np.zeros(len(candidates), bool)
        clash = np.zeros(len(candidates), bool)
        counted_in = np.zeros(len(candidates), np.int64)
        for level in self.levels:
            at = np.searchsorted(level["hash"], candidates["hash"], "left")
            pending = np.flatnonzero(at < len(level))
            while len(pending):
                found = level[at[pending]]
                wanted = candidates[pending]
                same_id = found["hash"] == wanted["hash"]
                same = same_id & (found["content"] == wanted["content"])
                known[pending[same]] = True
                counted_in[pending[same]] = found["generation"][same]
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


def as_ids(batch: pa.RecordBatch) -> Ids:
    """The id columns of a batch as one structured array."""
    ids = np.empty(batch.num_rows, _ID_TYPE)
    ids["hash"] = batch.column(HASH).to_numpy(zero_copy_only=False)
    ids["content"] = batch.column(CONTENT).to_numpy(zero_copy_only=False)
    ids["generation"] = batch.column(GENERATION).to_numpy(zero_copy_only=False)
    return ids


def ids_batch(ids: Ids) -> pa.RecordBatch:
    """A structured array of ids as a record batch of ID_SCHEMA."""
    columns = [np.ascontiguousarray(ids[name]) for name in ("hash", "content", "generation")]
    return pa.record_batch([pa.array(column) for column in columns], schema=ID_SCHEMA)


def merge_sorted(levels: list[Ids]) -> Ids:
    """The levels as one array sorted by hash and content."""
    if not levels:
        return np.empty(0, _ID_TYPE)
    together = np.concatenate(levels)
    return together[np.lexsort((together["content"], together["hash"]))]
