"""One windowed job, written with Beam's own combiners and with `tandem.transforms.windowed`: clicks by page and minute.

Number, sum, least, most and mean of the amount. All read the same clicks out of memory, as dicts or as record batches,
on the FnApiRunner in this process, and leave their answers in `ANSWERS`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam import combiners
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from benchmarks.inputs.clicks import Shape, clicks
from tandem.runners.submission.launching import FN_API_RUNNER
from tandem.transforms.windowed import WindowedMeasures

__all__ = ["ANSWERS", "CHUNK", "JOBS", "Answers", "chunk", "dicts", "run"]

Answers = dict[tuple[str, int], tuple[int, float, float, float, float]]

ANSWERS: Final[Answers] = {}
"""The answers of the last run, by page and start of the minute (seconds)."""

CHUNK: Final = 10_000
_FIELDS: Final = {"page": str, "amount": float, "event_time": datetime}
_SECONDS: Final = {**_FIELDS, "event_time": float}
_MEASURES: Final = {
    "number": "count",
    "total": {"sum": "amount"},
    "least": {"min": "amount"},
    "most": {"max": "amount"},
    "mean": {"mean": "amount"},
}


@functools.cache
def chunk(events: int, number: int) -> pa.RecordBatch:
    """The clicks number `10,000 x number` to the next chunk."""
    return clicks(Shape(events), number * CHUNK, min(CHUNK, events - number * CHUNK))


@functools.cache
def dicts(events: int, number: int) -> list[dict[str, Any]]:
    """A chunk as dicts, its times in seconds."""
    batch = chunk(events, number)
    seconds = [micros / 1e6 for micros in batch.column("event_time").cast(pa.int64()).to_pylist()]
    rows = batch.drop_columns("event_time").to_pylist()
    return [{**row, "event_time": at} for row, at in zip(rows, seconds, strict=True)]


def run(name: str, events: int) -> None:
    """Run a job to its end."""
    ANSWERS.clear()
    chunks = range(-(-events // CHUNK))
    with beam.Pipeline(options=PipelineOptions([f"--runner={FN_API_RUNNER}"])) as pipeline:
        numbers = pipeline | "Chunks" >> beam.Create([(events, number) for number in chunks])
        answers = JOBS[name](numbers)
        _ = answers | "Keep" >> beam.Map(_keep)


def _dicts_of(numbers: beam.PCollection) -> beam.PCollection:
    return numbers | "Read" >> beam.FlatMapTuple(dicts)


def _windowed(events: beam.PCollection) -> beam.PCollection:
    stamped = events | "Times" >> beam.Map(lambda event: TimestampedValue(event, event["event_time"]))
    return stamped | "Minutes" >> beam.WindowInto(FixedWindows(60))


def _by_combiners(events: beam.PCollection) -> beam.PCollection:
    of_amount = combiners.TupleCombineFn(combiners.CountCombineFn(), sum, min, max, combiners.MeanCombineFn())
    pairs = _windowed(events) | "Pairs" >> beam.Map(lambda event: (event["page"], event["amount"]))
    return pairs | "Combine" >> beam.CombinePerKey(of_amount.with_common_input()) | "Answers" >> beam.Map(_of_pair)


def _of_pair(pair: tuple[str, Any], window: Any = beam.DoFn.WindowParam) -> tuple[Any, ...]:
    page, values = pair
    return page, window.start, *values


def _of_row(row: Any) -> tuple[Any, ...]:
    return row.page, row.window_start, row.number, row.total, row.least, row.most, row.mean


def _measured(events: beam.PCollection, fields: Mapping[str, Any], **settings: Any) -> beam.PCollection:
    measures = WindowedMeasures(_MEASURES, ["page"], fields, **settings)
    return events | "Measures" >> measures | "Answers" >> beam.Map(_of_row)


def _combiners_of_dicts(numbers: beam.PCollection) -> beam.PCollection:
    return _by_combiners(_dicts_of(numbers))


def _combiners_of_batches(numbers: beam.PCollection) -> beam.PCollection:
    rows = numbers | "Read" >> beam.MapTuple(chunk) | "Rows" >> beam.FlatMap(_rows)
    return _by_combiners(rows)


def _rows(batch: pa.RecordBatch) -> Sequence[dict[str, Any]]:
    columns = batch.select(["page", "amount"]), batch.column("event_time").cast(pa.int64()).to_pylist()
    return [{**row, "event_time": at / 1e6} for row, at in zip(columns[0].to_pylist(), columns[1], strict=True)]


def _measures_of_dicts(numbers: beam.PCollection) -> beam.PCollection:
    return _measured(_windowed(_dicts_of(numbers)), _SECONDS)


def _measures_of_dicts_by_column(numbers: beam.PCollection) -> beam.PCollection:
    minutes = beam.WindowInto(FixedWindows(60))
    return _measured(_dicts_of(numbers), _SECONDS, event_time="event_time", windows=minutes)


def _measures_of_batches(numbers: beam.PCollection) -> beam.PCollection:
    batches = numbers | "Read" >> beam.MapTuple(chunk)
    minutes = beam.WindowInto(FixedWindows(60))
    return _measured(batches, _FIELDS, event_time="event_time", windows=minutes)


JOBS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "dicts, Beam's combiners": _combiners_of_dicts,
    "dicts, WindowInto before": _measures_of_dicts,
    "dicts, windows by column": _measures_of_dicts_by_column,
    "record batches, Beam's combiners": _combiners_of_batches,
    "record batches": _measures_of_batches,
}
"""The jobs, by their names in reports."""


def _keep(answer: tuple[Any, ...]) -> None:
    page, start, *values = answer
    ANSWERS[page, int(start)] = tuple(values)
