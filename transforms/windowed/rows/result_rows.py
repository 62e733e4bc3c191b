"""Builds result rows from states: keys, window, timing of the pane, number of events, results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

import apache_beam as beam
import orjson
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PaneInfoTiming, WindowedValue

from tandem.schemas.results import result_type
from tandem.transforms.windowed.measuring import EventMeasures
from tandem.transforms.windowed.rows.field_types import beam_type, measure_type
from tandem.transforms.windowed.states.shuffling import Shuffle

__all__ = ["ResultRows", "result_row_type"]

_MOST: Final = 10_000
"""Results that are built at once."""
_INT64: Final = 2**63

Convert = Callable[[Any], Any]


def result_row_type(measures: EventMeasures) -> RowTypeConstraint:
    """The type of the results, a Beam schema."""
    keys = [(field.name, beam_type(field.type)) for field in measures.keys]
    fixed = [("window_start", Timestamp), ("window_end", Timestamp), ("timing", str), ("pane", int), ("events", int)]
    results = [(name, measure_type(measure)) for name, measure in measures.measures]
    derived = [(name, beam_type(expression.type)) for name, expression in measures.derive_results]
    return RowTypeConstraint.from_fields([*keys, *fixed, *results, *derived])


@dataclass
class ResultRows(beam.PTransform):  # type: ignore[misc]
    """A Beam row for each (key, states), in its window and pane."""

    measures: EventMeasures
    shuffle: Shuffle

    def expand(self, states: beam.PCollection[tuple[Any, list[bytes]]]) -> beam.PCollection[beam.Row]:
        make = beam.ParDo(_MakeRows(self.measures, self.shuffle))
        return states | "Rows" >> make.with_output_types(result_row_type(self.measures))


class _MakeRows(beam.DoFn):  # type: ignore[misc]
    def __init__(self, measures: EventMeasures, shuffle: Shuffle) -> None:
        self._shuffle = shuffle
        self._keys = [(field.name, _of_key(field.type)) for field in measures.keys]
        self._values = [(name, _of_result(result_type(measure))) for name, measure in measures.measures]
        self._values += [(name, _of_result(expression.type)) for name, expression in measures.derive_results]
        self._pending: list[tuple[Any, list[bytes], Any, Any, Any]] = []

    def start_bundle(self) -> None:
        self._pending = []

    def process(
        self,
        gathered: tuple[Any, list[bytes]],
        at: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[WindowedValue]:
        self._pending.append((*gathered, at, window, pane))
        if len(self._pending) >= _MOST:
            yield from self.finish_bundle()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        pending, self._pending = self._pending, []
        answers = self._shuffle.answers([(key, states) for key, states, *_ in pending])
        for (*_, at, window, pane), of_key in zip(pending, answers, strict=True):
            start, end = window_bounds(window)
            timing = PaneInfoTiming.to_string(pane.timing)
            fixed = {"window_start": start, "window_end": end, "timing": timing, "pane": pane.index}
            for answer in of_key:
                yield WindowedValue(self._row(fixed, *answer), at, (window,), pane)

    def _row(self, fixed: Mapping[str, Any], key: str, events: int, results: Mapping[str, Any]) -> beam.Row:
        row = {
            name: convert(value) if convert is not None and value is not None else value
            for (name, convert), value in zip(self._keys, orjson.loads(key), strict=True)
        }
        row.update(fixed, events=events)
        for name, convert in self._values:
            value = results[name]
            row[name] = convert(value) if convert is not None and value is not None else value
        return beam.Row(**row)


def window_bounds(window: Any) -> tuple[Timestamp, Timestamp]:
    """[start, end) of a window; for the global one, Beam's range of time."""
    start = GlobalWindow().start if isinstance(window, GlobalWindow) else window.start
    return start, window.end


def _of_key(kind: pa.DataType) -> Convert | None:
    return Timestamp.from_rfc3339 if pa.types.is_timestamp(kind) and kind.tz else None


def _of_result(kind: pa.DataType | None) -> Convert | None:
    """The function that converts a result for its column of a Beam row; None where no conversion is needed."""
    types = pa.types
    if kind is None:
        return str
    if types.is_integer(kind):
        return _fitting
    if types.is_temporal(kind):
        return _time
    return _rows if types.is_list(kind) else None


def _fitting(value: int) -> int | None:
    """The value, None beyond 64 bits, which rows can't hold."""
    return value if -_INT64 <= value < _INT64 else None


def _time(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return Timestamp.from_utc_datetime(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _rows(items: Sequence[dict[str, Any]]) -> list[beam.Row]:
    return [beam.Row(**{name: _item(value) for name, value in item.items()}) for item in items]


def _item(value: Any) -> Any:
    return _time(value) if isinstance(value, date | time) else _fitting(value) if isinstance(value, int) else value
