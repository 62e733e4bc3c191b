"""Encodes messages: JSON as they are, Avro and Parquet by the schema of their result."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import fastavro
import pyarrow as pa
from pyarrow import parquet

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.result_messages.avro import avro_schema, avro_values
from tandem.schemas.result_messages.columns import message_schema, typed_message
from tandem.views.outbox.messages import Message

__all__ = ["EXTENSIONS", "Encoder"]

EXTENSIONS: Final = {"json": "jsonl", "avro": "avro", "parquet": "parquet"}
"""By format the extension of files."""

Refused = dict[int, str]
Values = dict[str, Any]


@dataclass(frozen=True)
class Encoder:
    """Messages of one definition in one format."""

    form: str
    """json, avro, parquet; rows, for a table of BigQuery."""
    compiled: CompiledDefinition

    def payloads(self, messages: Sequence[Message]) -> tuple[list[tuple[Message, bytes]], Refused]:
        """Each message encoded separately, and by ordinal the reasons why others can't be."""
        if self.form == "json":
            return [(message, message.payload.encode()) for message in messages], {}
        good, refused = self.typed(messages)
        found = []
        for message, values in good:
            try:
                found.append((message, self._avro(message.of).message(values)))
            except (TypeError, ValueError, OverflowError) as error:
                refused[message.ordinal] = f"can't be written as Avro: {error}"
        return found, refused

    def file(self, messages: Sequence[Message]) -> tuple[list[Message], Refused, bytes]:
        """Messages of one stream as one file: (those in it, reasons by ordinal why others aren't, its bytes)."""
        if self.form == "json":
            return list(messages), {}, "".join(f"{message.payload}\n" for message in messages).encode()
        good, refused = self.typed(messages)
        rows = [message for message, _ in good]
        if not rows:
            return rows, refused, b""
        values = [each for _, each in good]
        stream = rows[0].of
        data = self._avro(stream).file(values) if self.form == "avro" else _parquet(self.columns(stream), values)
        return rows, refused, data

    def typed(self, messages: Sequence[Message]) -> tuple[list[tuple[Message, Values]], Refused]:
        """Each message's values by column, and by ordinal the reasons why others have none."""
        good, refused = list[tuple[Message, Values]](), Refused()
        for message in messages:
            try:
                if message.kind != "result" or message.of not in self.compiled.definition.results:
                    raise ValueError(f"{message.stream} has no schema here; JSON holds it")
                data = json.loads(message.payload)
                values = typed_message(self.columns(message.of), data, message.start, message.end)
                good.append((message, values))
            except (KeyError, ValueError) as error:
                missing = isinstance(error, KeyError)
                refused[message.ordinal] = f"has no {error}, it is of another version" if missing else str(error)
        return good, refused

    def columns(self, name: str) -> pa.Schema:
        """The columns of a result's messages."""
        return _columns(self.compiled, name)

    def _avro(self, name: str) -> _Avro:
        return _avro(self.compiled, name)


@functools.lru_cache(maxsize=64)
def _columns(compiled: CompiledDefinition, name: str) -> pa.Schema:
    return message_schema(compiled, name)


class _Avro:
    """Encodes the values of one result's messages."""

    def __init__(self, columns: pa.Schema, schema: Mapping[str, Any]) -> None:
        self._columns = columns
        self._schema = fastavro.parse_schema(dict(schema))

    def message(self, values: Values) -> bytes:
        """Without a header: readers know the schema from the topic, or otherwise."""
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, self._schema, avro_values(self._columns, values))
        return buffer.getvalue()

    def file(self, rows: Sequence[Values]) -> bytes:
        """A container with the schema in it, with the same bytes at every attempt."""
        buffer = io.BytesIO()
        values = [avro_values(self._columns, row) for row in rows]
        fastavro.writer(buffer, self._schema, values, codec="deflate", sync_marker=_MARKER)
        return buffer.getvalue()


_MARKER: Final = b"tandem results\r\n"
"""Sixteen bytes between two blocks."""


@functools.lru_cache(maxsize=64)
def _avro(compiled: CompiledDefinition, name: str) -> _Avro:
    return _Avro(_columns(compiled, name), avro_schema(compiled, name))


def _parquet(columns: pa.Schema, rows: Sequence[Values]) -> bytes:
    """One file with zstd."""
    buffer = io.BytesIO()
    with parquet.ParquetWriter(buffer, columns, compression="zstd") as writer:
        writer.write_table(pa.Table.from_pylist(list(rows), columns))
    return buffer.getvalue()
