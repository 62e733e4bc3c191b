"""Add up what a batch run received and counted per generation, and finish it: the last step of a backfill."""

from collections.abc import Iterable
from dataclasses import dataclass

import apache_beam as beam

from tandem.schemas.definition import Definition
from tandem.transforms.elements import FoldUpdate, SegmentTally
from tandem.transforms.patience import patiently
from tandem.views.opening import open_store
from tandem.views.rows import BatchManifest, GenerationCounts, SegmentFile

__all__ = ["CountCounted", "CountReceived", "FinishBatchRun", "add_counts"]

Counts = tuple[int, int, int, int, int, int]
"""Received, counted, filtered, duplicates, dead, conflicts."""


@dataclass
class CountReceived(beam.PTransform):  # type: ignore[misc]
    """What was received, filtered and dead, per generation; notes in the store which tiles each segment holds."""

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
        self._held.append(tally)
        return _of_tally(tally)

    def finish_bundle(self) -> None:
        held, self._held = self._held, []
        if held:
            patiently(lambda: open_store(self._store).write_segment_tiles(self._version, held))


class CountCounted(beam.PTransform):  # type: ignore[misc]
    """What was counted and what were duplicates, per generation."""

    def expand(self, updates: beam.PCollection[FoldUpdate]) -> beam.PCollection[tuple[int, Counts]]:
        return updates | "Counts" >> beam.FlatMap(_of_update).with_output_types(tuple[int, Counts])


@dataclass
class FinishBatchRun(beam.PTransform):  # type: ignore[misc]
    """Once all states are written: the run's manifest, with counts for each of its generations."""

    definition: Definition
    store: str
    batch_run: str
    generations: tuple[int, ...]
    files: tuple[SegmentFile, ...]

    def expand(self, counts: beam.PCollection[tuple[int, Counts]]) -> beam.PCollection[None]:
        return (
            counts
            | "Add" >> beam.CombineGlobally(_SumCounts())
            | "Manifest" >> beam.Map(_finish, self.store, self.batch_run, self.generations, self.files)
        )


def _of_tally(tally: SegmentTally) -> Iterable[tuple[int, Counts]]:
    yield tally.generation, (tally.received, 0, tally.filtered, tally.duplicates, tally.dead, 0)


def _of_update(update: FoldUpdate) -> Iterable[tuple[int, Counts]]:
    for tally in update.tallies:
        yield tally.generation, (0, tally.counted, 0, tally.duplicates, 0, tally.conflicts)


def add_counts(total: dict[int, Counts], generation: int, counts: Counts) -> dict[int, Counts]:
    """The total with one generation's counts added."""
    known = total.get(generation, (0, 0, 0, 0, 0, 0))
    a, b, c, d, e, f = (one + other for one, other in zip(known, counts, strict=True))
    return {**total, generation: (a, b, c, d, e, f)}


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
    total: dict[int, Counts], store: str, batch_run: str, generations: tuple[int, ...], files: tuple[SegmentFile, ...]
) -> None:
    counts = [
        GenerationCounts(generation, *total.get(generation, (0, 0, 0, 0, 0, 0))[:5])
        for generation in sorted(generations)
    ]
    conflicts = sum(counted[5] for counted in total.values())
    open_store(store).finish_batch_run(batch_run, BatchManifest(tuple(counts), files, conflicts))
