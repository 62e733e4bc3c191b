"""A view store filled with batch states of one hour, for every hour of the past, and with live rows after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.inputs.clicks import DEFINITIONS, HOUR, START, Shape, clicks
from tandem.schemas.columns import EVENTS, GENERATION, TIME
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import load
from tandem.schemas.states import aggregate, with_generation
from tandem.transforms.elements import FoldUpdate, SegmentTally, Tally
from tandem.transforms.routing.seen_ids import ids_batch, merge_sorted
from tandem.views.batch.rows import Below, prepare
from tandem.views.rows import BatchManifest, FileSet, GenerationCounts
from tandem.views.storage.checksums import sealed_row
from tandem.views.storage.tables import batch_states
from tandem.views.store import ViewStore

__all__ = [
    "GENERATIONS",
    "LIVE_END",
    "MINUTE",
    "Load",
    "blocks_of",
    "compiled_clicks",
    "fill",
    "segment_of",
    "update_of",
]

MINUTE: Final = 60_000_000


GENERATIONS: Final = 5
"""Number of full live generations after the boundary; the writer writes the next one."""


_GENERATION_MINUTES: Final = 10


LIVE_END: Final = START + GENERATIONS * _GENERATION_MINUTES * MINUTE


_CHUNK: Final = 200_000


_NO_IDS: Final = ids_batch(merge_sorted([]))


@dataclass(frozen=True)
class Load:
    """The size of the store, and the rate of writes."""

    tiles: int = 10_000_000
    """Approximate number of rows of batch states."""
    events: int = 1_000_000
    """Events in the hour whose states are repeated."""
    pages: int = 1_000
    rate: float = 20
    """Live transactions a second; 0: no writer."""


def compiled_clicks() -> CompiledDefinition:
    return compile_definition(load(DEFINITIONS["clicks"]))


def blocks_of(compiled: CompiledDefinition, size: Load) -> list[pa.RecordBatch]:
    """The blocks of the hour's minutes, in order."""
    events = clicks(Shape(size.events, pages=size.pages), 0, size.events)
    events = events.append_column(TIME, events.column("event_time").cast(pa.int64()))
    events = compiled.prepare(events.append_column("__id", events.column("event_id"))).events
    events = events.append_column(GENERATION, pa.array(np.ones(events.num_rows, np.int64)))
    minutes = (events.column(TIME).to_numpy() - START) // MINUTE
    return [aggregate(compiled.measures, events.filter(pa.array(minutes == minute))) for minute in range(60)]


def fill(path: Path, size: Load) -> int:
    """Fill a fresh store and publish it; returns its number of rows of batch states."""
    compiled, store = compiled_clicks(), ViewStore(str(path))
    store.definitions.register(compiled)
    blocks = blocks_of(compiled, size)
    store.batch.start(compiled.version, "B1", boundary=0, file_sets=[FileSet(-1, "hours")])
    written = _write_past(store, compiled, blocks, size.tiles)
    store.batch.finish("B1", BatchManifest((GenerationCounts(-1, written, written),)))
    store.live.start(compiled.version, "L1", base_batch_run="B1")
    for minute in range(GENERATIONS * _GENERATION_MINUTES):
        generation = 1 + minute // _GENERATION_MINUTES
        update = update_of(blocks[minute % 60], START + minute * MINUTE, generation, 0)
        store.live.write_segments(
            compiled.version, "L1", [segment_of(minute + 1, generation, update.tallies[0].counted)]
        )
        store.live.write(compiled, "L1", [update])
    store.live.set_watermark(compiled.version, "L1", LIVE_END)
    store.publishing.publish(compiled.definition.name, compiled.version, "B1", "L1")
    store.close()
    return written


def _write_past(store: ViewStore, compiled: CompiledDefinition, blocks: Sequence[pa.RecordBatch], tiles: int) -> int:
    run = store.batch.get("B1").ordinal
    updates = [FoldUpdate(m * MINUTE, 0, block, (), (), _NO_IDS, _NO_IDS, "") for m, block in enumerate(blocks)]
    states = prepare(Below(1, run, frozenset(), {}), compiled.measures, updates).states
    hours = max(-(-tiles // len(states.keys)), 1)
    rows = _of_hours(list(states.rows(1, run)), [START - hour * HOUR for hour in range(hours, 0, -1)])
    written = 0
    insert = store.database.insert(batch_states)
    while chunk := list(islice(rows, _CHUNK)):
        with store.database.write() as connection:
            store.database.write_rows(connection, insert, chunk)
        written += len(chunk)
    return written


def _of_hours(rows: Sequence[tuple[Any, ...]], hours: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """An hour's rows, ordered by key, repeated for every hour, ordered by key and tile."""
    at = 0
    while at < len(rows):
        end = next((i for i in range(at, len(rows)) if rows[i][1] != rows[at][1]), len(rows))
        for hour in hours:
            for definition, key, tile, run, events, states, _ in rows[at:end]:
                yield sealed_row(batch_states.name, definition, key, tile + hour, run, events, states)
        at = end


def update_of(block: pa.RecordBatch, tile: int, generation: int, more: int) -> FoldUpdate:
    """Whole states of a tile's keys, each with `more` events than in the block."""
    events = block.column(EVENTS).to_numpy() + more
    block = with_generation(block, generation).set_column(2, block.schema.field(2), pa.array(events))
    tally = Tally(generation, int(events.sum()), 0, 0)
    return FoldUpdate(tile, 0, block, (tally,), (), _NO_IDS, _NO_IDS, "early")


def segment_of(number: int, generation: int, events: int) -> SegmentTally:
    return SegmentTally("L1/0", number, generation, events, events, 0, 0, ())
