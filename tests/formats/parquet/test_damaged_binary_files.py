"""Damaged Parquet and Avro files never end the process, nor take its memory: a short form of `make fuzz`."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from breaking.binary_mutants import flipped, judged, mutated, shortened

ROUNDS = int(os.environ.get("TANDEM_FUZZ_ROUNDS", "1"))
SEED = int(os.environ.get("TANDEM_FUZZ_SEED", "15"))
ROWS = 50
MEMORY = 100_000_000


@pytest.fixture
def table(kit: Any) -> pa.Table:
    rows = [kit.row(id=number, user=f"user {number % 7}", price=number / 3) for number in range(ROWS)]
    columns = {name: [row[name] for row in rows] for name in kit.columns}
    times = pa.array(columns.pop("time"), pa.timestamp("us", "UTC"))
    return pa.table({**columns, "time": times, "more": [[1, 2]] * ROWS})


PARQUET: dict[str, dict[str, Any]] = {
    "plain": {"compression": "none", "use_dictionary": False},
    "checksums": {"compression": "snappy", "write_page_checksum": True, "row_group_size": 20},
    "second pages": {"compression": "zstd", "data_page_version": "2.0", "write_page_index": True},
    "int96": {"use_deprecated_int96_timestamps": True, "compression": "gzip"},
}


@pytest.mark.parametrize("form", PARQUET)
def test_parquet(kit: Any, tmp_path: Path, table: pa.Table, form: str) -> None:
    path, dice = tmp_path / "e.parquet", random.Random(SEED)
    pq.write_table(table, path, **PARQUET[form])
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    mutants = [*flipped(whole, footer, dice, 40 * ROUNDS), *flipped(whole[:footer], 4, dice, 20 * ROUNDS)]
    mutants = [mutant if len(mutant) == len(whole) else mutant + whole[footer:] for mutant in mutants]
    check(kit, path, [*mutants, *mutated(whole, dice, 20 * ROUNDS), *shortened(whole, dice, 5 * ROUNDS)])


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"])
def test_avro(kit: Any, tmp_path: Path, codec: str) -> None:
    path, dice = tmp_path / "e.avro", random.Random(SEED)
    rows = [kit.row(id=number, user=f"user {number % 7}") for number in range(ROWS)]
    with path.open("wb") as file:
        try:
            fastavro.writer(file, fastavro.parse_schema(kit.event), rows, codec=codec, sync_interval=300)
        except ValueError as error:
            pytest.skip(str(error))
    whole = path.read_bytes()
    check(kit, path, [*flipped(whole, 0, dice, 40 * ROUNDS), *mutated(whole, dice, 60 * ROUNDS)])
    check(kit, path, list(shortened(whole, dice, 10 * ROUNDS)), fewer=True)


def check(kit: Any, path: Path, mutants: list[bytes], *, fewer: bool = False) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes: list[int | str] = []
    for number, mutant in enumerate(mutants):
        damaged = path.with_name(f"{number}-{path.name}")
        damaged.write_bytes(mutant)
        outcomes.append(judged(kit.spec(max_ahead=None), kit.columns, damaged, MEMORY))
        damaged.unlink()
    counts = [found for found in outcomes if isinstance(found, int)]
    assert all(found == ROWS or (fewer and found < ROWS) for found in counts)
    assert any(isinstance(found, str) for found in outcomes)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * MEMORY // 1024


def test_a_flipped_bit_under_a_checksum_of_parquet_is_seen(kit: Any, tmp_path: Path, table: pa.Table) -> None:
    path, dice = tmp_path / "e.parquet", random.Random(SEED)
    pq.write_table(table.select(kit.columns), path, compression="none", write_page_checksum=True, use_dictionary=False)
    data = path.read_bytes()
    at = data.index(b"user 3user") if b"user 3user" in data else data.index(b"user 3")
    for bit in dice.sample(range(8 * at, 8 * (at + 200)), 20 * ROUNDS):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(changed))
        said = judged(kit.spec(max_ahead=None), kit.columns, path, MEMORY)
        assert isinstance(said, str), bit
        assert "e.parquet" in said


def test_a_flipped_bit_under_a_checksum_of_avro_is_seen(kit: Any, tmp_path: Path) -> None:
    path, dice = tmp_path / "e.avro", random.Random(SEED)
    rows = [kit.row(id=number, user=f"user {number % 7}") for number in range(ROWS)]
    frame = pl.DataFrame(rows).with_columns(pl.col("count").cast(pl.Int32))
    frame.select(kit.columns).write_avro(path, compression="snappy")
    schema = {**kit.event, "fields": [{**field, "type": "string"} if field["name"] == "page" else field
                                      for field in kit.event["fields"]]}  # fmt: skip
    spec = kit.spec(avro_schema=schema, max_ahead=None)
    assert judged(spec, kit.columns, path, MEMORY) == ROWS
    data = path.read_bytes()
    start = data.index(data[-16:]) + 20
    for changed in flipped(data[:-16], start, dice, 40 * ROUNDS):
        path.write_bytes(changed + data[-16:])
        assert isinstance(judged(spec, kit.columns, path, MEMORY), str)


def test_a_block_of_millions_of_small_records_takes_no_more_memory(kit: Any, tmp_path: Path) -> None:
    schema = {"type": "record", "name": "E", "fields": [
        {"name": "id", "type": "long"},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        *({"name": f"n{at}", "type": ["null", "string"]} for at in range(20)),
    ]}  # fmt: skip
    count = 400_000
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packed.compress(bytes(22) * count) + packed.flush()
    out = io.BytesIO(b"Obj\x01")
    out.seek(4)
    meta = {"avro.codec": b"deflate", "avro.schema": json.dumps(schema).encode()}
    fastavro.schemaless_writer(out, {"type": "map", "values": "bytes"}, meta)
    out.write(bytes(16))
    fastavro.schemaless_writer(out, "long", count)
    fastavro.schemaless_writer(out, "bytes", block)
    path = tmp_path / "bomb.avro"
    path.write_bytes(out.getvalue() + bytes(16))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spec = kit.spec(avro_schema=schema, max_ahead=None)
    assert judged(spec, ("id", "n1"), path, 40_000_000) == count
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert "--max-piece-memory" in str(judged(spec, ("id",), path, 16_000_000))


def test_a_reader_that_dies_is_replaced(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tandem.formats.parquet import guarded_readers

    path = kit.parquet_of(tmp_path / "e.parquet", [kit.row()])
    job = "os:abort"
    with pytest.raises(guarded_readers.ReaderDiedError), guarded_readers.asked(job, {}, MEMORY):
        pass
    assert judged(kit.spec(max_ahead=None), kit.columns, path, MEMORY) == 1


def bomb_of_dictionary(path: Path) -> None:
    text = pa.array(["x" * 200_000])
    times = pa.array([0] * 200_000, pa.timestamp("us", "UTC"))
    users = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), text)
    pq.write_table(pa.table({"id": range(200_000), "user": users, "time": times}), path, compression="zstd")


def bomb_of_prefixes(path: Path) -> None:
    text = pa.array(["x" * 100_000] * 20_000)
    times = pa.array([0] * 20_000, pa.timestamp("us", "UTC"))
    table = pa.table({"id": range(20_000), "user": text, "time": times})
    encodings = {"user": "DELTA_BYTE_ARRAY", "id": "PLAIN", "time": "PLAIN"}
    pq.write_table(table, path, compression="zstd", use_dictionary=False, column_encoding=encodings)


@pytest.mark.parametrize("make", [bomb_of_dictionary, bomb_of_prefixes], ids=["dictionary", "prefixes"])
def test_bombs(kit: Any, tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "bomb.parquet"
    make(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = judged(kit.spec(max_ahead=None), ("id", "user"), path, MEMORY)
    assert isinstance(said, str)
    assert "--max-piece-memory" in said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * MEMORY // 1024
    assert judged(kit.spec(event_id=("id",), max_ahead=None), ("id",), path, MEMORY) == pq.read_metadata(path).num_rows
