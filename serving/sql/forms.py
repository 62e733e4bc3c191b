"""Rows of a statement as JSON, CSV, Parquet, or an Arrow stream."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import IO, Any, Final

import pyarrow as pa

from tandem.schemas.privacy.printable import json_text
from tandem.serving.questions.answers.json_values import json_value
from tandem.serving.questions.exports.forms import without_formula

__all__ = ["BINARY_TABLES", "TABLE_FORMS", "cell_values", "write_table"]

BINARY_TABLES: Final = frozenset({"parquet", "arrow"})


def write_table(file: IO[bytes], table: pa.Table, form: str) -> None:
    """Write a table in one of TABLE_FORMS."""
    TABLE_FORMS[form](file, table)


def cell_values(table: pa.Table) -> Iterator[list[Any]]:
    """The values of each row in JSON's types: times as ISO 8601, bytes as text if they are UTF-8, or else in hex."""
    for batch in table.to_batches():
        columns = [[_plain(value) for value in column.to_pylist()] for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield list(row)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return json_value(value)


def _json(file: IO[bytes], table: pa.Table) -> None:
    """Write an array of objects; of columns with one name the last one counts."""
    for at, row in enumerate(cell_values(table)):
        file.write(b"[" if not at else b",\n")
        file.write(json_text(dict(zip(table.column_names, row, strict=True))).encode())
    file.write(b"]\n" if table.num_rows else b"[]\n")


def _csv(file: IO[bytes], table: pa.Table) -> None:
    """Write CSV with a header; texts that a spreadsheet would compute begin with an apostrophe."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([without_formula(name) for name in table.column_names])
    for row in cell_values(table):
        writer.writerow([without_formula(_flat(value)) for value in row])
    text.detach()


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _parquet(file: IO[bytes], table: pa.Table) -> None:
    from pyarrow import parquet

    parquet.write_table(table, file, compression="zstd")


def _arrow(file: IO[bytes], table: pa.Table) -> None:
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


TABLE_FORMS: Final[Mapping[str, Callable[[IO[bytes], pa.Table], None]]] = MappingProxyType(
    {"json": _json, "csv": _csv, "parquet": _parquet, "arrow": _arrow}
)
