"""Every way in for a value of one type: CSV, JSON Lines, JSON messages alone (an object for each) and among many alike
(as columns), whole numbers also as Avro messages, Avro files and Parquet files.
"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tandem.formats.messages import decode_messages

TYPES: dict[str, Any] = {
    "timestamp-micros": {"type": "long", "logicalType": "timestamp-micros"},
    "timestamp-millis": {"type": "long", "logicalType": "timestamp-millis"},
    "local-timestamp-micros": {"type": "long", "logicalType": "local-timestamp-micros"},
    "local-timestamp-millis": {"type": "long", "logicalType": "local-timestamp-millis"},
    "date": {"type": "int", "logicalType": "date"},
    "time-millis": {"type": "int", "logicalType": "time-millis"},
    "time-micros": {"type": "long", "logicalType": "time-micros"},
    "decimal": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 3},
    "wide-decimal": {"type": "bytes", "logicalType": "decimal", "precision": 60, "scale": 10},
    "int": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "bytes": "bytes",
    "fixed": {"type": "fixed", "name": "F", "size": 2},
    "string": "string",
}
Outcome = tuple[str, Any]


def schema_of(kind: Any) -> dict[str, Any]:
    fields = [
        {"name": "id", "type": "long"},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "x", "type": ["null", kind], "default": None},
    ]
    return {"type": "record", "name": "E", "fields": fields}


class Ways:
    """Reads a value of x of one type, as texts and as numbers, by every way in."""

    def __init__(self, kit: Any, folder: Path, kind: Any, **spelling: Any) -> None:
        self.kit, self.folder, self.kind = kit, folder, kind
        self.schema = schema_of(kind)
        spellings = {"x": spelling} if spelling else {}
        self.options: dict[str, Any] = {"avro_schema": self.schema, "spellings": spellings, "max_ahead": None}

    def csv(self, texts: list[str]) -> list[Outcome]:
        out = io.StringIO()
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["id", "time", "x"])
        writer.writerows([at, self.kit.now, text] for at, text in enumerate(texts))
        (self.folder / "x.csv").write_text(out.getvalue(), newline="")
        return self.file("x.csv", len(texts))

    def json_tokens(self, tokens: list[str]) -> dict[str, list[Outcome]]:
        lines = [f'{{"id":{at},"time":{self.kit.now},"x":{token}}}'.encode() for at, token in enumerate(tokens)]
        (self.folder / "x.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        alone = [self.messages([line])[0] for line in lines]
        many = [[*lines[at : at + 1], *([line] * 40)] for at, line in enumerate(lines)]
        return {
            "JSON Lines": self.file("x.jsonl", len(lines)),
            "JSON messages": self.messages(lines),
            "a JSON message": alone,
            "a JSON message among many": [self.messages(batch)[0] for batch in many],
        }

    def json_texts(self, texts: list[str]) -> dict[str, list[Outcome]]:
        return self.json_tokens([json.dumps(text) for text in texts])

    def typed_texts(self, texts: list[str]) -> dict[str, list[Outcome]]:
        """As columns of texts in files that have types."""
        return self.typed(texts, "string", pa.string())

    def typed(self, values: list[Any], avro: Any, parquet: pa.DataType) -> dict[str, list[Outcome]]:
        """In files whose column has another type than the source's schema may have."""
        rows = [{"id": at, "time": self.kit.now, "x": value} for at, value in enumerate(values)]
        self.kit.avro_file(self.folder / "x.avro", rows, schema_of(avro))
        return {"an Avro file": self.file("x.avro", len(rows)), "a Parquet file": self.parquet(values, parquet)}

    def parquet(self, values: list[Any], kind: pa.DataType) -> list[Outcome]:
        times = pa.array([self.kit.now] * len(values), pa.int64())
        table = pa.table({"id": range(len(values)), "time": times, "x": pa.array(values, kind)})
        pq.write_table(table, self.folder / "x.parquet")
        return self.file("x.parquet", len(values))

    def numbers(self, numbers: list[int], parquet: pa.DataType) -> dict[str, list[Outcome]]:
        rows = [{"id": at, "time": self.kit.now, "x": number} for at, number in enumerate(numbers)]
        plain = schema_of(self.kind["type"] if isinstance(self.kind, dict) else self.kind)
        self.kit.avro_file(self.folder / "x.avro", rows, plain)
        table = pa.table({"id": range(len(rows)), "time": pa.array([self.kit.now] * len(rows), pa.int64())})
        pq.write_table(
            table.append_column(
                "x", pa.array(numbers, pa.int32() if parquet == pa.date32() else parquet).cast(parquet)
            ),
            self.folder / "x.parquet",
        )
        messages = [self.kit.avro(row, plain) for row in rows]
        return {
            "CSV": self.csv([str(number) for number in numbers]),
            **self.json_tokens([str(number) for number in numbers]),
            "Avro messages": self.messages(messages, format="avro"),
            "an Avro file": self.file("x.avro", len(rows)),
            "a Parquet file": self.file("x.parquet", len(rows)),
        }

    def file(self, name: str, size: int) -> list[Outcome]:
        table, dead = self.kit.read(self.folder / name, ("id", "x"), **self.options)
        return _outcomes(table, dead, size)

    def messages(self, payloads: list[bytes], format: str = "json") -> list[Outcome]:
        spec = self.kit.spec(format=format, **self.options)
        decoded = decode_messages(spec, ("id", "x"), self.kit.messages(payloads))
        events = pa.Table.from_batches([decoded.events])
        return _outcomes(events, list(decoded.dead), len(payloads), decoded.rows.tolist())


def _outcomes(table: Any, dead: list[Any], size: int, rows: list[int] | None = None) -> list[Outcome]:
    found: dict[int, Outcome] = {letter.row: ("dead", f"{letter.stage}: {letter.reason}") for letter in dead}
    places = table.column("id").to_pylist() if rows is None else rows
    for row, value in zip(places, table.column("x").to_pylist(), strict=True):
        found[row] = ("event", "nan" if isinstance(value, float) and math.isnan(value) else value)
    assert len(found) == size
    return [found[row] for row in range(size)]


def same(texts: list[str], ways: dict[str, list[Outcome]]) -> list[Outcome]:
    """The outcomes, which must be those of every way."""
    first = next(iter(ways))
    for way, outcomes in ways.items():
        for text, wanted, outcome in zip(texts, ways[first], outcomes, strict=True):
            assert outcome == wanted, f"{text!r} is {wanted} in {first}, and {outcome} in {way}"
    return ways[first]
