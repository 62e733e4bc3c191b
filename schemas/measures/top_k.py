"""The items of a column with the greatest counts or sums, exactly."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from tandem.schemas.measures.base import Groups
from tandem.schemas.measures.encoding.columnar import ColumnarMeasure
from tandem.schemas.measures.encoding.ragged import Pairs, flatten, list_array, offsets_of, pairs, struct_array
from tandem.schemas.measures.encoding.values import Int64s, numbers, ordered, plain, present, read_column
from tandem.schemas.measures.moments.sum import Sum

__all__ = ["TopKCount", "TopKMeasure", "TopKSum"]


@dataclass(frozen=True)
class TopKMeasure(ColumnarMeasure):
    """The base of all forms of top_k: a state maps items to amounts, as parallel lists sorted by item."""

    kind: ClassVar[str] = "top_k"
    column: str
    type: pa.DataType
    """Storage type of the items' column."""
    k: int = 10
    """Most items in a result, at least 1."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    @abstractmethod
    def state_type(self) -> pa.DataType:
        """A struct whose first field is the list of items."""

    def _lists(self, lengths: Int64s, *values: pa.Array) -> list[pa.Array]:
        return [list_array(lengths, column) for column in values]


@dataclass(frozen=True)
class TopKCount(TopKMeasure):
    """The k items with the most events, exactly: [{"value": item, "count": n}, ...], greatest first.

    Items with equal counts stand in the order of items. Rows without an item are ignored. The state holds
    every item.
    """

    parallel: ClassVar[tuple[str, ...]] = ("items", "counts")

    @property
    def state_type(self) -> pa.DataType:
        lists = [("items", pa.list_(self.type)), ("counts", pa.list_(pa.int64()))]
        return pa.struct([pa.field(name, kind, nullable=False) for name, kind in lists])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        items, groups = present(read_column(events, self.column, self.type), groups)
        order = ordered(items)
        found = pairs(groups, order.codes)
        return self._states(found.lengths(size), order.restore(found.codes), found.counts)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        found, items, counts = self._merged(states, groups)
        return self._states(found.lengths(size), items, counts)

    def _merged(self, states: pa.Array, groups: Groups) -> tuple[Pairs, pa.Array, Int64s]:
        lengths, items = flatten(states.field("items"))
        _, counts = flatten(states.field("counts"))
        order = ordered(items)
        found = pairs(np.repeat(groups, lengths), order.codes, index=True)
        total = np.zeros(len(found.codes), np.int64)
        np.add.at(total, found.index, numbers(counts).astype(np.int64, copy=False))
        return found, order.restore(found.codes), total

    def _states(self, lengths: Int64s, items: pa.Array, counts: Int64s) -> pa.Array:
        return struct_array(self.state_type, *self._lists(lengths, items, pa.array(counts, pa.int64())))

    def result(self, states: pa.Array) -> list[list[dict[str, Any]]]:
        lengths, items, counts = self._greatest(states)
        top = [{"value": item, "count": count} for item, count in zip(plain(items), counts.tolist(), strict=True)]
        ends = offsets_of(lengths).tolist()
        return [top[start:end] for start, end in itertools.pairwise(ends)]

    def _greatest(self, states: pa.Array) -> tuple[Int64s, pa.Array, Int64s]:
        """Lengths, items and counts of the results."""
        lengths, items = flatten(states.field("items"))
        counts = numbers(flatten(states.field("counts"))[1]).astype(np.int64)
        # A stable sort leaves items with equal counts in the order of items, in which states keep them.
        order = np.lexsort((-counts, np.repeat(np.arange(len(lengths)), lengths)))
        place = np.arange(len(order)) - np.repeat(offsets_of(lengths)[:-1], lengths)
        chosen = order[place < self.k]
        return np.minimum(lengths, self.k), items.take(pa.array(chosen)), counts[chosen]


@dataclass(frozen=True)
class TopKSum(TopKMeasure):
    """The k items with the greatest sums of another column, exactly: [{"value": item, "sum": s}, ...].

    Sums are those of `sum`: exact, rounded once, any sign; NaN is greater than every number. Items with equal
    (rounded) sums stand in the order of items. Rows without an item or an amount are ignored. The state
    holds every item, with its sum in the bytes of `Sum.encode`.
    """

    parallel: ClassVar[tuple[str, ...]] = ("items", "sums")
    by: Sum = field(kw_only=True)
    """The sum that orders the items."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.column, self.by.column)))

    @property
    def state_type(self) -> pa.DataType:
        lists = [("items", pa.list_(self.type)), ("sums", pa.list_(pa.binary()))]
        return pa.struct([pa.field(name, kind, nullable=False) for name, kind in lists])

    def update(self, events: pa.RecordBatch, groups: Groups, size: int) -> pa.Array:
        items = read_column(events, self.column, self.type)
        amounts = read_column(events, self.by.column, self.by.type)
        if amounts.null_count:
            there = amounts.is_valid()
            items, amounts = items.filter(there), amounts.drop_null()
            groups = groups[there.to_numpy(zero_copy_only=False)]
        if items.null_count:
            amounts = amounts.filter(items.is_valid())
        items, groups = present(items, groups)
        order = ordered(items)
        found = pairs(groups, order.codes, index=True)
        sums = self.by.update_values(amounts, found.index, len(found.codes))
        return self._states(found.lengths(size), order.restore(found.codes), sums)

    def merge(self, states: pa.Array, groups: Groups, size: int) -> pa.Array:
        lengths, items = flatten(states.field("items"))
        order = ordered(items)
        found = pairs(np.repeat(groups, lengths), order.codes, index=True)
        sums = self.by.merge(self._sums(states), found.index, len(found.codes))
        return self._states(found.lengths(size), order.restore(found.codes), sums)

    def _states(self, lengths: Int64s, items: pa.Array, sums: pa.Array) -> pa.Array:
        return struct_array(self.state_type, *self._lists(lengths, items, self.by.encode(sums)))

    def _sums(self, states: pa.Array) -> pa.Array:
        return self.by.decode(flatten(states.field("sums"))[1])

    def decode(self, data: pa.Array) -> pa.Array:
        states = super().decode(data)
        self._sums(states)  # raises ValueError for sums that can't be read
        return states

    def result(self, states: pa.Array) -> list[list[dict[str, Any]]]:
        lengths, items = flatten(states.field("items"))
        sums = self.by.result(self._sums(states))
        ends = offsets_of(lengths).tolist()
        chosen: list[list[int]] = []
        for start, end in itertools.pairwise(ends):
            # A stable sort leaves items with equal sums in the order of items, in which states keep them.
            chosen.append(sorted(range(start, end), key=lambda at: _sort_key(sums[at]), reverse=True)[: self.k])
        index = [at for row in chosen for at in row]
        values = iter(plain(items.take(pa.array(index, pa.int64()))))
        return [[{"value": next(values), "sum": sums[at]} for at in row] for row in chosen]


def _sort_key(value: Any) -> tuple[bool, Any]:
    """A sort key that puts NaN above all numbers."""
    undefined = isinstance(value, float) and math.isnan(value)
    return undefined, 0 if undefined else value
