"""Folds placed events to states by key and window, as few as a bundle allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.core import Windowing
from apache_beam.utils.windowed_value import WindowedValue

from tandem.schemas.columns import GENERATION
from tandem.schemas.states import Measures, aggregate, merge_blocks
from tandem.transforms.windowed.events.elements import PlacedEvents, WindowedParDo
from tandem.transforms.windowed.measuring import EventMeasures
from tandem.transforms.windowed.states.shuffling import Shuffle, counts_elements
from tandem.transforms.windowed.windows.assigning import Windows

__all__ = ["FoldEvents"]

_MOST: Final = 100_000
"""Most states of a bundle that are kept for merging with later ones."""


@dataclass
class FoldEvents(beam.PTransform):  # type: ignore[misc]
    """Elements of the shuffle from placed events, in the events' windows.

    A bundle gives one state a key and window; under a trigger that counts elements, one an event, so that it counts
    events.
    """

    measures: EventMeasures
    shuffle: Shuffle
    windowing: Windowing

    def expand(self, events: beam.PCollection[PlacedEvents]) -> beam.PCollection[tuple[Any, bytes]]:
        each = counts_elements(self.windowing.triggerfn)
        fold = (_FoldEach if each else _Fold)(self.measures.block_measures, self.shuffle)
        return events | "Fold" >> WindowedParDo(fold, self.windowing).with_output_types(self.shuffle.element_type)


class _Fold(beam.DoFn):  # type: ignore[misc]
    """Keeps the states of a bundle, and numbers its windows."""

    def __init__(self, measures: Measures, shuffle: Shuffle) -> None:
        self._measures, self._shuffle = measures, shuffle
        self.start_bundle()

    def start_bundle(self) -> None:
        self._blocks: list[pa.RecordBatch] = []
        self._numbers: dict[Windows, int] = {}
        self._states = 0

    def process(self, placed: PlacedEvents) -> Iterator[WindowedValue]:
        renumbered = np.array([self._numbers.setdefault(one, len(self._numbers)) for one in placed.windows], np.int64)
        granules = renumbered[placed.events.column(GENERATION).to_numpy()]
        block = aggregate(self._measures, _with_granules(placed.events, granules))
        self._blocks.append(block)
        self._states += block.num_rows
        if self._states > _MOST:
            yield from self._merged()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        block, windows = merge_blocks(self._measures, self._blocks), list(self._numbers)
        self.start_bundle()
        yield from self._shuffle.parts(block, windows)

    def _merged(self) -> Iterator[WindowedValue]:
        """Merge all blocks to one; emit it where it is still large."""
        self._blocks = [merge_blocks(self._measures, self._blocks)]
        self._states = self._blocks[0].num_rows
        if self._states > _MOST // 2:
            yield from self.finish_bundle()


class _FoldEach(beam.DoFn):  # type: ignore[misc]
    """Emits one state an event."""

    def __init__(self, measures: Measures, shuffle: Shuffle) -> None:
        self._measures, self._shuffle = measures, shuffle

    def process(self, placed: PlacedEvents) -> Iterator[WindowedValue]:
        granules = placed.events.column(GENERATION).to_numpy()
        each = _with_granules(placed.events, np.arange(len(granules)))
        windows = [placed.windows[granule] for granule in granules.tolist()]
        yield from self._shuffle.parts(aggregate(self._measures, each), windows)


def _with_granules(events: pa.RecordBatch, granules: Any) -> pa.RecordBatch:
    return events.set_column(events.schema.get_field_index(GENERATION), GENERATION, pa.array(granules))
