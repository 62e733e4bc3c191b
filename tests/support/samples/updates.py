"""What transforms hand to the view store, as plain values: for tests that write a view by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from tandem.schemas.columns import CONTENT, GENERATION, HASH
from tandem.views.updates import CrossBoundaryDuplicateLike

__all__ = ["VISITS", "Segment", "Tally", "Update", "no_ids"]

VISITS = """
name: visits
source:
  schema:
    type: record
    name: Visit
    fields:
      - {{name: id, type: string}}
      - {{name: at, type: {{type: long, logicalType: timestamp-micros}}}}
      - {{name: user, type: string}}
      - {{name: amount, type: long}}
  format: json
  event_id: id
  event_time: at
key: [user]
tile: {tile}
lateness: {lateness}
"""
"""The beginning of a definition, to be formatted; measures and what else it has follow."""


def no_ids() -> pa.RecordBatch:
    """Columns of ids, without a row."""
    kinds = {HASH: pa.uint64(), CONTENT: pa.uint64(), GENERATION: pa.int64()}
    return pa.record_batch([pa.array([], kind) for kind in kinds.values()], names=list(kinds))


@dataclass(frozen=True)
class Tally:
    """What of a generation a tile has counted."""

    generation: int
    counted: int
    duplicates: int = 0
    conflicts: int = 0
    digest: int = 0


@dataclass(frozen=True)
class Update:
    """States of a tile."""

    tile: int
    block: pa.RecordBatch
    tallies: Sequence[Tally] = ()
    shard: int = 0
    cross_duplicates: Sequence[CrossBoundaryDuplicateLike] = ()
    ids: pa.RecordBatch = field(default_factory=no_ids)
    attempt: int = 0
    replaces: bool = False


@dataclass(frozen=True)
class Segment:
    """What became of a segment's messages."""

    position: str
    number: int
    generation: int
    received: int
    routed: int
    filtered: int = 0
    dead: int = 0
    late: Sequence[tuple[int, int]] = ()
