"""A column that a file writes as any type, logical ones on any base among them: events, dead letters, or one line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from samples.ways_in import TYPES, Ways, schema_of

from tandem.schemas.errors import TandemError

SYNC = b"0123456789abcdef"
VALUES: dict[str, list[Any]] = {
    "int": [0, -1, 2**31 - 1, -(2**31)],
    "long": [0, -1, 2**63 - 1, -(2**63), 1_767_571_200, 1_767_571_200_000_000_000],
    "float": [0.0, float("inf")],
    "double": [1.0, 1e300, float("nan")],
    "boolean": [True, False],
    "bytes": [b"", b"\x01", b"\xff" * 20],
    "string": ["", "1.0", "2026-01-05T00:00:00Z", "true", "\x1b[2J", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
}
LOGICAL: list[Any] = [
    f"{kind}-{unit}" for kind in ("timestamp", "local-timestamp") for unit in ("millis", "micros", "nanos")
]
LOGICAL += [
    "date",
    "time-millis",
    "time-micros",
    "duration",
    "uuid",
    "decimal",
    "big-decimal",
    "of another day",
    None,
    5,
]
OTHERS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "fixed", "name": "F", "size": 12, "logicalType": "duration"}, [bytes(12)]),
    ({"type": "fixed", "name": "F", "size": 8, "logicalType": "decimal", "precision": 12, "scale": 4}, [b"\xff" * 8]),
    ({"type": "enum", "name": "N", "symbols": ["A", "B"], "default": "A"}, ["A", "B"]),
    ({"type": "array", "items": "long"}, [[], [1]]),
    ({"type": "map", "values": "long"}, [{}, {"k": 1}]),
    ({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 3}, [b"", b"\x01", b"\x7f" * 20]),
    ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 5}, [b"\x01"]),
    ({"type": "bytes", "logicalType": "decimal", "precision": "x"}, [b"\x01"]),
]
WRITTEN = [*(({"type": base, "logicalType": logical}, VALUES[base]) for base in VALUES for logical in LOGICAL), *OTHERS]


def write(path: Path, kind: dict[str, Any], values: list[Any], now: int) -> None:
    """The values as they are, whatever the logical type says: libraries would refuse to write most of them."""
    schema = schema_of(kind)
    schema["fields"][2] = {"name": "x", "type": kind}
    plain = {name: value for name, value in kind.items() if name not in ("logicalType", "precision", "scale")}
    bare = {**schema, "fields": [*schema["fields"][:2], {"name": "x", "type": plain}]}
    out, head = io.BytesIO(), io.BytesIO()
    rows = [{"id": at, "time": now, "x": value} for at, value in enumerate(values)]
    fastavro.writer(out, bare, rows, sync_marker=SYNC)
    entries = {"avro.codec": b"null", "avro.schema": json.dumps(schema).encode()}
    fastavro.schemaless_writer(head, {"type": "map", "values": "bytes"}, entries)
    path.write_bytes(b"Obj\x01" + head.getvalue() + SYNC + out.getvalue().partition(SYNC)[2])


@pytest.mark.parametrize("kind", ["timestamp-micros", "local-timestamp-millis", "date", "decimal", "long", "string"])
def test_any_type_is_read_or_refused_in_one_line(kit: Any, tmp_path: Path, kind: str) -> None:
    read = 0
    for written, values in WRITTEN:
        write(tmp_path / "x.avro", written, values, kit.now)
        said, outcomes = "", list[tuple[str, Any]]()
        try:
            outcomes = Ways(kit, tmp_path, TYPES[kind]).file("x.avro", len(values))
        except TandemError as error:
            said = str(error)
        if said:
            assert "\n" not in said, written
            assert "'x'" in said, written
        else:
            assert [outcome in ("event", "dead") for outcome, _ in outcomes] == [True] * len(values), written
            read += 1
    assert 0 < read < len(WRITTEN)
