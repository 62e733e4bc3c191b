"""Routing: tiles, the late rule, conservation, hashes that agree over formats, and dead letters byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.routing_checks import BORDER, CASES, check_border
from samples import sales
from samples.sales import OVERFLOWS, SECOND, TILE, Sale

from tandem.formats.files.reading import expand, split
from tandem.formats.writing import encode_messages
from tandem.schemas.avro.types import arrow_schema
from tandem.schemas.buckets import bucket_of, buckets_of, buckets_of_hashes, shard_from
from tandem.schemas.columns import CONTENT, GENERATION, HASH, ID, KEY, LATE, TIME
from tandem.schemas.columns import TILE as TILE_COLUMN
from tandem.transforms.elements import SourceBatch
from tandem.transforms.routing.spreading import place_of
from tandem.transforms.routing.tiles import route, tile_of
from tandem.transforms.sources.decoding import read_file_piece, source_readings

MakeBatch = Callable[..., SourceBatch]
COMPILED = sales.compiled()


@pytest.mark.parametrize(
    ("time", "start"),
    [
        pytest.param(0, 0, id="the epoch"),
        pytest.param(TILE - 1, 0, id="the last microsecond"),
        pytest.param(TILE, TILE, id="the next start"),
        pytest.param(-1, -TILE, id="just before the epoch"),
        pytest.param(-TILE, -TILE, id="a start before the epoch"),
        pytest.param(-TILE - 1, -2 * TILE, id="the last of an earlier tile"),
        pytest.param(-62_135_596_800_000_000, -62_135_596_800_000_000, id="the year 1"),
        pytest.param(253_402_300_799_999_999, 253_402_300_790_000_000, id="the year 9999"),
    ],
)
def test_tiles_are_aligned_to_the_epoch_before_it_too(time: int, start: int) -> None:
    assert tile_of(np.array([time]), TILE).tolist() == [start]


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(time=st.integers(-(10**17), 10**17), size=st.sampled_from([SECOND, TILE, 3_600 * SECOND, 86_400 * SECOND]))
def test_a_time_lies_in_its_tile(time: int, size: int) -> None:
    (start,) = tile_of(np.array([time]), size).tolist()
    assert start <= time < start + size
    assert start % size == 0


def test_late_begins_where_the_watermark_reaches_the_end_and_the_lateness() -> None:
    check_border()


@pytest.mark.parametrize("case", CASES)
def test_late_events_are_told_apart(source_batch: MakeBatch, case: str) -> None:
    watermark, late = CASES[case]
    for at in (5 * TILE, 6 * TILE - 1):  # the tile decides, not the place in it
        found = route(COMPILED, 1, source_batch(COMPILED, [Sale("p", at).payload()], watermark=watermark))
        assert found.tally.late == (((5 * TILE, 1),) if late else ())
        assert found.tally.routed == (not late)
        assert [part.column(LATE).to_pylist() for _, part in found.parts] == [[late]]


RECORDS = st.lists(
    st.sampled_from(
        [
            Sale("a", 3 * TILE).payload(),
            Sale("b", 3 * TILE + 1, "ü").payload(),
            Sale("c", -1, None).payload(),
            Sale("d", 9 * TILE, kind="skip").payload(),
            Sale("e", 9 * TILE, units=OVERFLOWS).payload(),
            Sale("f", 0, units=OVERFLOWS, kind="skip").payload(),
            b"{",
            b"\xff\x00",
            json.dumps({"id": "", "at": 0, "amount": 1.0, "kind": "book"}).encode(),
        ]
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(payloads=RECORDS, watermark=st.sampled_from([None, 0, 3 * TILE, 6 * TILE, 99 * TILE]), shards=st.integers(1, 3))
def test_every_record_goes_to_exactly_one_place(
    source_batch: MakeBatch, payloads: list[bytes], watermark: int | None, shards: int
) -> None:
    found = route(COMPILED, shards, source_batch(COMPILED, payloads, 6, watermark))
    check_conserved(found.tally, len(payloads))
    known = [sales.read_sale(payload) for payload in payloads]
    fates = ["dead" if sale is None or not sale.id else sale.fate for sale in known]
    assert found.tally.filtered == fates.count("filtered")
    assert found.tally.dead == fates.count("dead") == len(found.dead.letters)
    late = dict(found.tally.late)
    for (tile, shard), events in ((place_of(key), events) for key, events in found.parts):
        assert set(events.column(LATE).to_pylist()) == {tile in late}
        times = events.column(TIME).to_numpy()
        assert (tile_of(times, TILE) == tile).all()
        assert set(buckets_of(events.column(KEY)).tolist()) <= set(shard_from(shard, shards))
        assert buckets_of_hashes(events.column(HASH).to_numpy()).tolist() == buckets_of(events.column(KEY)).tolist()
        assert set(events.column(GENERATION).to_pylist()) == {6}
    assert len({key for key, _ in found.parts}) == len(found.parts), "one part a tile and shard"
    rows = sum(events.num_rows for _, events in found.parts)
    assert rows == found.tally.routed + sum(late.values())
    assert sorted(tile for tile, _ in found.tally.late) == [tile for tile, _ in found.tally.late]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(payloads=RECORDS, watermark=st.sampled_from([None, 6 * TILE]), shards=st.integers(1, 3))
def test_together_are_the_same_events_in_one_part_a_shard(
    source_batch: MakeBatch, payloads: list[bytes], watermark: int | None, shards: int
) -> None:
    batch = source_batch(COMPILED, payloads, 6, watermark)
    apart, found = route(COMPILED, shards, batch), route(COMPILED, shards, batch, together=True)
    assert (found.tally, found.dead) == (apart.tally, apart.dead)
    assert len({shard for (_, shard), _ in found.parts}) == len(found.parts)
    wanted = [(*place_of(key), row) for key, events in apart.parts for row in events.to_pylist()]
    rows = []
    for (first, shard), events in found.parts:
        tiles = events.column(TILE_COLUMN).to_pylist()
        assert tiles == sorted(tiles)
        assert tiles[0] == first
        rows += [
            (tile, shard, row) for tile, row in zip(tiles, events.drop_columns([TILE_COLUMN]).to_pylist(), strict=True)
        ]
    assert sorted(rows, key=lambda row: row[:2]) == sorted(wanted, key=lambda row: row[:2])


def test_without_deduplication_late_events_go_nowhere(source_batch: MakeBatch) -> None:
    """There are no copies, so nobody need know of them."""
    compiled = sales.compiled(deduplicate=False)
    found = route(compiled, 1, source_batch(compiled, [Sale("p", 0).payload()], watermark=BORDER))
    assert (found.parts, found.tally.late) == ((), ((0, 1),))


def check_conserved(tally: Any, received: int) -> None:
    """received = routed + filtered + late + dead."""
    late = sum(count for _, count in tally.late)
    assert tally.received == received
    assert tally.received == tally.routed + tally.filtered + late + tally.dead


def test_a_row_keeps_its_values_on_the_way(source_batch: MakeBatch) -> None:
    items = [Sale(f"s{n}", n * SECOND, shop, n / 7, n) for n, shop in enumerate(["a", "b", None, "a", "b"] * 4)]
    found = route(COMPILED, 2, source_batch(COMPILED, [sale.payload() for sale in items]))
    rows = [row for _, events in found.parts for row in events.to_pylist()]
    got = sorted((row[ID], row[TIME], row[KEY], row["amount"], row["units"], row["square"]) for row in rows)
    assert got == sorted(
        (s.id, s.at, s.key, s.amount, s.units, s.units * s.units) for s in items if s.units is not None
    )


def test_expressions_that_fail_leave_their_message_byte_for_byte(source_batch: MakeBatch) -> None:
    odd = b' {"kind":"book" , "id": "x","at":1,"amount":1e0, "units": 1099511627776}  '
    payloads = [Sale("a", 1).payload(), b"garbage", Sale("b", 1, kind="skip").payload(), odd, Sale("c", 1).payload()]
    batch = source_batch(COMPILED, payloads)
    found = route(COMPILED, 1, batch)
    undecoded, failed = found.dead.letters
    assert (undecoded.payload, undecoded.stage, undecoded.row) == (b"garbage", "decode", 1)
    assert (failed.payload, failed.stage, failed.row) == (odd, "expression", 3)
    assert "derive.square" in failed.reason
    assert "overflow" in failed.reason
    assert batch.messages is not None
    message = batch.messages.slice(3, 1).to_pylist()[0]
    assert (failed.message_id, failed.publish_time, failed.attributes) == ("m3", message["publish_time"], {"n": "3"})
    assert (found.dead.position, found.dead.number, found.dead.generation) == ("run/0000", 7, 1)


def test_expressions_that_fail_in_files_leave_their_record(tmp_path: Path) -> None:
    path = tmp_path / "sales.jsonl"
    path.write_bytes(Sale("a", 1).payload() + b"\n" + Sale("b", 2, units=OVERFLOWS).payload() + b"\n")
    (batch,) = file_batches(path)
    found = route(COMPILED, 1, batch)
    (letter,) = found.dead.letters
    assert (letter.row, letter.stage) == (1, "expression")
    assert json.loads(letter.payload)["id"] == "b"
    assert json.loads(letter.payload)["units"] == OVERFLOWS
    check_conserved(found.tally, 2)


def file_batches(path: Path, format: str = "json") -> list[SourceBatch]:
    (reading,) = source_readings([sales.definition(format=format)])
    (ref,) = expand([str(path)])
    pieces = split(ref, 1 << 20)
    found: list[SourceBatch] = []
    for number, piece in enumerate(pieces):
        found += read_file_piece(reading, piece, number, -1, 0)
    return found


SAME = [
    Sale("s1", 1_700_000_000_123_456, "a", 0.1, 3, "book"),
    Sale("s2", -1, None, -0.0, None, "film"),
    Sale("ü" * 300, 5, "", 1e300, -7, "book"),
]


def records(items: Sequence[Sale]) -> pa.Table:
    schema = arrow_schema(COMPILED.definition.source.avro_schema)
    rows = [sale.record() for sale in items]
    return pa.table({field.name: pa.array([row[field.name] for row in rows]).cast(field.type) for field in schema})


def hashes(batches: Sequence[SourceBatch], format: str = "json") -> dict[str, tuple[int, int]]:
    compiled, found = sales.compiled(format=format), {}
    for batch in batches:
        for _, events in route(compiled, 1, replace(batch, source=compiled.definition.source.version)).parts:
            for row in events.select([ID, HASH, CONTENT]).to_pylist():
                found[row[ID]] = (row[HASH], row[CONTENT])
    return found


def test_hashes_agree_over_messages_and_files_of_all_formats(source_batch: MakeBatch, tmp_path: Path) -> None:
    """Else a copy in a file would not be one of the message."""
    wanted = hashes([source_batch(COMPILED, [sale.payload() for sale in SAME])])
    assert set(wanted) == {sale.id for sale in SAME}
    assert len({content for _, content in wanted.values()}) == len(SAME)
    avro = sales.compiled(format="avro")
    payloads = encode_messages(avro.definition.source, records(SAME))
    assert hashes([source_batch(avro, payloads)], "avro") == wanted, "Avro messages"
    table = records(SAME)
    pq.write_table(table, tmp_path / "sales.parquet")
    assert hashes(file_batches(tmp_path / "sales.parquet")) == wanted, "Parquet"
    nanoseconds = table.set_column(1, "at", table.column("at").cast(pa.timestamp("ns", "UTC")))
    dictionary = nanoseconds.set_column(5, "kind", nanoseconds.column("kind").dictionary_encode())
    pq.write_table(dictionary, tmp_path / "other.parquet")
    assert hashes(file_batches(tmp_path / "other.parquet")) == wanted, "Parquet of other widths"
    (tmp_path / "sales.jsonl").write_bytes(b"".join(sale.payload() + b"\n" for sale in SAME))
    assert hashes(file_batches(tmp_path / "sales.jsonl")) == wanted, "JSON Lines"
    with (tmp_path / "sales.avro").open("wb") as file:
        fastavro.writer(file, COMPILED.definition.source.avro_schema, [sale.record() for sale in SAME])
    assert hashes(file_batches(tmp_path / "sales.avro")) == wanted, "Avro file"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Sale("s1", SAME[0].at + 1, "a", 0.1, 3, "book"), id="time"),
        pytest.param(Sale("s1", SAME[0].at, "b", 0.1, 3, "book"), id="key"),
        pytest.param(Sale("s1", SAME[0].at, "a", 0.2, 3, "book"), id="float"),
        pytest.param(Sale("s1", SAME[0].at, "a", 0.1, None, "book"), id="null"),
        pytest.param(Sale("s1", SAME[0].at, "a", 0.1, 3, "film"), id="text"),
    ],
)
def test_other_content_of_the_same_id_is_another_content(source_batch: MakeBatch, other: Sale) -> None:
    one, two = (hashes([source_batch(COMPILED, [sale.payload()])])["s1"] for sale in (SAME[0], other))
    assert one[0] % (1 << 56) == two[0] % (1 << 56), "but for the bucket of its key"
    assert (one[0] == two[0]) == (bucket_of(other.key) == bucket_of(SAME[0].key))
    assert one[1] != two[1]
