"""Late ids of open tiles: a copy of an event that was too late for live may be in time in another lane.

Batch counts the late copy, by its generation; live counts the one in time, by its own. Where the late copy's generation
is the lower one, the event is a cross-boundary duplicate: a boundary between the two must not count it twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tandem.schemas.columns import CONTENT, GENERATION, HASH
from tandem.transforms.elements import CrossBoundaryDuplicate
from tandem.transforms.routing.seen_ids import ID_SCHEMA, SeenIds

__all__ = ["LateIds"]


@dataclass(slots=True)
class LateIds:
    """The late ids of one tile and shard, each with the lowest generation that has a copy."""

    lowest: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, late: pa.RecordBatch, seen: SeenIds) -> tuple[CrossBoundaryDuplicate, ...]:
        """Add late ids (ID_SCHEMA); returns those already counted in a later generation, which are cross-boundary
        duplicates.
        """
        if not late.num_rows:
            return ()
        self.load(late)
        counted_in = seen.generations_of(late).tolist()
        return tuple(
            CrossBoundaryDuplicate(*_id(row), counted, row[GENERATION])
            for row, counted in zip(late.to_pylist(), counted_in, strict=True)
            if counted > row[GENERATION]
        )

    def copies_of(self, counted: pa.RecordBatch) -> tuple[CrossBoundaryDuplicate, ...]:
        """The events counted now whose late copy has an earlier generation."""
        if not self.lowest or not counted.num_rows:
            return ()
        late = np.fromiter((hashed for hashed, _ in self.lowest), np.uint64)
        likely = np.isin(counted.column(HASH).to_numpy(), late)
        rows = counted.select(ID_SCHEMA.names).filter(pa.array(likely)).to_pylist()
        return tuple(
            CrossBoundaryDuplicate(*_id(row), row[GENERATION], self.lowest[_id(row)])
            for row in rows
            if self.lowest.get(_id(row), row[GENERATION]) < row[GENERATION]
        )

    def load(self, late: pa.RecordBatch) -> None:
        """Add late ids, without comparing."""
        for row in late.to_pylist():
            known = self.lowest.get(_id(row), row[GENERATION])
            self.lowest[_id(row)] = min(known, row[GENERATION])

    def dump(self) -> pa.RecordBatch:
        """All late ids, as ID_SCHEMA."""
        rows = [{HASH: h, CONTENT: c, GENERATION: g} for (h, c), g in sorted(self.lowest.items())]
        return pa.RecordBatch.from_pylist(rows, schema=ID_SCHEMA)


def _id(row: dict[str, int]) -> tuple[int, int]:
    return row[HASH], row[CONTENT]
