"""Sums what a batch run received and counted per generation, and finishes the run: the last step of a backfill."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import apache_beam as beam
import pyarrow.compute as pc

from tandem.schemas.columns import TIME
from tandem.schemas.definition.loading import Definition
from tandem.transforms.elements import SegmentTally, SourceBatch, TilesUpdate
from tandem.transforms.sinks.retrying import retrying
from tandem.views.rows import BatchManifest, GenerationCounts, SegmentFile
from tandem.views.storage.opening import open_store

__all__ = ["NO_TIME", "CountCounted", "CountNewest", "CountReceived", "FinishBatchRun", "add_counts"]

Counts = tuple[int, int, int, int, int, int, int]
"""Received, counted, filtered, duplicates, dead, conflicts, and the newest event's time (µs UTC), NO_TIME for none."""

NO_TIME: Final = -(2**63)
_MOST_EARLY: Final = 1000
_NONE: Final[Counts] = (0, 0, 0, 0, 0, 0, NO_TIME)


@dataclass
class CountReceived(beam.PTransform):  # type: ignore[misc]
    """The numbers of received, filtered and dead records per generation; also stores the tiles in each segment."""

    definition: Definition
    store: str

    def expand(self, tallies: beam.PCollection[SegmentTally]) -> beam.PCollection[tuple[int, Counts]]:
        count = beam.ParDo(_CountReceived(self.definition.version, self.store))
        return tallies | "Counts" >> count.with_output_types(tuple[int, Counts])


class _CountReceived(beam.DoFn):  # type: ignore[misc]
    def __init__(self, version: str, store: str) -> None:
        self._version = version
        self._store = store
        self._held: list[SegmentTally] = []

    def start_bundle(self) -> None:
        self._held = []

    def process(self, tally: SegmentTally) -> Iterable[tuple[int, Counts]]:
        # without the rows of dead letters, of which there may be millions in a bundle
        self._held.append(replace(tally, dead_rows=(), replays=()))
        return _of_tally(tally)

    def finish_bundle(self) -> None:
        held, self._held = self._held, []
        if held:
            retrying(lambda: open_store(self._store).batch.write_segment_tiles(self._version, held))


class CountCounted(beam.PTransform):  # type: ignore[misc]
    """The numbers of counted events and of duplicates per generation."""

    def expand(self, updates: beam.PCollection[TilesUpdate]) -> beam.PCollection[tuple[int, Counts]]:
        return updates | "Counts" >> beam.FlatMap(_of_update).with_output_types(tuple[int, Counts])


@dataclass
class CountNewest(beam.PTransform):  # type: ignore[misc]
    """The time of the newest good event of files, at most `arrival_time`; the journal's events are left out.

    A file can't hold future events: an event that claims to be one doesn't make the time before it complete.
    """

    arrival_time: int

    def expand(self, batches: beam.PCollection[SourceBatch]) -> beam.PCollection[tuple[int, Counts]]:
        return batches | "Counts" >> beam.FlatMap(_newest_of, self.arrival_time).with_output_types(tuple[int, Counts])


@dataclass
class FinishBatchRun(beam.PTransform):  # type: ignore[misc]
    """The run's manifest, with counts for each of its generations, written once all states are."""

    definition: Definition
    store: str
    batch_run: str
    generations: tuple[int, ...]
    files: tuple[SegmentFile, ...]
    early: beam.PCollection[tuple[str, int]]
    """The output of `CountEarlyTimes`."""

    def expand(self, counts: beam.PCollection[tuple[int, Counts]]) -> beam.PCollection[None]:
        place = self.store, self.batch_run, self.generations, self.files
        return (
            counts
            | "Add" >> beam.CombineGlobally(_SumCounts())
            | "Manifest" >> beam.Map(_finish, *place, early=beam.pvalue.AsList(self.early))
        )


def _of_tally(tally: SegmentTally) -> Iterable[tuple[int, Counts]]:
    yield tally.generation, (tally.received, 0, tally.filtered, tally.duplicates, tally.dead, 0, NO_TIME)


def _of_update(update: TilesUpdate) -> Iterable[tuple[int, Counts]]:
    total: dict[int, tuple[int, int, int]] = {}
    for tally in (tally for tallies in update.tallies for tally in tallies):
        counted, duplicates, conflicts = total.get(tally.generation, (0, 0, 0))
        found = counted + tally.counted, duplicates + tally.duplicates, conflicts + tally.conflicts
        total[tally.generation] = found
    for generation, (counted, duplicates, conflicts) in total.items():
        yield generation, (0, counted, 0, duplicates, 0, conflicts, NO_TIME)


def _newest_of(batch: SourceBatch, arrival_time: int) -> Iterable[tuple[int, Counts]]:
    newest = pc.max(batch.decoded.events.column(TIME)).as_py() if batch.generation < 0 else None
    if newest is not None:
        yield batch.generation, (0, 0, 0, 0, 0, 0, min(newest, arrival_time))


def add_counts(total: dict[int, Counts], generation: int, counts: Counts) -> dict[int, Counts]:
    """The total plus one generation's counts."""
    known = total.get(generation, _NONE)
    a, b, c, d, e, f = (one + other for one, other in zip(known[:6], counts[:6], strict=True))
    return {**total, generation: (a, b, c, d, e, f, max(known[6], counts[6]))}


class _SumCounts(beam.CombineFn):  # type: ignore[misc]
    def create_accumulator(self) -> dict[int, Counts]:
        return {}

    def add_input(self, total: dict[int, Counts], item: tuple[int, Counts]) -> dict[int, Counts]:
        return add_counts(total, *item)

    def merge_accumulators(self, totals: Iterable[dict[int, Counts]]) -> dict[int, Counts]:
        merged: dict[int, Counts] = {}
        for total in totals:
            for generation, counts in total.items():
                merged = add_counts(merged, generation, counts)
        return merged

    def extract_output(self, total: dict[int, Counts]) -> dict[int, Counts]:
        return total


def _finish(
    total: dict[int, Counts],
    store: str,
    batch_run: str,
    generations: tuple[int, ...],
    files: tuple[SegmentFile, ...],
    early: Sequence[tuple[str, int]] = (),
) -> None:
    counts = [GenerationCounts(generation, *total.get(generation, _NONE)[:5]) for generation in sorted(generations)]
    conflicts = sum(counted[5] for counted in total.values())
    newest = max((counted[6] for counted in total.values()), default=NO_TIME)
    of_files = Counter[str]()
    for path, count in early:
        of_files[path] += count
    most = tuple(of_files.most_common(_MOST_EARLY))
    manifest = BatchManifest(tuple(counts), files, conflicts, newest if newest != NO_TIME else None, most)
    open_store(store).batch.finish(batch_run, manifest)
