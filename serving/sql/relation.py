"""A table that is read on DuckDB's demand, as far as its filters require."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tandem.serving.sql.bounds import Bounds, bounds_of

__all__ = ["Read", "Reading", "Relation"]

Read = Callable[[Bounds, Sequence[str]], Iterator[pa.RecordBatch]]
"""Batches of a table's rows: at least those within bounds, at least these columns."""


@dataclass
class Reading:
    """The reads of one statement: by one thread at a time, since all share one transaction."""

    _open: list[Iterator[Any]] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    error: Exception | None = None
    """The first error of a table: DuckDB passes only its text on."""

    def batches(self, found: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, one at a time over all tables."""
        self._open.append(found)
        while True:
            with self._lock:
                try:
                    batch = next(found, None)
                except Exception as error:
                    self.error = self.error or error
                    raise
            if batch is None:
                return
            yield batch

    def close(self) -> None:
        """End the reads that DuckDB didn't exhaust."""
        with self._lock:
            for each in self._open:
                each.close()  # type: ignore[attr-defined]


class Relation(ds.Dataset):  # type: ignore[misc]
    """A table with the interface of Arrow's data sets, whose rows a function reads: DuckDB requests columns, with a
    filter.
    """

    def __init__(self, schema: pa.Schema, read: Read, reading: Reading) -> None:
        self._fields, self._read, self._reading = schema, read, reading

    @property
    def schema(self) -> pa.Schema:
        """The table's columns."""
        return self._fields

    def scanner(self, columns: Sequence[str] | None = None, filter: pc.Expression | None = None, **_: Any) -> _Scan:
        """The rows that pass a filter, with some columns; DuckDB passes no other arguments."""
        wanted = list(columns) if columns is not None else self._fields.names
        return _Scan(pa.schema([self._fields.field(name) for name in wanted]), self._rows(wanted, filter))

    def _rows(self, wanted: Sequence[str], condition: pc.Expression | None) -> Iterator[pa.RecordBatch]:
        bounds = bounds_of(condition, self._fields)
        for batch in self._reading.batches(self._read(bounds, wanted)):
            if condition is None:
                yield batch.select(wanted)
            else:
                yield from pa.Table.from_batches([batch]).filter(condition).select(wanted).to_batches()


@dataclass(frozen=True)
class _Scan:
    schema: pa.Schema
    rows: Iterator[pa.RecordBatch]

    def to_reader(self) -> pa.RecordBatchReader:
        """The scan as a reader, as Arrow's scanners give it."""
        return pa.RecordBatchReader.from_batches(self.schema, self.rows)
