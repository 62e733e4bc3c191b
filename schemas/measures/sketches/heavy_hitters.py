"""The items of a column with the most events, in bounded space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.ragged import offsets_of, pairs, struct_array
from tandem.schemas.measures.encoding.totals import sum_by_group
from tandem.schemas.measures.encoding.values import Int64s, numbers, ordered, present, read_column
from tandem.schemas.measures.top_k import TopKCount

__all__ = ["ApproxTopK"]


@dataclass(frozen=True)
class ApproxTopK(TopKCount):
    """The k items with the most events, from at most `capacity` counters.

    [{"value": item, "count": n, "error": e}, ...], greatest first: the true count lies in [n, n + e], and an item
    without a counter has at most e events. e is at most (events with an item) / (capacity + 1), in whatever order and
    however often states were merged; it is 0, and all is exact, while no more than `capacity` items were ever merged.

    Counters that overflow the capacity are pruned as in J. Misra, D. Gries, "Finding repeated elements" (1982), and P.
    Agarwal et al., "Mergeable summaries" (PODS 2012): the greatest count without a counter is subtracted from all.
    Merging is commutative, bit for bit. It is associative only within the stated error: counts, and then bytes, may
    depend on how merges were nested.
    """

    capacity: int = 1000
    """Counters kept, at least k."""

    @property
    def state_type(self) -> pa.DataType:
        fields = [("items", pa.list_(self.type)), ("counts", pa.list_(pa.int64())), ("error", pa.int64())]
        return pa.struct([pa.field(name, kind, nullable=False) for name, kind in fields])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        items, groups = present(read_column(events, self.column, self.type), groups)
        order = ordered(items)
        found = pairs(groups, order.codes)
        none = np.zeros(size, np.int64)
        return self._pruned(found.lengths(size), order.restore(found.codes), found.counts, none)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        found, items, counts = self._merged(states, groups)
        return self._pruned(found.lengths(size), items, counts, sum_by_group(states.field("error"), groups, size))

    def _pruned(self, lengths: Int64s, items: pa.Array, counts: Int64s, error: Int64s) -> pa.Array:
        full = np.flatnonzero(lengths > self.capacity)
        if len(full):
            rows = np.repeat(np.arange(len(lengths)), lengths)
            order = np.lexsort((-counts, rows))
            cut = np.zeros(len(lengths), np.int64)
            cut[full] = counts[order[offsets_of(lengths)[full] + self.capacity]]
            counts = counts - cut[rows]
            kept = counts > 0
            lengths = np.bincount(rows[kept], minlength=len(lengths))
            items, counts, error = items.filter(pa.array(kept)), counts[kept], error + cut
        lists = self._lists(lengths, items, pa.array(counts, pa.int64()))
        return struct_array(self.state_type, *lists, pa.array(error, pa.int64()))

    def result(self, states: pa.Array) -> list[list[dict[str, Any]]]:
        errors = numbers(states.field("error")).tolist()
        return [
            [{**item, "error": error} for item in top]
            for top, error in zip(super().result(states), errors, strict=True)
        ]
