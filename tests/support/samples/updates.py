"""What transforms hand to the view store, as plain values: for tests that write a view by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tandem.schemas.columns import CONTENT, GENERATION, HASH, ID, TIME
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.states import aggregate

__all__ = ["CrossBoundaryDuplicate", "Segment", "Tally", "Update", "block_of", "no_ids"]


def no_ids() -> pa.RecordBatch:
    """Columns of ids, without a row."""
    kinds = {HASH: pa.uint64(), CONTENT: pa.uint64(), GENERATION: pa.int64()}
    return pa.record_batch([pa.array([], kind) for kind in kinds.values()], names=list(kinds))


def block_of(
    compiled: CompiledDefinition,
    times: Sequence[int],
    generations: Sequence[int],
    columns: Mapping[str, Sequence[Any]],
) -> pa.RecordBatch:
    """The states of events; their ids are their places, `times` fill `at`, `columns` the other fields of the source."""
    schema, ids = compiled.events_schema, [str(place) for place in range(len(times))]
    at = pa.array(times, pa.int64())
    known = {**columns, "id": ids, ID: ids, TIME: at, "at": at.cast(pa.timestamp("us", "UTC"))}
    batch = pa.RecordBatch.from_arrays([pa.array(known[field.name], field.type) for field in schema], schema=schema)
    events = compiled.prepare(batch).events
    return aggregate(compiled.measures, events.append_column(GENERATION, pa.array(generations, pa.int64())))


@dataclass(frozen=True)
class Tally:
    """What of a generation a tile has counted."""

    generation: int
    counted: int
    duplicates: int = 0
    conflicts: int = 0
    digest: int = 0


@dataclass(frozen=True)
class CrossBoundaryDuplicate:
    """An event that live counted in a generation after that of another copy."""

    hash: int
    content: int
    counted_generation: int
    earlier_generation: int


@dataclass(frozen=True)
class Update:
    """States of a tile and shard."""

    tile: int
    shard: int
    block: pa.RecordBatch
    tallies: Sequence[Tally] = ()
    cross_duplicates: Sequence[CrossBoundaryDuplicate] = ()
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
