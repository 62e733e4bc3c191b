"""Dates and times that nothing could show are dead letters in every way in, with one reason; neighbours live."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.formats.messages import decode_messages

DAY_LIMITS = (date.min - date(1970, 1, 1)).days, (date.max - date(1970, 1, 1)).days
TIME_LIMITS = -62_135_596_800_000_000, 253_402_300_799_999_999
TYPES = {
    "date": ("int", DAY_LIMITS, pa.date32(), "days is outside the years 1 to 9999"),
    "timestamp-micros": ("long", TIME_LIMITS, pa.timestamp("us", "UTC"), "us is outside the years 1 to 9999"),
    "local-timestamp-micros": ("long", TIME_LIMITS, pa.timestamp("us"), "us is outside the years 1 to 9999"),
}


def schema_of(logical: str) -> dict[str, Any]:
    kind = TYPES[logical][0]
    fields = [
        {"name": "id", "type": "long"},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "x", "type": ["null", {"type": kind, "logicalType": logical}], "default": None},
    ]
    return {"type": "record", "name": "E", "fields": fields}


def written(kit: Any, folder: Path, way: str, logical: str, values: list[int]) -> Any:
    """Events and dead letters of one record for each value of x, by one way in."""
    schema, names = schema_of(logical), ("id", "x")
    rows = [{"id": at, "time": kit.now, "x": value} for at, value in enumerate(values)]
    if way.endswith("-messages"):
        payloads = [kit.avro(row, schema) if way == "avro-messages" else json.dumps(row).encode() for row in rows]
        spec = kit.spec(avro_schema=schema, format=way.partition("-")[0])
        decoded = decode_messages(spec, names, kit.messages(payloads))
        return pa.Table.from_batches([decoded.events]), list(decoded.dead)
    path = folder / f"e.{way}"
    if way == "avro":
        with path.open("wb") as file:
            plain = schema_of(logical)
            plain["fields"][2]["type"] = ["null", TYPES[logical][0]]
            fastavro.writer(file, fastavro.parse_schema(plain), rows)
    elif way == "parquet":
        kind = TYPES[logical][2]
        storage = pa.int32() if kind == pa.date32() else pa.int64()
        table = pa.table({"id": [row["id"] for row in rows], "time": pa.array([kit.now] * len(rows), pa.int64())})
        pq.write_table(table.append_column("x", pa.array(values, storage).cast(kind)), path)
    elif way == "jsonl":
        kit.write_lines(path, rows)
    else:
        kit.write_csv(path, rows)
    return kit.read(path, names, avro_schema=schema)


WAYS = ["json-messages", "avro-messages", "jsonl", "csv", "avro", "parquet"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("logical", TYPES)
def test_what_is_outside_is_dead_and_what_is_within_can_be_shown(
    kit: Any, tmp_path: Path, way: str, logical: str
) -> None:
    kind, (low, high), _, reason = TYPES[logical]
    least, most = (-(2**31), 2**31 - 1) if kind == "int" else (-(2**63), 2**63 - 1)
    table, dead = written(kit, tmp_path, way, logical, [low, low - 1, high, least, high + 1, most])
    assert table.column("id").to_pylist() == [0, 2]
    assert [value.year for value in table.column("x").to_pylist()] == [1, 9999]
    found = [(letter.row, letter.stage, letter.reason) for letter in dead]
    outside = {1: low - 1, 3: least, 4: high + 1, 5: most}
    assert found == [(row, "validate", f"'x': {value} {reason}") for row, value in outside.items()]
