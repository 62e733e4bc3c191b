"""Sources, rows and files that the tests of decoding share."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.formats.files.reading import expand, read_piece, split
from tandem.formats.messages import decode_messages
from tandem.schemas.messages import MESSAGE_SCHEMA, DeadLetter
from tandem.schemas.source.text_options import CsvOptions

NOW = 1_700_000_000_000_000

EVENT: dict[str, Any] = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "user", "type": "string"},
        {"name": "page", "type": {"type": "enum", "name": "Page", "symbols": ["home", "cart", "pay"]}},
        {"name": "price", "type": "double"},
        {"name": "count", "type": ["null", "int"], "default": None},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}

WIDE: dict[str, Any] = {
    "type": "record",
    "name": "Wide",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "ratio", "type": ["null", "float"], "default": None},
        {"name": "raw", "type": ["bytes", "null"]},
        {
            "name": "place",
            "type": [
                "null",
                {"type": "record", "name": "Place", "fields": [
                    {"name": "city", "type": "string"},
                    {"name": "code", "type": ["null", "int", "string"]},
                ]},
            ],
            "default": None,
        },
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": ["null", {"type": "int", "logicalType": "time-millis"}], "default": None},
        {"name": "clock", "type": {"type": "long", "logicalType": "time-micros"}},
        {
            "name": "amount",
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}],
            "default": None,
        },
        {"name": "seen", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "labels", "type": {"type": "map", "values": "long"}, "default": {}},
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """A source as the definition would have it."""

    avro_schema: dict[str, Any] = field(default_factory=lambda: EVENT)
    format: Literal["avro", "json"] = "avro"
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    revisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    spellings: dict[str, dict[str, Any]] = field(default_factory=dict)
    default_revision: str | None = None
    event_id: tuple[str, ...] = ("id",)
    csv: CsvOptions = field(default_factory=CsvOptions)
    encoding: str = "utf-8"
    partitions: Literal["hive"] | None = None
    event_time: str = "time"
    max_ahead: int | None = 3_600_000_000


@dataclass(frozen=True, repr=False)
class Kit:
    """What the tests build input with."""

    now: int = NOW
    event: Any = field(default_factory=lambda: EVENT)
    wide: Any = field(default_factory=lambda: WIDE)
    spec: Callable[..., Spec] = Spec
    columns: tuple[str, ...] = ("id", "user", "page", "price", "count", "time")

    def row(self, **changes: Any) -> dict[str, Any]:
        """One row of EVENT, as Avro has it."""
        row = {"id": 7, "user": "ann", "page": "cart", "price": 1.5, "count": 3, "time": NOW}
        return row | changes

    def avro(self, row: dict[str, Any], schema: dict[str, Any] | None = None) -> bytes:
        """One message in Avro, as an independent library writes it."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema or EVENT), row)
        return out.getvalue()

    def json(self, row: dict[str, Any]) -> bytes:
        return json.dumps(row).encode()

    def messages(self, payloads: Sequence[bytes], published: int = NOW) -> pa.RecordBatch:
        """A batch of raw messages."""
        columns = [
            pa.array([f"m{at}" for at in range(len(payloads))], pa.string()),
            pa.array([published] * len(payloads), pa.int64()),
            pa.array([[("n", str(at))] for at in range(len(payloads))], MESSAGE_SCHEMA.field("attributes").type),
            pa.array(payloads, pa.binary()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA)

    def avro_file(self, path: Path, rows: list[dict[str, Any]], schema: Any = None, **options: Any) -> Path:
        with path.open("wb") as file:
            fastavro.writer(file, fastavro.parse_schema(schema or EVENT), rows, **options)
        return path

    def wide_row(self, **changes: Any) -> dict[str, Any]:
        """One row of WIDE, with numbers where Avro has logical types, but for the decimal."""
        row = {
            "id": "a", "tags": ["x", "y"], "flag": True, "small": -5, "ratio": 0.5, "raw": b"\x00\xff",
            "place": {"city": "Ulm", "code": 7}, "day": 19000, "at": 5000, "clock": 6_000_000,
            "amount": Decimal("-12.34"), "seen": NOW // 1000, "labels": {"k": 1},
        }  # fmt: skip
        return row | changes

    def read(
        self, path: Path, columns: tuple[str, ...] | None = None, target: int = 1 << 40, **options: Any
    ) -> tuple[Any, list[DeadLetter]]:
        """Events of a file as one table (None if it has no batches), and its dead letters."""
        columns = self.columns if columns is None else columns
        (ref,) = expand([str(path)])
        spec = self.spec(**options)
        parts = [part for piece in split(ref, target, spec) for part in read_piece(spec, columns, piece, self.now)]
        dead = [letter for part in parts for letter in part.dead]
        return (pa.Table.from_batches([part.events for part in parts]) if parts else None), dead

    def table_of(self, rows: list[dict[str, Any]]) -> pa.Table:
        """The events that rows of EVENT are, by way of Avro messages."""
        decoded = decode_messages(self.spec(), self.columns, self.messages([self.avro(row) for row in rows]))
        assert decoded.dead == ()
        return pa.Table.from_batches([decoded.events])

    def rows_of(self, count: int) -> list[dict[str, Any]]:
        pages = ["home", "cart", "pay"]
        return [
            self.row(
                id=at * 7919, user=f"user {at % 9}", page=pages[at % 3], price=at / 7,
                count=None if at % 4 == 0 else at, time=NOW - at,
            )
            for at in range(count)
        ]  # fmt: skip

    def write_lines(self, path: Path, rows: list[dict[str, Any]]) -> Path:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def write_csv(self, path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), **options)
            writer.writeheader()
            writer.writerows(rows)
        return path

    def write_parquet(self, path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
        pq.write_table(self.table_of(rows).select(self.columns), path, **options)
        return path

    def parquet_of(self, path: Path, rows: list[dict[str, Any]], **changes: Any) -> Path:
        """A file of the rows as they are; columns may be replaced, or left out with None."""
        columns = {name: [row[name] for row in rows] for name in rows[0]} | changes
        table = pa.table({name: values for name, values in columns.items() if values is not None})
        pq.write_table(table, path)
        return path

    def all_files(self, folder: Path, rows: list[dict[str, Any]]) -> dict[str, Path]:
        """The same rows in every format."""
        found = {
            "avro": self.avro_file(folder / "e.avro", rows, sync_interval=500),
            "parquet": self.write_parquet(folder / "e.parquet", rows, row_group_size=30),
            "jsonl": self.write_lines(folder / "e.jsonl", rows),
            "csv": self.write_csv(folder / "e.csv", rows),
            "csv-quoted": self.write_csv(folder / "q.csv", rows, quoting=csv.QUOTE_ALL),
        }
        for kind in ("jsonl", "csv"):
            found[f"{kind}.gz"] = folder / f"e.{kind}.gz"
            found[f"{kind}.gz"].write_bytes(gzip.compress(found[kind].read_bytes()))
        for codec in ("deflate", "bzip2", "xz"):
            found[f"avro-{codec}"] = self.avro_file(folder / f"{codec}.avro", rows, codec=codec)
        return found


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
