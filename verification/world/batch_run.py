"""Runs one batch run without a runner: the steps of the backfill's graph, bundle by bundle in some order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

import pyarrow as pa

from tandem.journal.storage.blobs import BlobStore
from tandem.pipelines.bounded.plan import Plan
from tandem.pipelines.bounded.work_items import work_items
from tandem.schemas.definition.loading import Definition
from tandem.transforms.batch.aggregate import BatchRunRef, _Aggregate
from tandem.transforms.batch.counts import Counts, _finish, _of_tally, _of_update, add_counts
from tandem.transforms.batch.layers import LayerTarget, assigned, cut_states, write_states
from tandem.transforms.batch.work import read_work
from tandem.transforms.elements import TileKey, TilesUpdate
from tandem.transforms.sinks.batch_states import _WriteBatch
from tandem.transforms.tiles import _Route
from tandem.verification.world.live_run import parts_of
from tandem.views.layers.cutting import Part, Slot
from tandem.views.storage.opening import open_store

# As in live_run: a runner calls private DoFns and functions, too.

__all__ = ["run_batch"]

Parts = dict[TileKey, list[pa.RecordBatch]]


def run_batch(
    definition: Definition,
    work: Plan,
    store: str,
    journal: BlobStore,
    random: Random,
    interlude: Callable[[], None] = lambda: None,
    shards: int = 1,
    layers: LayerTarget | None = None,
) -> None:
    """Execute a plan into the view store at the URL `store`; calls `interlude` before each bundle.

    `layers`: place and threshold of files of states; None: they are rows.
    """
    parent = work.parent.id if work.parent else None
    open_store(store).batch.start(
        definition.version,
        work.batch_run,
        boundary=work.boundary,
        parent=parent,
        built_for=work.live_run,
        completeness=work.completeness,
    )
    parts, counts = _read(definition, work, journal, shards)
    reference = BatchRunRef(store, work.batch_run, parent, work.live_run, work.boundary, shards)
    cut: list[tuple[Slot, pa.RecordBatch]] = []
    for update in _aggregate(definition, reference, parts, random, interlude, None if layers is None else cut):
        for generation, numbers in _of_update(update):
            counts = add_counts(counts, generation, numbers)
    if layers is not None:
        _write_layers(definition, reference, layers, cut)
    _finish(counts, store, work.batch_run, work.generations, work.manifest_files)


def _read(definition: Definition, work: Plan, journal: BlobStore, shards: int) -> tuple[Parts, dict[int, Counts]]:
    route = _Route(definition, shards, 0)
    route.setup()
    parts: Parts = {}
    counts: dict[int, Counts] = {}
    for item in work_items(work, definition.source):
        for batch in read_work([definition], item, journal):
            found, tallies = parts_of(route.process(batch))
            for key, events in found:
                parts.setdefault(key, []).append(events)
            for tally in tallies:
                for generation, numbers in _of_tally(tally):
                    counts = add_counts(counts, generation, numbers)
    return parts, counts


def _write_layers(
    definition: Definition, reference: BatchRunRef, layers: LayerTarget, cut: Sequence[tuple[Slot, pa.RecordBatch]]
) -> None:
    """Write all states as files, once they are counted."""
    states: dict[Slot, int] = {}
    for slot, batch in cut:
        states[slot] = states.get(slot, 0) + batch.num_rows
    by_part: dict[Part, list[pa.RecordBatch]] = {}
    files = assigned(states, layers.threshold)
    for slot, batch in cut:
        by_part.setdefault(files[slot], []).append(batch)
    for part, batches in sorted(by_part.items()):
        write_states(definition, reference.store, reference.run, layers.place, part, batches)


def _aggregate(
    definition: Definition,
    reference: BatchRunRef,
    parts: Parts,
    random: Random,
    interlude: Callable[[], None],
    cut: list[tuple[Slot, pa.RecordBatch]] | None,
) -> Iterator[TilesUpdate]:
    """Aggregate and write, bundle by bundle; adds states that become files to `cut` instead."""
    aggregate = _Aggregate(definition, reference)
    write = _WriteBatch(definition, reference.store, reference.run, states=cut is None)
    keys = random.sample(sorted(parts), len(parts))
    while keys:
        size = random.randint(1, 3)
        bundle, keys = keys[:size], keys[size:]
        interlude()
        aggregate.start_bundle()
        write.start_bundle()
        updates: list[TilesUpdate] = []
        for key in bundle:
            updates += aggregate.process((key, random.sample(parts[key], len(parts[key]))))
        updates += [value.value for value in aggregate.finish_bundle()]
        if cut is not None and any(update.block.num_rows for update in updates):
            cut += cut_states(definition, [update for update in updates if update.block.num_rows])
        for update in updates:
            yield from write.process(update)
        yield from (value.value for value in write.finish_bundle())
