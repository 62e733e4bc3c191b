"""Places elements, single or in columns: reads and filters events, and sets their keys and windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import BoundedWindow, GlobalWindows

from tandem.schemas.columns import GENERATION, KEY, TIME
from tandem.schemas.errors import UserError
from tandem.transforms.windowed.events.columns import (
    Prepared,
    as_batches,
    is_columns,
    prepare_batch,
    prepare_rows,
    row_text,
)
from tandem.transforms.windowed.events.elements import DEAD, BadEvent, PlacedEvents, WindowedParDo, globally
from tandem.transforms.windowed.measuring import EventMeasures
from tandem.transforms.windowed.windows.assigning import Granules, Windows, assign

__all__ = ["METRICS", "PlaceEvents"]

METRICS: Final = "tandem.windowed"
"""Namespace of the counters `measured`, `filtered` and `dead`, whose sum is the number of events; `duplicates` of the
measured ones are left out."""

_NOTHING: Final[tuple[Any, ...]] = ()
"""The output of most elements, without a generator for each."""
_MOST: Final = 16_384
"""Events that are read at once."""


@dataclass
class PlaceEvents(beam.PTransform):  # type: ignore[misc]
    """Placed events (main output) and bad ones (DEAD) from dicts, rows and batches, in the global window.

    Without a column of event times, an event is in its element's windows. Without `keeps_bad` a bad event fails the
    bundle.
    """

    measures: EventMeasures
    windowing: Windowing
    keeps_bad: bool

    def expand(self, events: beam.PCollection[Any]) -> Any:
        by_column = self.measures.event_time is not None
        place = (_PlaceByColumn if by_column else _PlaceByElement)(self.measures, self.windowing, self.keeps_bad)
        step = WindowedParDo(place, Windowing(GlobalWindows())).with_output_types(PlacedEvents, **{DEAD: BadEvent})
        return events | "Place" >> step.with_outputs(DEAD, main="events")


class _Place(beam.DoFn):  # type: ignore[misc]
    """Collects a bundle's rows, so that many at a time become columns."""

    def __init__(self, measures: EventMeasures, windowing: Windowing, keeps_bad: bool) -> None:
        self._measures, self._windowing, self._keeps_bad = measures, windowing, keeps_bad
        self._rows: list[Any] = []
        self._measured, self._filtered, self._dead = (
            Metrics.counter(METRICS, name) for name in ("measured", "filtered", "dead")
        )

    def start_bundle(self) -> None:
        self._rows = []

    def finish_bundle(self) -> Iterator[Any]:
        yield from self.flush()

    def flush(self) -> Iterator[Any]:
        """The outputs of the rows collected so far."""
        raise NotImplementedError

    def outputs(self, prepared: Prepared, granules: Granules, rows: Sequence[Any] | pa.RecordBatch) -> Iterator[Any]:
        """Events with their windows, and bad ones with their reasons."""
        self._count(prepared)
        if prepared.events.num_rows:
            placed = prepared.events.append_column(GENERATION, pa.array(granules.of_row))
            yield globally(PlacedEvents(placed, tuple(granules.windows)))
        for row, reason in sorted(prepared.bad.items()):
            text = row_text(rows.slice(row, 1).to_pylist()[0] if isinstance(rows, pa.RecordBatch) else rows[row])
            if not self._keeps_bad:
                raise UserError(f"an event can't be measured: {reason}: {text[:200]}; an error handler keeps it apart")
            yield TaggedOutput(DEAD, globally(BadEvent(text, reason)))

    def _count(self, prepared: Prepared) -> None:
        counts = (prepared.events.num_rows, prepared.filtered, len(prepared.bad))
        for counter, count in zip((self._measured, self._filtered, self._dead), counts, strict=True):
            if count:
                counter.inc(count)


class _PlaceByColumn(_Place):
    """Assigns windows by a column of times."""

    def process(self, element: Any) -> Iterable[Any]:
        if type(element) is not dict and is_columns(element):
            return self._of_columns(element)
        self._rows.append(element)
        return self.flush() if len(self._rows) >= _MOST else _NOTHING

    def _of_columns(self, element: Any) -> Iterator[Any]:
        for batch in as_batches(element):
            yield from self._assigned(prepare_batch(self._measures, batch, None), batch)

    def flush(self) -> Iterator[Any]:
        rows, self._rows = self._rows, []
        if rows:
            yield from self._assigned(prepare_rows(self._measures, rows, None), rows)

    def _assigned(self, prepared: Prepared, rows: Sequence[Any] | pa.RecordBatch) -> Iterator[Any]:
        times = prepared.events.column(TIME).to_numpy()
        keys = prepared.events.column(KEY).indices.to_numpy()
        yield from self.outputs(prepared, assign(self._windowing.windowfn, times, keys), rows)


class _PlaceByElement(_Place):
    """Takes windows and times from the elements."""

    def __init__(self, measures: EventMeasures, windowing: Windowing, keeps_bad: bool) -> None:
        super().__init__(measures, windowing, keeps_bad)
        self._times: list[int] = []
        self._places: list[int] = []
        self._windows: dict[BoundedWindow, int] = {}

    def process(
        self, element: Any, time: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> Iterable[Any]:
        if type(element) is not dict and is_columns(element):
            return self._of_columns(element, time, window)
        self._rows.append(element)
        self._times.append(time.micros)
        self._places.append(self._windows.setdefault(window, len(self._windows)))
        return self.flush() if len(self._rows) >= _MOST else _NOTHING

    def _of_columns(self, element: Any, time: Any, window: Any) -> Iterator[Any]:
        for batch in as_batches(element):
            prepared = prepare_batch(self._measures, batch, time.micros)
            granules = Granules(np.zeros(prepared.events.num_rows, np.int64), [(window,)])
            yield from self.outputs(prepared, granules, batch)

    def start_bundle(self) -> None:
        self._rows, self._times, self._places, self._windows = [], [], [], {}

    def flush(self) -> Iterator[Any]:
        rows, times, places, windows = self._rows, self._times, self._places, tuple(self._windows)
        self.start_bundle()
        if not rows:
            return
        prepared = prepare_rows(self._measures, rows, times)
        granules: list[Windows] = [(window,) for window in windows]
        yield from self.outputs(prepared, Granules(np.array(places, np.int64)[prepared.rows], granules), rows)
