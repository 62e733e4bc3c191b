"""Reads elements as columns; invalid rows are found one by one, and the others kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.utils.timestamp import Timestamp

from tandem.schemas.columns import ID, KEY, TIME
from tandem.schemas.expressions import evaluate_rows
from tandem.schemas.keys import key_dictionary
from tandem.schemas.time.windows import EVER
from tandem.transforms.windowed.measuring import EventMeasures

__all__ = ["Prepared", "as_batches", "is_columns", "prepare_batch", "prepare_rows", "row_text"]

Times = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_LEAST: Final = EVER
_GREATEST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999, the end of calendars and of Tandem's times."""
_WRONG: Final = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
"""The errors of a value that doesn't fit its column; Arrow's own errors are ValueError and TypeError."""
_REASON_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Prepared:
    """Prepared events: events.num_rows + filtered + len(bad) is the number of rows, always."""

    events: pa.RecordBatch
    """columns.TIME, columns.KEY, and the measures' inputs; columns.ID where there is one."""
    rows: npt.NDArray[np.int64]
    """The row of each event."""
    filtered: int
    """The number of events that `where` filtered."""
    bad: dict[int, str]
    """The reason for each row that can't be read or computed."""


def is_columns(element: object) -> bool:
    """Whether an element is many events in columns: a record batch, a table, a data frame of pandas or Polars."""
    return hasattr(element, "__arrow_c_stream__") or hasattr(element, "__arrow_c_array__")


def as_batches(element: Any) -> list[pa.RecordBatch]:
    """The record batches of an element for which `is_columns` is true."""
    if isinstance(element, pa.RecordBatch):
        return [element]
    table = element if isinstance(element, pa.Table) else pa.table(element)
    batches: list[pa.RecordBatch] = table.combine_chunks().to_batches()
    return batches


def prepare_rows(measures: EventMeasures, rows: Sequence[Any], times: Sequence[int] | None) -> Prepared:
    """Prepared events from mappings or rows with attributes; `times` in microseconds where no column has them."""
    bad: dict[int, str] = {}

    def read(start: int, end: int) -> pa.RecordBatch:
        return _columns_of(measures.fields, rows[start:end])

    columns, kept = _halved(read, len(rows), bad)
    return _prepared(measures, columns, kept, None if times is None else np.array(times, np.int64), bad)


def prepare_batch(measures: EventMeasures, batch: pa.RecordBatch, time: int | None) -> Prepared:
    """Prepared events from a record batch; `time` applies to all its rows where no column has it."""
    missing = [name for name in measures.fields.names if name not in batch.schema.names]
    if missing:
        found = ", ".join(batch.schema.names)
        reason = f"there is no column {missing[0]}; columns: {found}"
        return _prepared(measures, [], np.arange(0), None, dict.fromkeys(range(batch.num_rows), reason))
    chosen = batch.select(measures.fields.names)
    bad: dict[int, str] = {}

    def read(start: int, end: int) -> pa.RecordBatch:
        return _cast(chosen.slice(start, end - start), measures.fields)

    columns, kept = _halved(read, batch.num_rows, bad)
    times = None if time is None else np.full(batch.num_rows, time, np.int64)
    return _prepared(measures, columns, kept, times, bad)


def row_text(row: Any) -> str:
    """A row as JSON; values that JSON lacks are texts."""
    if isinstance(row, Mapping):
        values = dict(row)
    elif hasattr(row, "_asdict"):
        values = row._asdict()
    else:
        values = row.as_dict() if hasattr(row, "as_dict") else {"value": row}
    return json.dumps(values, default=str, ensure_ascii=False)


def _columns_of(fields: pa.Schema, rows: Sequence[Any]) -> pa.RecordBatch:
    if not len(fields):
        return _no_columns(len(rows))
    get = itemgetter if rows and isinstance(rows[0], Mapping) else attrgetter
    arrays = [_array(_values(rows, field, get), field) for field in fields]
    return pa.RecordBatch.from_arrays(arrays, names=fields.names)


def _values(rows: Sequence[Any], field: pa.Field, get: Callable[[str], Callable[[Any], Any]]) -> list[Any]:
    try:
        return list(map(get(field.name), rows))
    except (KeyError, AttributeError):
        if get is attrgetter:
            return [getattr(row, field.name, None) for row in rows]
        return [row.get(field.name) for row in rows]


def _array(values: list[Any], field: pa.Field) -> pa.Array:
    try:
        column = _times(values, field.type) if pa.types.is_timestamp(field.type) else pa.array(values, field.type)
    except _WRONG as error:
        raise ValueError(f"{field.name}: {error}") from None
    if column.null_count and not field.nullable:
        raise ValueError(f"{field.name} is missing")
    return column


def _times(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Times from datetimes, ISO 8601 texts, or Beam's timestamps."""
    some = next((value for value in values if value is not None), None)
    if isinstance(some, str):
        return pa.array(values, pa.string()).cast(kind)
    if isinstance(some, Timestamp):
        return pa.array([None if value is None else value.micros for value in values], pa.int64()).cast(kind)
    return pa.array(values, kind)


def _cast(batch: pa.RecordBatch, fields: pa.Schema) -> pa.RecordBatch:
    if not len(fields):
        return _no_columns(batch.num_rows)
    arrays = []
    for column, field in zip(batch.columns, fields, strict=True):
        if column.null_count and not field.nullable:
            raise ValueError(f"{field.name} is missing")
        try:
            arrays.append(column if column.type == field.type else column.cast(field.type))
        except _WRONG as error:
            raise ValueError(f"{field.name}: {error}") from None
    return pa.RecordBatch.from_arrays(arrays, names=fields.names)


def _no_columns(rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))


def _halved(
    read: Callable[[int, int], pa.RecordBatch], size: int, bad: dict[int, str]
) -> tuple[list[pa.RecordBatch], npt.NDArray[np.int64]]:
    """(readable batches, their rows); unreadable rows are found by bisection, and added to `bad`."""
    pieces, kept, pending = [], [], [(0, size)]
    while pending:
        start, end = pending.pop()
        try:
            pieces.append(read(start, end))
            kept.append(np.arange(start, end))
        except _WRONG as error:
            if end - start <= 1:
                bad[start] = _reason(error)
            else:
                middle = (start + end) // 2
                pending += [(middle, end), (start, middle)]
    return pieces, np.concatenate(kept) if kept else np.arange(0)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:_REASON_CHARACTERS]


def _prepared(
    measures: EventMeasures,
    pieces: Sequence[pa.RecordBatch],
    rows: npt.NDArray[np.int64],
    times: Times | None,
    bad: dict[int, str],
) -> Prepared:
    """Columns of the rows `rows` with their times and keys, filtered; failures are added to `bad`."""
    if not len(rows):
        return Prepared(_output(measures, _no_columns(0), np.zeros(0, np.int64)), rows, 0, bad)
    columns = pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)
    found, reasons = (times[rows], {}) if times is not None else _event_times(measures, columns)
    kept = np.ones(len(rows), np.bool_)
    if measures.where is not None:
        values, failed = evaluate_rows(measures.where, columns)
        kept = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
        reasons = {**failed, **reasons}
    bad.update((int(rows[row]), reason) for row, reason in reasons.items())
    kept[list(reasons)] = False
    filtered = len(rows) - int(kept.sum()) - len(reasons)
    columns, found, rows = _kept(columns, found, rows, kept)
    if measures.derive:
        columns, good = _derived(measures, columns, rows, bad)
        columns, found, rows = _kept(columns, found, rows, good)
    return Prepared(_output(measures, columns, found), rows, filtered, bad)


def _kept(columns: pa.RecordBatch, times: Times, rows: Rows, kept: Bools) -> tuple[pa.RecordBatch, Times, Rows]:
    return (columns, times, rows) if kept.all() else (columns.filter(pa.array(kept)), times[kept], rows[kept])


def _derived(
    measures: EventMeasures, columns: pa.RecordBatch, rows: Rows, bad: dict[int, str]
) -> tuple[pa.RecordBatch, Bools]:
    """(the columns with the derived ones, whether each row has them); of several reasons the first is kept."""
    good = np.ones(columns.num_rows, np.bool_)
    for name, expression in measures.derive:
        values, failed = evaluate_rows(expression, columns)
        columns = columns.append_column(pa.field(name, expression.type), values)
        good[list(failed)] = False
        for row, reason in failed.items():
            bad.setdefault(int(rows[row]), reason)
    return columns, good


def _event_times(measures: EventMeasures, columns: pa.RecordBatch) -> tuple[Times, dict[int, str]]:
    """(time of each row in microseconds, reasons for rows without a time in the years 1 to 9999)."""
    if measures.event_time is None:
        return np.zeros(columns.num_rows, np.int64), {}
    column = columns.column(measures.event_time)
    missing = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(column.type):
        micros = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64()).fill_null(0).to_numpy()
        outside = np.zeros(len(micros), np.bool_)
    else:
        seconds = column.cast(pa.float64()).fill_null(0).to_numpy()
        outside = ~(np.abs(seconds) < _GREATEST / 1e6)
        micros = np.rint(np.where(outside, 0, seconds) * 1e6).astype(np.int64)
    outside |= (micros < _LEAST) | (micros > _GREATEST)
    reasons = {int(row): f"{measures.event_time} is missing" for row in np.flatnonzero(missing)}
    for row in np.flatnonzero(outside & ~missing):
        reasons[int(row)] = f"{measures.event_time} is outside the years 1 to 9999"
    return micros, reasons


def _output(measures: EventMeasures, columns: pa.RecordBatch, times: Times) -> pa.RecordBatch:
    made: dict[str, pa.Array] = {TIME: pa.array(times), KEY: _keys(measures, columns)}
    if measures.event_id is not None and measures.id_type is not None:
        made[ID] = _column(columns, measures.event_id, measures).cast(measures.id_type)
    for name in measures.inputs:
        if name not in made:
            made[name] = _column(columns, name, measures)
    return pa.RecordBatch.from_arrays(list(made.values()), names=list(made))


def _column(columns: pa.RecordBatch, name: str, measures: EventMeasures) -> pa.Array:
    if columns.num_rows:
        return columns.column(name)
    derived = dict(measures.derive)
    return pa.array([], derived[name].type if name in derived else measures.fields.field(name).type)


def _keys(measures: EventMeasures, columns: pa.RecordBatch) -> pa.Array:
    return key_dictionary([_column(columns, field.name, measures) for field in measures.keys], columns.num_rows)
