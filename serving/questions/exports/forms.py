"""Exported rows as JSON Lines, CSV, Parquet or an Arrow stream."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.printable import json_text
from tandem.schemas.results import result_type
from tandem.serving.questions.answers.json_values import json_value, key_data
from tandem.serving.questions.selection.instants import time_in
from tandem.serving.questions.selection.selecting import key_column

if TYPE_CHECKING:
    from tandem.serving.questions.exports.rows import Export
    from tandem.views.answers.all_steps import AnswerRow

__all__ = ["BINARY", "FORMS", "arrow_batch", "arrow_schema", "without_formula", "write_rows"]

Rows = Iterable[list["AnswerRow"]]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of cells that spreadsheets compute instead of showing; the last four are full-width."""
_INSIDE: Final = re.compile(r'([;\t\r\n]["\s]*)(?=[-=+@\uff1d\uff0b\uff0d\uff20])')
"""Beginnings of cells for spreadsheets that split rows at semicolons, as those of many countries do, or at tabs."""

BINARY: Final = frozenset({"parquet", "arrow"})


def write_rows(file: IO[bytes], export: Export, rows: Rows, form: str, *, raw: bool = False) -> int:
    """Write all rows in one of FORMS, and return their number. `raw`: CSV whose texts may begin like a formula.

    Raises UserError for a number that the form can't hold, naming it.
    """
    return FORMS[form](file, export, rows, raw)


def _jsonl(file: IO[bytes], export: Export, rows: Rows, raw: bool) -> int:
    columns, zone, count = export.compiled.definition.key, export.zone, 0
    for some in rows:
        for row in some:
            data = {
                "key": key_data(columns, row.key),
                "start": time_in(row.start, zone),
                "end": time_in(row.end, zone),
                "events": row.events,
                "batch_events": row.batch_events,
                "results": {name: json_value(row.results[name], zone) for name in export.results},
            }
            file.write(json_text(data).encode() + b"\n")
        count += len(some)
    return count


def _csv(file: IO[bytes], export: Export, rows: Rows, raw: bool) -> int:
    shown: Callable[[Any], Any] = _as_it_is if raw else without_formula
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer, count, zone = csv.writer(text), 0, export.zone
    writer.writerow([*export.compiled.definition.key, "start", "end", "events", "batch_events", *export.results])
    for some in rows:
        for row in some:
            counts = (time_in(row.start, zone), time_in(row.end, zone), row.events, row.batch_events)
            results = (_cell(row.results[name], zone) for name in export.results)
            writer.writerow([*map(shown, json.loads(row.key)), *counts, *map(shown, results)])
        count += len(some)
    text.detach()
    return count


def _cell(value: Any, zone: str) -> Any:
    """A result in CSV: a number stays one, whatever its sign; lists and mappings become JSON."""
    if value is None or isinstance(value, bool | int | Decimal):
        return value
    plain = json_value(value, zone)
    if isinstance(value, float):
        return plain if isinstance(plain, float) else Decimal(plain)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else plain


def _as_it_is(value: Any) -> Any:
    return value


def without_formula(value: Any) -> Any:
    """A text that a spreadsheet would compute gets an apostrophe before it, which marks it as a text.

    So does a part of it that would be a cell of its own where semicolons separate cells.
    """
    if not isinstance(value, str):
        return value
    return _INSIDE.sub(r"\1'", f"'{value}" if value.startswith(_FORMULA) else value)


def _parquet(file: IO[bytes], export: Export, rows: Rows, raw: bool) -> int:
    from pyarrow import parquet

    schema, count = arrow_schema(export), 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for some in rows:
            writer.write_batch(arrow_batch(export, some, schema))
            count += len(some)
    return count


def _arrow(file: IO[bytes], export: Export, rows: Rows, raw: bool) -> int:
    schema, count = arrow_schema(export), 0
    with pa.ipc.new_stream(file, schema) as writer:
        for some in rows:
            writer.write_batch(arrow_batch(export, some, schema))
            count += len(some)
    return count


FORMS: Final[Mapping[str, Callable[[IO[bytes], Export, Rows, bool], int]]] = MappingProxyType(
    {"jsonl": _jsonl, "csv": _csv, "parquet": _parquet, "arrow": _arrow}
)


def arrow_schema(export: Export) -> pa.Schema:
    """Key columns, start, end, events, batch_events, results; times in the export's zone.

    A name that is taken by an earlier column gets `_2`. Results of measures without a declared type are JSON texts.
    """
    compiled, when = export.compiled, pa.timestamp("us", export.zone)
    kinds = {name: result_type(measure) for name, measure in compiled.measures}
    kinds |= {name: expression.type for name, expression in compiled.derive_results}
    fields = [(field.name, field.type) for field in compiled.key_fields]
    fields += [("start", when), ("end", when), ("events", pa.int64()), ("batch_events", pa.int64())]
    fields += [(name, _written_type(kinds[name], export.zone)) for name in export.results]
    taken: dict[str, pa.DataType] = {}
    for name, kind in fields:
        number = 2
        unique = name
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        taken[unique] = kind
    return pa.schema(list(taken.items()))


def _written_type(kind: pa.DataType | None, zone: str) -> pa.DataType:
    if kind is None:
        return pa.string()
    return pa.timestamp(kind.unit, zone) if pa.types.is_timestamp(kind) and kind.tz else kind


def arrow_batch(export: Export, rows: Sequence[AnswerRow], schema: pa.Schema | None = None) -> pa.RecordBatch:
    """Rows in the columns of `arrow_schema`, or of a given schema. Raises UserError for a number that doesn't fit."""
    schema = schema if schema is not None else arrow_schema(export)
    keys = [json.loads(row.key) for row in rows]
    columns = [key_column([key[at] for key in keys], f.type) for at, f in enumerate(export.compiled.key_fields)]
    columns += [pa.array([row.start for row in rows], pa.int64()).cast(pa.timestamp("us"))]
    columns += [pa.array([row.end for row in rows], pa.int64()).cast(pa.timestamp("us"))]
    columns += [pa.array([row.events for row in rows], pa.int64())]
    columns += [pa.array([row.batch_events for row in rows], pa.int64())]
    first = len(columns)
    known = {name: result_type(measure) for name, measure in export.compiled.measures}
    for at, name in enumerate(export.results):
        values = [row.results[name] for row in rows]
        if name in known and known[name] is None:
            values = [None if value is None else json.dumps(json_value(value)) for value in values]
        columns.append(_column(name, values, schema.field(first + at).type, rows))
    typed = [
        column.cast(pa.timestamp("us", "UTC")).cast(f.type) if pa.types.is_timestamp(f.type) and f.type.tz else column
        for column, f in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(typed, schema=schema)


def _column(name: str, values: list[Any], kind: pa.DataType, rows: Sequence[AnswerRow]) -> pa.Array:
    if pa.types.is_floating(kind):
        values = [float(value) if isinstance(value, Decimal) else value for value in values]
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        for row, value in zip(rows, values, strict=True):
            try:
                pa.array([value], kind)
            except (pa.ArrowException, OverflowError, TypeError, ValueError):
                raise UserError(
                    f"{name} of {row.key} at {time_in(row.start)} is {value}: that doesn't fit {kind}; "
                    "--format jsonl and csv hold it"
                ) from None
        raise
