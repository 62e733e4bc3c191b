"""Windowed measures for any pipeline: events in, one typed row a key, window and pane out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.error_handling import ErrorHandler

from tandem.schemas.errors import DefinitionError
from tandem.transforms.windowed.compiling import compile_measures
from tandem.transforms.windowed.events.deduplicating import KeepFirst
from tandem.transforms.windowed.events.elements import DEAD, PlacedEvents
from tandem.transforms.windowed.events.placing import PlaceEvents
from tandem.transforms.windowed.measuring import EventMeasures
from tandem.transforms.windowed.rows.field_types import Fields, fields_of_rows
from tandem.transforms.windowed.rows.result_rows import ResultRows
from tandem.transforms.windowed.states.combining import Gather
from tandem.transforms.windowed.states.folding import FoldEvents
from tandem.transforms.windowed.states.shuffling import shuffle_for

__all__ = ["WindowedMeasures"]


@dataclass
class WindowedMeasures(beam.PTransform):  # type: ignore[misc]
    """Measures events by key, under the windows and trigger of the input.

    Elements are dicts, Beam rows, or many events in columns (record batches, tables, data frames). A result is a Beam
    row: the keys, `window_start` and `window_end`, the pane's `timing` (EARLY, ON_TIME, LATE; UNKNOWN where the runner
    has none) and number `pane`, the number of `events`, and the measures.

    >>> from apache_beam.transforms.window import FixedWindows
    >>> clicks = [{"page": "home", "at": 3, "price": 0.1}, {"page": "home", "at": 5, "price": 0.2},
    ...           {"page": "home", "at": 65, "price": 0.4}]
    >>> with beam.Pipeline() as pipeline:
    ...     rows = (pipeline | beam.Create(clicks) | beam.WindowInto(FixedWindows(60))
    ...         | WindowedMeasures(keys=["page"], measures={"clicks": "count", "price": {"sum": "price"}},
    ...                            fields={"page": str, "at": int, "price": float}, event_time="at"))
    ...     _ = rows | beam.Map(lambda row: print(row.page, int(row.window_start), row.clicks, row.price))
    home 0 2 0.30000000000000004
    home 60 1 0.4
    """

    measures: Mapping[str, object]
    """Measures by name, in a definition's syntax: `count`, `{"sum": "amount"}`, `{"quantiles": "latency", "at":
    [0.5]}`."""
    keys: Sequence[str] = ()
    """Columns by which events are grouped; without any there is one result a window."""
    fields: Fields | None = None
    """The columns of events; Beam rows have them in their type. Other columns are ignored."""
    event_time: str | None = None
    """A column of timestamps (or seconds since 1970), which decides an event's windows; without it the elements' own
    timestamps and windows apply. Events in columns need it, unless a whole batch lies in one window."""
    event_id: str | None = None
    """A column that identifies events; `first` and `last` order events of equal time by it."""
    where: str | None = None
    """A SQL expression over the columns; events for which it isn't true are filtered."""
    derive: Mapping[str, str] | None = None
    """Columns computed from an event's by SQL expressions, after `where`."""
    derive_results: Mapping[str, str] | None = None
    """Results computed from results by SQL expressions: `{"per_click": "amount / clicks"}`."""
    deduplicate: bool = False
    """Whether only the first of several events with one `event_id` in a window counts. Under sliding windows and
    sessions copies of an event must have its time."""
    windows: beam.WindowInto | None = None
    """Windows and trigger in place of the input's; with `event_time`, many events are assigned at a time."""
    shards: int = 1
    """Parts of the keys that several workers may merge at once, in windows of one pane; in other windows each key is a
    part."""
    error_handler: ErrorHandler | None = field(default=None, kw_only=True)

    def with_error_handler(self, error_handler: ErrorHandler | None) -> WindowedMeasures:
        """The transform with an error handler for events that can't be measured (BadEvent); without one they fail the
        pipeline.
        """
        return replace(self, error_handler=error_handler)

    def expand(self, events: beam.PCollection[Any]) -> beam.PCollection[beam.Row]:
        measures = self._compiled(events)
        windowing = events.windowing if self.windows is None else self.windows.windowing
        shuffle = shuffle_for(measures, windowing, self.shards)
        placed = self._placed(events, measures, windowing)
        if self.deduplicate:
            placed |= "Once" >> self._once(windowing)
        gather = Gather(shuffle.merged, shuffle.most).with_input_types(bytes).with_output_types(list[bytes])
        states = placed | "States" >> FoldEvents(measures, shuffle, windowing)
        return states | "Merge" >> beam.CombinePerKey(gather) | "Results" >> ResultRows(measures, shuffle)

    def _placed(
        self, events: beam.PCollection[Any], measures: EventMeasures, windowing: Windowing
    ) -> beam.PCollection[PlacedEvents]:
        """The events in their windows; bad ones go to the error handler."""
        if self.windows is not None and self.event_time is None:
            events |= "Windows" >> self.windows
        placed = events | "Events" >> PlaceEvents(measures, windowing, self.error_handler is not None)
        if self.error_handler is not None:
            self.error_handler.add_error_pcollection(placed[DEAD])
        return placed.events

    def _once(self, windowing: Windowing) -> KeepFirst:
        if self.event_id is None:
            raise DefinitionError("name the column of ids as event_id", field="deduplicate")
        return KeepFirst(windowing, self.event_time is not None, self.shards)

    def _compiled(self, events: beam.PCollection[Any]) -> EventMeasures:
        fields = self.fields if self.fields is not None else fields_of_rows(events.element_type)
        if fields is None:
            message = f"the events' columns aren't known: elements are {events.element_type}, which has no schema"
            raise DefinitionError(f"{message}; give them, such as {{'page': str, 'amount': float}}", field="fields")
        spelled = (self.measures, self.keys, self.where, self.event_time, self.event_id)
        return compile_measures(fields, *spelled, self.derive, self.derive_results)
