"""Files that are damaged, or that don't fit the source's schema; records of files that are dead."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import tandem.formats.avro.messages as avro_messages
from tandem.formats.files.reading import expand, read_piece, split
from tandem.schemas.columns import TIME
from tandem.schemas.errors import SchemaError, SourceFileError

ALL = 1 << 40


@pytest.mark.parametrize("kind", ["avro", "avro-deflate", "parquet", "jsonl.gz", "csv.gz"])
def test_a_file_cut_short_anywhere_is_refused_before_it_is_read(kit: Any, tmp_path: Path, kind: str) -> None:
    path = kit.all_files(tmp_path, kit.rows_of(200))[kind]
    whole = path.read_bytes()
    starts = {1}
    if kind.startswith("avro"):  # cut between blocks, the file is a whole one with fewer blocks
        (ref,) = expand([str(path)])
        starts |= {piece.start for piece in split(ref, 1)}
    for cut in [5, 100, *range(len(whole) // 3, len(whole), len(whole) // 23), len(whole) - 1]:
        if cut in starts:
            continue
        path.write_bytes(whole[:cut])
        (ref,) = expand([str(path)])
        with pytest.raises(SourceFileError, match=str(path)):
            split(ref, ALL)


def test_a_file_that_changed_is_refused(kit: Any, tmp_path: Path) -> None:
    path = kit.write_lines(tmp_path / "e.jsonl", [kit.row()])
    (ref,) = expand([str(path)])
    (piece,) = split(ref, ALL)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(SourceFileError, match="when it was listed"):
        list(read_piece(kit.spec(), (), piece, kit.now))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("a.avro", b"PK\x03\x04 something else", "not an Avro container", id="avro"),
        pytest.param("a.avro", b"Obj\x01" + b"\xff" * 12, "the header can't be read", id="avro-header"),
        pytest.param("a.avro", b"Obj\x01\x00" + bytes(16), "no readable avro.schema", id="avro-without-schema"),
        pytest.param(
            "a.avro",
            b"Obj\x01\x02\x14avro.codec\x06lzo\x00" + bytes(16),
            "codec 'lzo'; allowed: null",
            id="avro-codec",
        ),
        pytest.param("a.parquet", b"PAR1 nothing PAR1", "not a readable Parquet file", id="parquet"),
        pytest.param("a.csv.gz", b"a,b\n1,2\n", "damaged gzip stream", id="gzip"),
        pytest.param("a.csv", b"\n\n1,2\n", "the header row is empty", id="csv-header"),
        pytest.param("a.csv", b"a,b\r1,2\r", "its lines end with CR alone", id="csv-old-mac"),
    ],
)
def test_files_of_another_format(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    (ref,) = expand([str(tmp_path / name)])
    with pytest.raises(SourceFileError, match=problem):
        split(ref, ALL)


def test_a_decompression_bomb_is_refused(kit: Any, tmp_path: Path) -> None:
    rows = [kit.row(user="x" * 1000) for _ in range(3000)]
    path = kit.avro_file(tmp_path / "bomb.avro", rows, codec="deflate", sync_interval=10**9)
    assert path.stat().st_size < 1 << 16
    (ref,) = expand([str(path)], 2 << 20)
    with pytest.raises(SourceFileError, match="decompresses to more than 1,048,576 bytes; --max-piece-memory"):
        list(read_piece(kit.spec(), kit.columns, split(ref, ALL)[0], kit.now))


def test_a_damaged_record_names_itself_and_its_block(kit: Any, tmp_path: Path) -> None:
    path = kit.avro_file(tmp_path / "e.avro", [kit.row(user=f"name-{at}") for at in range(20)], sync_interval=10**9)
    path.write_bytes(path.read_bytes().replace(b"name-13", b"name\xff13"))
    with pytest.raises(SourceFileError, match=r"damaged: record 13, in the block at byte \d+: .*not UTF-8"):
        kit.read(path)


@pytest.mark.parametrize("codec", ["null", "deflate", "xz"])
def test_mutated_containers_are_read_or_refused_in_one_line(kit: Any, tmp_path: Path, codec: str) -> None:
    path = kit.avro_file(tmp_path / "e.avro", kit.rows_of(30), codec=codec, sync_interval=300)
    good, dice = path.read_bytes(), random.Random(7)
    refusals = []
    for _ in range(150):
        content = bytearray(good)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(content))
            content[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(4))
        path.write_bytes(content)
        try:
            kit.read(path, target=500)
        except (SourceFileError, SchemaError) as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert [text for text in refusals if not text.startswith(str(path)) or "\n" in text] == []


def test_absurd_counts_are_refused(kit: Any, tmp_path: Path) -> None:
    path = kit.avro_file(tmp_path / "e.avro", [kit.row()])
    (ref,) = expand([str(path)])
    (piece,) = split(ref, ALL)
    content = bytearray(path.read_bytes())
    content[piece.start : piece.start + 1] = b"\xfe\xff\xff\xff\x0f"
    path.write_bytes(content)
    with pytest.raises(SourceFileError, match=r"claims 2,147,483,647 records in \d+ bytes"):
        kit.read(path)


def test_a_file_with_fixed_types_and_one_that_unfolds_are_read_record_by_record(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [*kit.event["fields"], {"name": "hash", "type": {"type": "fixed", "name": "H", "size": 3}}]
    rows = [row | {"hash": b"abc"} for row in kit.rows_of(50)]
    table, _ = kit.read(kit.avro_file(tmp_path / "f.avro", rows, {**kit.event, "fields": fields}))
    assert table.equals(kit.table_of(kit.rows_of(50)))
    monkeypatch.setattr(avro_messages, "_MAX_UNFOLDED", 10)
    table, _ = kit.read(kit.avro_file(tmp_path / "e.avro", kit.rows_of(50)))
    assert table.equals(kit.table_of(kit.rows_of(50)))


def changed(kit: Any, name: str, kind: Any) -> dict[str, Any]:
    fields = [{"name": f["name"], "type": kind} if f["name"] == name else f for f in kit.event["fields"]]
    return {**kit.event, "fields": [field for field in fields if field["type"] is not None]}


@pytest.mark.parametrize(
    ("name", "kind", "value", "expected"),
    [
        pytest.param("id", "int", 5, 5, id="int-to-long"),
        pytest.param("price", "long", 5, 5.0, id="long-to-double"),
        pytest.param("price", "float", 0.5, 0.5, id="float-to-double"),
        pytest.param("user", "bytes", b"bo", "bo", id="bytes-to-string"),
        pytest.param("user", ["null", "string"], "bo", "bo", id="nullable-to-plain"),
        pytest.param("count", "int", 5, 5, id="plain-to-nullable"),
        pytest.param("count", None, None, None, id="missing-with-default"),
        pytest.param(
            "time", {"type": "long", "logicalType": "timestamp-millis"}, 1_699_999_999_999,
            1_699_999_999_999_000, id="other-unit",
        ),
        pytest.param("time", "long", 1_700_000_000_000_000, 1_700_000_000_000_000, id="no-unit"),
    ],
)  # fmt: skip
def test_avro_promotions(kit: Any, tmp_path: Path, name: str, kind: Any, value: Any, expected: Any) -> None:
    row = {key: item for key, item in kit.row(**{name: value}).items() if kind is not None or key != name}
    path = kit.avro_file(tmp_path / "e.avro", [row], changed(kit, name, kind))
    table, dead = kit.read(path)
    assert dead == []
    assert table.column(TIME if name == "time" else name).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("name", "kind", "value", "problem"),
    [
        pytest.param("id", "string", "x", "field 'id' is string; the source's schema has long", id="string-for-long"),
        pytest.param("count", "long", 5, "field 'count' is long; the source's schema has int", id="long-for-int"),
        pytest.param("price", None, None, "no field 'price'; it has id, user, page, count, time", id="missing"),
    ],
)
def test_avro_files_that_do_not_fit(kit: Any, tmp_path: Path, name: str, kind: Any, value: Any, problem: str) -> None:
    row = {key: item for key, item in kit.row(**{name: value}).items() if kind is not None or key != name}
    path = kit.avro_file(tmp_path / "e.avro", [row], changed(kit, name, kind))
    with pytest.raises(SchemaError) as error:
        kit.read(path)
    assert str(error.value) == f"{path}: {problem}"


def test_a_symbol_that_only_the_file_knows_is_dead(kit: Any, tmp_path: Path) -> None:
    pages = {"type": "enum", "name": "Page", "symbols": ["home", "moon", "pay"]}
    rows = [kit.row(id=at, page=page) for at, page in enumerate(["pay", "moon"])]
    table, dead = kit.read(kit.avro_file(tmp_path / "e.avro", rows, changed(kit, "page", pages)))
    assert table.column("page").to_pylist() == ["pay"]
    assert dead[0].reason == "'page': 'moon' is not a symbol of the enum"
    assert json.loads(dead[0].payload) == kit.row(id=1, page="moon")


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        pytest.param("id", pa.array([5], pa.int16()), 5, id="int16-to-long"),
        pytest.param("id", pa.array([5], pa.uint64()), 5, id="uint64-to-long"),
        pytest.param("count", pa.array([5], pa.int64()), 5, id="int64-to-int"),
        pytest.param("count", pa.nulls(1), None, id="null-column"),
        pytest.param("user", pa.array(["x"], pa.large_string()), "x", id="large-string"),
        pytest.param("user", pa.array(["x"]).dictionary_encode(), "x", id="dictionary"),
        pytest.param("user", pa.array([b"x"]), "x", id="binary"),
        pytest.param("price", pa.array([5]), 5.0, id="int64-to-double"),
        pytest.param("price", pa.array([0.5], pa.float32()), 0.5, id="float-to-double"),
        pytest.param("time", pa.array([1001], pa.timestamp("ns")), 1, id="nanoseconds"),
        pytest.param("time", pa.array([-1], pa.timestamp("ns", "UTC")), -1, id="nanoseconds-before-1970"),
        pytest.param("time", pa.array([5], pa.timestamp("s", "Europe/Paris")), 5_000_000, id="seconds-with-zone"),
        pytest.param("time", pa.array([5], pa.int64()), 5, id="plain-number"),
    ],
)
def test_parquet_types_that_fit(kit: Any, tmp_path: Path, name: str, values: pa.Array, expected: Any) -> None:
    table, dead = kit.read(kit.parquet_of(tmp_path / "e.parquet", [kit.row()], **{name: values}))
    assert dead == []
    assert table.column(TIME if name == "time" else name).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("name", "values", "problem"),
    [
        pytest.param("price", None, "no column 'price'; it has id, user, page, count, time", id="missing"),
        pytest.param(
            "id", pa.array(["7"]), "column 'id' is string; the source's schema has long", id="string-for-long"
        ),
        pytest.param(
            "id", pa.array([7.0]), "column 'id' is double; the source's schema has long", id="double-for-long"
        ),
        pytest.param("user", pa.array([7]), "column 'user' is int64; the source's schema has string", id="number"),
        pytest.param("id", pa.array([[7]]), "column 'id' is a list, a map or a struct; a field", id="list"),
    ],
)
def test_parquet_files_that_do_not_fit(kit: Any, tmp_path: Path, name: str, values: Any, problem: str) -> None:
    path = kit.parquet_of(tmp_path / "e.parquet", [kit.row()], **{name: values})
    with pytest.raises(SchemaError) as error:
        kit.read(path)
    assert str(error.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        pytest.param("id", pa.array([None, 1]), "event id: 'id' is null", id="null-id"),
        pytest.param("id", pa.array([2**63, 1], pa.uint64()), "9223372036854775808 is not of type long", id="uint64"),
        pytest.param("time", pa.array([None, 1], pa.timestamp("us")), "event time: 'time' is null", id="null-time"),
        pytest.param("time", pa.array([2**60, 1], pa.timestamp("ms")), "is not a time that int64", id="beyond"),
        pytest.param("time", pa.array([2**62, 1], pa.timestamp("us")), "outside the years", id="far-time"),
        pytest.param("time", pa.array([2 * 10**15, 1], pa.timestamp("us")), "ahead of", id="ahead"),
        pytest.param("price", pa.array([None, 1.0]), "'price' is null and may not be", id="null"),
        pytest.param("count", pa.array([2**31, 1]), "2147483648 is not of type int", id="int"),
        pytest.param("count", pa.array([2**32 - 1, 1], pa.uint32()), "4294967295 is not of type int", id="uint32"),
        pytest.param("page", pa.array(["moon", "pay"]), "'moon' is not a symbol", id="enum"),
        pytest.param("user", pa.array([b"\xff", b"x"]), "'user': 'utf-8' codec", id="utf-8"),
    ],
)
def test_parquet_records_that_are_dead(kit: Any, tmp_path: Path, name: str, values: pa.Array, reason: str) -> None:
    rows = [kit.row(id=0), kit.row(id=1)]
    table, dead = kit.read(kit.parquet_of(tmp_path / "e.parquet", rows, **{name: values}))
    assert table.num_rows == 1
    (letter,) = dead
    assert reason in letter.reason
    assert (letter.row, letter.message_id, letter.publish_time, letter.attributes) == (0, "", 0, {})
    assert set(json.loads(letter.payload)) == set(kit.columns)


def test_text_in_parquet_is_checked(kit: Any, tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a\xff", b"ok"]).buffers())
    table, dead = kit.read(kit.parquet_of(tmp_path / "e.parquet", [kit.row(), kit.row()], user=bad))
    assert table.column("user").to_pylist() == ["ok"]
    assert len(dead) == 1
