"""Sources, rows and files that the tests of decoding share."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import fastavro
import pyarrow as pa
import pytest

from schemas.messages import MESSAGE_SCHEMA

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
    event_id: tuple[str, ...] = ("id",)
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
            pa.array(
                [[("n", str(at))] for at in range(len(payloads))], MESSAGE_SCHEMA.field("attributes").type
            ),
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


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
