"""Counts event times in January 1970, by file: the unit of such a file's times is likely wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import apache_beam as beam
import pyarrow.compute as pc

from tandem.schemas.columns import TIME
from tandem.schemas.time.units import JANUARY_1970
from tandem.transforms.elements import SourceBatch

__all__ = ["JOURNAL", "CountEarlyTimes", "early_times_of"]

JOURNAL: Final = ""
"""In the place of a file's path: the journal."""


class CountEarlyTimes(beam.PTransform):  # type: ignore[misc]
    """(path, number) of each batch with such times; most batches have none, which one comparison shows."""

    def expand(self, batches: beam.PCollection[SourceBatch]) -> beam.PCollection[tuple[str, int]]:
        return batches | "Counts" >> beam.FlatMap(early_times_of).with_output_types(tuple[str, int])


def early_times_of(batch: SourceBatch) -> Iterable[tuple[str, int]]:
    times = batch.decoded.events.column(TIME)
    low, high = pc.min_max(times).as_py().values()
    if low is None or low >= JANUARY_1970.stop or high < JANUARY_1970.start:
        return
    early = pc.and_(pc.greater_equal(times, JANUARY_1970.start), pc.less(times, JANUARY_1970.stop))
    if count := pc.sum(early).as_py():
        yield batch.position if batch.generation < 0 else JOURNAL, count
