"""Files of every format: listing, splitting, reading, and files that are damaged."""

from __future__ import annotations

import csv
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import formats.avro_messages as avro_messages
import formats.files as files_module
from formats.files import expand, read_piece, split
from formats.messages import decode_messages
from formats.writing import encode_messages
from schemas.columns import ID, TIME
from schemas.errors import SchemaError, SourceFileError

ALL = 1 << 40


def read(
    kit: Any, path: Path, columns: tuple[str, ...] | None = None, target: int = ALL, **options: Any
) -> Any:
    """Events of a file as one table, and its dead letters."""
    spec = kit.spec(**options)
    columns = kit.columns if columns is None else columns
    (ref,) = expand([str(path)])
    parts = [part for piece in split(ref, target) for part in read_piece(spec, columns, piece, kit.now)]
    dead = [letter for part in parts for letter in part.dead]
    return (pa.Table.from_batches([part.events for part in parts]) if parts else None), dead


def table_of(kit: Any, rows: list[dict[str, Any]]) -> pa.Table:
    decoded = decode_messages(kit.spec(), kit.columns, kit.messages([kit.avro(row) for row in rows]))
    assert decoded.dead == ()
    return pa.Table.from_batches([decoded.events])


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_csv(path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(kit: Any, path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    pq.write_table(table_of(kit, rows).select(kit.columns), path, **options)
    return path


def write_gzipped(path: Path, plain: Path) -> Path:
    path.write_bytes(gzip.compress(plain.read_bytes()))
    return path


def rows_of(kit: Any, count: int) -> list[dict[str, Any]]:
    pages = ["home", "cart", "pay"]
    return [
        kit.row(
            id=at * 7919, user=f"user {at % 9}", page=pages[at % 3], price=at / 7,
            count=None if at % 4 == 0 else at, time=kit.now - at,
        )
        for at in range(count)
    ]  # fmt: skip


def all_files(kit: Any, folder: Path, rows: list[dict[str, Any]]) -> dict[str, Path]:
    found = {
        "avro": kit.avro_file(folder / "e.avro", rows, sync_interval=500),
        "parquet": write_parquet(kit, folder / "e.parquet", rows, row_group_size=30),
        "jsonl": write_lines(folder / "e.jsonl", rows),
        "csv": write_csv(folder / "e.csv", rows),
        "csv-quoted": write_csv(folder / "q.csv", rows, quoting=csv.QUOTE_ALL),
    }
    found["jsonl.gz"] = write_gzipped(folder / "e.jsonl.gz", found["jsonl"])
    found["csv.gz"] = write_gzipped(folder / "e.csv.gz", found["csv"])
    for codec in ("deflate", "bzip2", "xz"):
        found[f"avro-{codec}"] = kit.avro_file(folder / f"{codec}.avro", rows, codec=codec)
    return found


KINDS = [
    "avro", "avro-deflate", "avro-bzip2", "avro-xz", "parquet", "jsonl", "jsonl.gz", "csv", "csv.gz",
    "csv-quoted",
]  # fmt: skip


@pytest.mark.parametrize("target", [pytest.param(ALL, id="whole"), pytest.param(1500, id="split")])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_in_every_format_are_the_same_events(
    kit: Any, tmp_path: Path, kind: str, target: int
) -> None:
    rows = rows_of(kit, 200)
    table, dead = read(kit, all_files(kit, tmp_path, rows)[kind], target=target)
    assert dead == []
    assert table.equals(table_of(kit, rows))


SPLITTABLE = ["avro", "parquet", "jsonl", "csv"]


@pytest.mark.parametrize("kind", SPLITTABLE)
def test_files_are_split_into_several_pieces(kit: Any, tmp_path: Path, kind: str) -> None:
    (ref,) = expand([str(all_files(kit, tmp_path, rows_of(kit, 200))[kind])])
    pieces = split(ref, 1500)
    assert len(pieces) >= 4
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "deflate"])
def test_avro_files_of_another_writer(kit: Any, tmp_path: Path, codec: Any) -> None:
    rows = rows_of(kit, 50)
    pl.DataFrame(rows).write_avro(tmp_path / "p.avro", compression=codec)
    table, dead = read(kit, tmp_path / "p.avro", columns=("id", "user", "price", "time"))
    assert dead == []
    assert table.equals(table_of(kit, rows).select(["id", "user", "price", "time", TIME, ID]))


def test_zstandard_blocks(kit: Any, tmp_path: Path) -> None:
    rows = rows_of(kit, 50)
    plain = kit.avro_file(tmp_path / "n.avro", rows, sync_interval=10**9).read_bytes()
    (ref,) = expand([str(tmp_path / "n.avro")])
    (piece,) = split(ref, ALL)
    sync = plain[-16:]
    body = plain[piece.start + 3 : -16]  # a number of one byte and one of two come before the data
    packed = pa.compress(body, codec="zstd", asbytes=True)
    header = plain[: piece.start].replace(b"\x14avro.codec\x08null", b"\x14avro.codec\x12zstandard")
    from formats.avro_walk import write_long

    (tmp_path / "z.avro").write_bytes(header + write_long(50) + write_long(len(packed)) + packed + sync)
    table, _ = read(kit, tmp_path / "z.avro")
    assert table.equals(table_of(kit, rows))


# --- positions and batches
# -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPLITTABLE)
def test_rows_count_the_records_of_a_piece_and_positions_those_of_the_file(
    kit: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "_ROWS", 16)
    monkeypatch.setattr("formats.text_lines.CHUNK", 700)
    monkeypatch.setattr("formats.csv_files.CHUNK", 700)
    monkeypatch.setattr("formats.parquet_files._ROWS", 16)
    rows = [kit.row(id=at) for at in range(100)]
    rows[61]["time"] = kit.now + 10**12
    path = {
        "avro": lambda: kit.avro_file(tmp_path / "e.avro", rows, sync_interval=500),
        "parquet": lambda: parquet_of(tmp_path / "e.parquet", rows),
        "jsonl": lambda: write_lines(tmp_path / "e.jsonl", rows),
        "csv": lambda: write_csv(tmp_path / "e.csv", rows),
    }[kind]()
    (ref,) = expand([str(path)])
    positions = []
    for piece in split(ref, 1000):
        expected = 0
        for part in read_piece(kit.spec(), (), piece, kit.now):
            seen = sorted([*part.rows.tolist(), *(letter.row for letter in part.dead)])
            assert seen == list(range(expected, expected + part.received))
            expected += part.received
            if piece.first is not None:
                assert part.events.column(ID).to_pylist() == [piece.first + row for row in part.rows.tolist()]
            positions += [piece.position(letter.row) for letter in part.dead]
    (position,) = positions
    if kind in ("avro", "parquet"):
        assert position == f"{path}: record 61"
    else:
        assert position.startswith(f"{path}: record ")


def parquet_of(path: Path, rows: list[dict[str, Any]], **changes: Any) -> Path:
    columns = {name: [row[name] for row in rows] for name in rows[0]} | changes
    pq.write_table(pa.table({name: values for name, values in columns.items() if values is not None}), path)
    return path


# --- what expand refuses
# -------------------------------------------------------------------------------------------


def test_patterns_name_files_folders_and_globs(kit: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.jsonl", "a.csv", "in/c.ndjson", "_SUCCESS", ".hidden"):
        (tmp_path / name).write_text("{}\n")
    names = lambda *patterns: [Path(ref.path).name for ref in expand(list(patterns))]  # noqa: E731
    assert names(f"{tmp_path}") == ["a.csv", "b.jsonl"]
    assert names(f"{tmp_path}/*son*") == ["b.jsonl", "c.ndjson"]
    assert names(f"{tmp_path}/in/*", f"{tmp_path}/in/c.ndjson", f"{tmp_path}/a.csv") == ["a.csv", "c.ndjson"]
    assert [ref.path for ref in expand([f"file://{tmp_path}/b.jsonl"])] == [f"file://{tmp_path}/b.jsonl"]
    (first,), (second,) = expand([f"{tmp_path}/a.csv"]), expand([f"{tmp_path}/b.jsonl"])
    assert (first.digest, first.size) == (second.digest, 3)
    assert (first.format, second.format) == ("csv", "jsonl")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        pytest.param("nothing.csv", "no such file or folder", id="no-file"),
        pytest.param("*.parquet", "no file matches", id="glob-without-match"),
        pytest.param("void", "the folder holds no files", id="empty-folder"),
        pytest.param(
            "data.xlsx", "the ending isn't known; allowed are .avro, .parquet, .jsonl", id="wrong-ending"
        ),
        pytest.param("empty.avro", "an empty file", id="zero-bytes"),
    ],
)
def test_patterns_that_name_nothing_readable(tmp_path: Path, pattern: str, problem: str) -> None:
    (tmp_path / "void").mkdir()
    (tmp_path / "data.xlsx").write_text("x")
    (tmp_path / "empty.avro").touch()
    with pytest.raises(SourceFileError) as error:
        expand([f"{tmp_path}/{pattern}"])
    assert str(error.value).startswith(f"{tmp_path}/{pattern}: {problem}")
    assert "\n" not in str(error.value)


def test_no_patterns_are_refused() -> None:
    with pytest.raises(SourceFileError, match="no files named"):
        expand([])


# --- damaged files
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["avro", "avro-deflate", "parquet", "jsonl.gz", "csv.gz"])
def test_a_file_cut_short_anywhere_is_refused_before_it_is_read(kit: Any, tmp_path: Path, kind: str) -> None:
    path = all_files(kit, tmp_path, rows_of(kit, 200))[kind]
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
    path = write_lines(tmp_path / "e.jsonl", [kit.row()])
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
        pytest.param(
            "a.avro", b"Obj\x01\x00" + bytes(16), "no readable avro.schema", id="avro-without-schema"
        ),
        pytest.param(
            "a.avro",
            b"Obj\x01\x02\x14avro.codec\x06lzo\x00" + bytes(16),
            "codec 'lzo'; allowed: null",
            id="avro-codec",
        ),
        pytest.param("a.parquet", b"PAR1 nothing PAR1", "not a readable Parquet file", id="parquet"),
        pytest.param("a.csv.gz", b"a,b\n1,2\n", "damaged gzip stream", id="gzip"),
        pytest.param("a.csv", b"\n\n1,2\n", "the header row is empty", id="csv-header"),
    ],
)
def test_files_of_another_format(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    (ref,) = expand([str(tmp_path / name)])
    with pytest.raises(SourceFileError, match=problem):
        split(ref, ALL)


def test_a_decompression_bomb_is_refused(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("formats.avro_containers.MAX_BLOCK", 1 << 20)
    rows = [kit.row(user="x" * 1000) for _ in range(3000)]
    path = kit.avro_file(tmp_path / "bomb.avro", rows, codec="deflate", sync_interval=10**9)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(SourceFileError, match="decompresses to more than 1,048,576 bytes"):
        read(kit, path)


def test_a_damaged_record_names_itself_and_its_block(kit: Any, tmp_path: Path) -> None:
    path = kit.avro_file(
        tmp_path / "e.avro", [kit.row(user=f"name-{at}") for at in range(20)], sync_interval=10**9
    )
    path.write_bytes(path.read_bytes().replace(b"name-13", b"name\xff13"))
    with pytest.raises(SourceFileError, match=r"damaged: record 13, in the block at byte \d+: .*not UTF-8"):
        read(kit, path)


def test_absurd_counts_are_refused(kit: Any, tmp_path: Path) -> None:
    path = kit.avro_file(tmp_path / "e.avro", [kit.row()])
    (ref,) = expand([str(path)])
    (piece,) = split(ref, ALL)
    content = bytearray(path.read_bytes())
    content[piece.start : piece.start + 1] = b"\xfe\xff\xff\xff\x0f"
    path.write_bytes(content)
    with pytest.raises(SourceFileError, match=r"claims 2,147,483,647 records in \d+ bytes"):
        read(kit, path)


def test_a_file_with_fixed_types_and_one_that_unfolds_are_read_record_by_record(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [*kit.event["fields"], {"name": "hash", "type": {"type": "fixed", "name": "H", "size": 3}}]
    rows = [row | {"hash": b"abc"} for row in rows_of(kit, 50)]
    table, _ = read(kit, kit.avro_file(tmp_path / "f.avro", rows, {**kit.event, "fields": fields}))
    assert table.equals(table_of(kit, rows_of(kit, 50)))
    monkeypatch.setattr(avro_messages, "_MAX_UNFOLDED", 10)
    table, _ = read(kit, kit.avro_file(tmp_path / "e.avro", rows_of(kit, 50)))
    assert table.equals(table_of(kit, rows_of(kit, 50)))


# --- schemas that fit and that don't
# -------------------------------------------------------------------------------


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
    table, dead = read(kit, path)
    assert dead == []
    assert table.column(TIME if name == "time" else name).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("name", "kind", "value", "problem"),
    [
        pytest.param(
            "id", "string", "x", "field 'id' is string; the source's schema has long", id="string-for-long"
        ),
        pytest.param(
            "count", "long", 5, "field 'count' is long; the source's schema has int", id="long-for-int"
        ),
        pytest.param(
            "price", None, None, "no field 'price'; it has id, user, page, count, time", id="missing"
        ),
    ],
)
def test_avro_files_that_do_not_fit(
    kit: Any, tmp_path: Path, name: str, kind: Any, value: Any, problem: str
) -> None:
    row = {key: item for key, item in kit.row(**{name: value}).items() if kind is not None or key != name}
    path = kit.avro_file(tmp_path / "e.avro", [row], changed(kit, name, kind))
    with pytest.raises(SchemaError) as error:
        read(kit, path)
    assert str(error.value) == f"{path}: {problem}"


def test_a_symbol_that_only_the_file_knows_is_dead(kit: Any, tmp_path: Path) -> None:
    pages = {"type": "enum", "name": "Page", "symbols": ["home", "moon", "pay"]}
    rows = [kit.row(id=at, page=page) for at, page in enumerate(["pay", "moon"])]
    table, dead = read(kit, kit.avro_file(tmp_path / "e.avro", rows, changed(kit, "page", pages)))
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
        pytest.param(
            "time", pa.array([5], pa.timestamp("s", "Europe/Paris")), 5_000_000, id="seconds-with-zone"
        ),
        pytest.param("time", pa.array([5], pa.int64()), 5, id="plain-number"),
    ],
)
def test_parquet_types_that_fit(kit: Any, tmp_path: Path, name: str, values: pa.Array, expected: Any) -> None:
    table, dead = read(kit, parquet_of(tmp_path / "e.parquet", [kit.row()], **{name: values}))
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
        pytest.param(
            "user", pa.array([7]), "column 'user' is int64; the source's schema has string", id="number"
        ),
        pytest.param("id", pa.array([[7]]), "column 'id' is list<element: int64>; the", id="list"),
    ],
)
def test_parquet_files_that_do_not_fit(
    kit: Any, tmp_path: Path, name: str, values: Any, problem: str
) -> None:
    path = parquet_of(tmp_path / "e.parquet", [kit.row()], **{name: values})
    with pytest.raises(SchemaError) as error:
        read(kit, path)
    assert str(error.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        pytest.param("id", pa.array([None, 1]), "event id: 'id' is null", id="null-id"),
        pytest.param(
            "id", pa.array([2**63, 1], pa.uint64()), "9223372036854775808 is not of type long", id="uint64"
        ),
        pytest.param(
            "time", pa.array([None, 1], pa.timestamp("us")), "event time: 'time' is null", id="null-time"
        ),
        pytest.param(
            "time", pa.array([2**60, 1], pa.timestamp("ms")), "is not a time that int64", id="beyond"
        ),
        pytest.param("time", pa.array([2**62, 1], pa.timestamp("us")), "outside the years", id="far-time"),
        pytest.param("time", pa.array([2 * 10**15, 1], pa.timestamp("us")), "ahead of", id="ahead"),
        pytest.param("price", pa.array([None, 1.0]), "'price' is null and may not be", id="null"),
        pytest.param("count", pa.array([2**31, 1]), "2147483648 is not of type int", id="int"),
        pytest.param("page", pa.array(["moon", "pay"]), "'moon' is not a symbol", id="enum"),
        pytest.param("user", pa.array([b"\xff", b"x"]), "'user': 'utf-8' codec", id="utf-8"),
    ],
)
def test_parquet_records_that_are_dead(
    kit: Any, tmp_path: Path, name: str, values: pa.Array, reason: str
) -> None:
    rows = [kit.row(id=0), kit.row(id=1)]
    table, dead = read(kit, parquet_of(tmp_path / "e.parquet", rows, **{name: values}))
    assert table.num_rows == 1
    (letter,) = dead
    assert reason in letter.reason
    assert (letter.row, letter.message_id, letter.publish_time, letter.attributes) == (0, "", 0, {})
    assert set(json.loads(letter.payload)) == set(kit.columns)


def test_text_in_parquet_is_checked(kit: Any, tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a\xff", b"ok"]).buffers())
    table, dead = read(kit, parquet_of(tmp_path / "e.parquet", [kit.row(), kit.row()], user=bad))
    assert table.column("user").to_pylist() == ["ok"]
    assert len(dead) == 1


# --- lines
# ---------------------------------------------------------------------------------------------------------


def test_lines_blank_bad_and_without_an_end(kit: Any, tmp_path: Path) -> None:
    good = [kit.json(kit.row(id=at)) for at in range(3)]
    lines = [b"\xef\xbb\xbf" + good[0] + b"\r", b"", b"  \t", b"{oops", good[1], good[2][:-3]]
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(lines))
    table, dead = read(kit, tmp_path / "e.jsonl")
    assert table.column(ID).to_pylist() == [0, 1]
    assert [(letter.row, letter.payload) for letter in dead] == [(1, b"{oops"), (3, good[2][:-3])]


def test_long_lines(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("formats.text_lines.CHUNK", 1000)
    monkeypatch.setattr("formats.text_lines.MAX_LINE", 5000)
    good = kit.json(kit.row(user="x" * 4000))
    bad = kit.json(kit.row(user="x" * 6000))
    (tmp_path / "e.jsonl").write_bytes(b"\n".join([good, bad, good]))
    table, dead = read(kit, tmp_path / "e.jsonl")
    assert table.num_rows == 2
    assert [(letter.payload, letter.reason) for letter in dead] == [
        (bad, f"{len(bad):,} bytes; 5,000 are allowed")
    ]
    monkeypatch.setattr("formats.text_lines.MAX_RECORD", 4500)
    with pytest.raises(SourceFileError, match="not a file of lines"):
        read(kit, tmp_path / "e.jsonl")


HEADER = b"id,user,page,price,count,time\n"


def read_csv(kit: Any, tmp_path: Path, content: bytes, columns: tuple[str, ...] | None = None) -> Any:
    (tmp_path / "e.csv").write_bytes(content)
    return read(kit, tmp_path / "e.csv", columns)


@pytest.mark.parametrize("fill", [pytest.param(0, id="by-hand"), pytest.param(200, id="by-arrow")])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(b"1,a,pay,1.5,3", "5 values; the header names 6", id="too-few"),
        pytest.param(b"1,a,pay,1.5,3,5,6", "7 values; the header names 6", id="too-many"),
        pytest.param(b"x,a,pay,1.5,3,5", "'id': 'x' is not long", id="no-number"),
        pytest.param(b"0x10,a,pay,1.5,3,5", "'id': '0x10' is not long", id="hex"),
        pytest.param(b"+1,a,pay,1.5,3,5", "'id': '+1' is not long", id="plus"),
        pytest.param(b" 1,a,pay,1.5,3,5", "'id': ' 1' is not long", id="blank"),
        pytest.param(b"1.0,a,pay,1.5,3,5", "'id': '1.0' is not long", id="fraction"),
        pytest.param(b"9223372036854775808,a,pay,1.5,3,5", "is not long", id="2-to-the-63"),
        pytest.param(b",a,pay,1.5,3,5", "event id: 'id' is null", id="no-id"),
        pytest.param(b"1,a,moon,1.5,3,5", "'moon' is not a symbol of the enum", id="enum"),
        pytest.param(b"1,a,,1.5,3,5", "'page' is null and may not be", id="no-enum"),
        pytest.param(b"1,a,pay,1e999,3,5", "'1e999' is not double", id="too-large-a-double"),
        pytest.param(b"1,a,pay,0x1p3,3,5", "is not double", id="hex-double"),
        pytest.param(b"1,a,pay,1.5,2147483648,5", "'2147483648' is not int", id="int"),
        pytest.param(b"1,\xff,pay,1.5,3,5", "'user': 'utf-8' codec", id="utf-8"),
        pytest.param(b"1,a,pay,1.5,3,", "event time: 'time' is null", id="no-time"),
        pytest.param(b"1,a,pay,1.5,3,soon", "'soon' is not an RFC 3339 time", id="time"),
        pytest.param(b"1,a,pay,1.5,3,2023-11-14T22:13:20", "is not an RFC 3339 time", id="no-zone"),
        pytest.param(b"1,a,pay,1.5,3,2023-02-30T22:13:20Z", "is not an RFC 3339 time", id="no-day"),
        pytest.param(b"1,a,pay,1.5,3,4102444800000000", "ahead of", id="year-2100"),
        pytest.param(b'1,"a"b,pay,1.5,3,5', "text behind a closing quote", id="behind-quote"),
        pytest.param(b'1,"a,pay,1.5,3,5', "quotes that don't close", id="open-quote"),
        pytest.param(b"1,a\rb,pay,1.5,3,5", "carriage return", id="carriage-return"),
    ],
)
def test_bad_rows_are_dead_and_their_neighbours_live(
    kit: Any, tmp_path: Path, row: bytes, reason: str, fill: int
) -> None:
    good = [b"%d,a,pay,1.5,3,1700000000000000" % at for at in range(2 + fill)]
    table, dead = read_csv(kit, tmp_path, HEADER + b"\n".join([*good[:1], row, *good[1:]]) + b"\n")
    assert table.column(ID).to_pylist() == list(range(2 + fill))
    (letter,) = dead
    assert (letter.payload, letter.row) == (row, 1)
    assert reason in letter.reason


@pytest.mark.parametrize(
    ("row", "field", "expected"),
    [
        pytest.param(b'1,"a ""b"", c",pay,1.5,,5', "user", 'a "b", c', id="quotes"),
        pytest.param(b'1,"a\nb\r\nc",pay,1.5,,5', "user", "a\nb\r\nc", id="line-ends-in-quotes"),
        pytest.param(b"1,,pay,1.5,,5", "user", "", id="empty-text"),
        pytest.param(b"1, a ,pay,1.5,,5", "user", " a ", id="blanks-are-text"),
        pytest.param(b'1,5" pipe,pay,1.5,,5', "user", '5" pipe', id="quote-inside"),
        pytest.param(b"1,NULL,pay,1.5,,5", "user", "NULL", id="null-is-text"),
        pytest.param(b"1,a,pay,1.5,,5", "count", None, id="empty-is-null"),
        pytest.param(b'1,a,pay,1.5,"",5', "count", None, id="quoted-empty-is-null"),
        pytest.param(b"1,a,pay,nan,,5", "price", "nan", id="nan"),
        pytest.param(b"1,a,pay,-Infinity,,5", "price", float("-inf"), id="infinity"),
        pytest.param(b"1,a,pay,.5e1,,5", "price", 5.0, id="exponent"),
        pytest.param(b"007,a,pay,1,,5", "id", 7, id="leading-zeros"),
        pytest.param(b"1,a,pay,1.5,,2023-11-14T22:13:20Z", TIME, 1_700_000_000_000_000, id="rfc-3339"),
        pytest.param(b"1,a,pay,1.5,,2023-11-14 23:13:20.5+01:00", TIME, 1_700_000_000_500_000, id="zone"),
        pytest.param(
            b"1,a,pay,1.5,,2023-11-14t22:13:20.1234567z", TIME, 1_700_000_000_123_457, id="nanoseconds"
        ),
        pytest.param(b"1,a,pay,1.5,,-5", TIME, -5, id="before-1970"),
    ],
)
def test_csv_values(kit: Any, tmp_path: Path, row: bytes, field: str, expected: Any) -> None:
    table, dead = read_csv(kit, tmp_path, HEADER + row)
    assert dead == []
    (found,) = table.column(field).to_pylist()
    assert found == expected or (expected == "nan" and found != found)


def test_csv_with_bom_crlf_other_columns_and_blank_lines(kit: Any, tmp_path: Path) -> None:
    content = "\ufefftime,extra,id\r\n5,x,1\r\n\r\n6,,2\r\n".encode()
    table, dead = read_csv(kit, tmp_path, content, ())
    assert dead == []
    assert table.to_pydict() == {TIME: [5, 6], ID: [1, 2]}


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        pytest.param(b"id,user\n", "no column 'time'; the header has id, user", id="missing"),
        pytest.param(b"id,time,time\n", "more than one column 'time'", id="twice"),
    ],
)
def test_csv_headers_that_do_not_fit(kit: Any, tmp_path: Path, header: bytes, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        read_csv(kit, tmp_path, header + b"1,2\n", ())


def test_csv_with_only_a_header_has_no_events(kit: Any, tmp_path: Path) -> None:
    assert read_csv(kit, tmp_path, HEADER) == (None, [])


def test_a_quoted_value_over_many_reads(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("formats.csv_files.CHUNK", 64)
    rows = [kit.row(id=at, user="line\n" * (at * 9)) for at in range(12)]
    write_csv(tmp_path / "e.csv", rows)
    table, dead = read(kit, tmp_path / "e.csv")
    assert dead == []
    assert table.equals(table_of(kit, [row | {"user": row["user"].replace("\r", "")} for row in rows]))


CELL = st.sampled_from(
    [
        b"1",
        b"2",
        b"-3",
        b"x",
        b"",
        b'""',
        b'"4"',
        b'"',
        b'a"b',
        b'"a"b',
        b'"\n"',
        b"\r",
        b"5\n",
        b"\xff",
        b",",
        b"\n",
    ]
)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=8), st.integers(1, 40))
def test_csv_is_cut_alike_in_pieces_of_any_size(
    kit: Any, tmp_path_factory: pytest.TempPathFactory, rows: list[list[bytes]], chunk: int
) -> None:
    body = b"\n".join(b",".join(row) for row in rows)
    path = tmp_path_factory.mktemp("csv") / "e.csv"
    path.write_bytes(b"id,time\n" + body)
    results = []
    with pytest.MonkeyPatch.context() as patch:
        for size, small in ((1 << 20, 1 << 20), (chunk, 1 << 20), (1 << 20, 0)):
            patch.setattr("formats.csv_files.CHUNK", size)
            patch.setattr("formats.csv_files._SMALL", small)
            table, dead = read(kit, path, ())
            results.append((table.to_pylist() if table else [], [letter.payload for letter in dead]))
    assert results[0] == results[1] == results[2]


# --- all formats against each other
# --------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(-(2**63), 2**63 - 1),
            "user": TEXT.filter(lambda text: "\0" not in text),
            "page": st.sampled_from(["home", "cart", "pay"]),
            "price": st.floats(allow_nan=False, allow_infinity=False),
            "count": st.none() | st.integers(-(2**31), 2**31 - 1),
            "time": st.integers(-62_135_596_800_000_000, 1_700_003_600_000_000),
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(EVENTS)
def test_all_formats_agree(
    kit: Any, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    expected = table_of(kit, rows)
    json_messages = kit.messages([kit.json(row) for row in rows])
    decoded = decode_messages(kit.spec(format="json"), kit.columns, json_messages)
    assert pa.Table.from_batches([decoded.events]).equals(expected)
    paths = (
        kit.avro_file(folder / "e.avro", rows),
        write_parquet(kit, folder / "e.parquet", rows),
        write_lines(folder / "e.jsonl", rows),
        write_csv(folder / "e.csv", rows, quoting=csv.QUOTE_ALL),
    )
    for path in paths:
        table, dead = read(kit, path)
        assert dead == []
        assert table.equals(expected), path
    for form in ("avro", "json"):
        spec = kit.spec(format=form)
        again = decode_messages(spec, kit.columns, kit.messages(encode_messages(spec, expected)))
        assert pa.Table.from_batches([again.events]).equals(expected)


@pytest.mark.parametrize("form", ["avro", "json"])
def test_logical_types_survive_writing(kit: Any, form: str) -> None:
    spec = kit.spec(kit.wide, form, event_time="seen")
    rows = [kit.wide_row(), kit.wide_row(id="b", ratio=None, raw=None, at=None, amount=None)]
    columns = ("id", "flag", "small", "ratio", "raw", "day", "at", "clock", "amount", "seen")
    avro = kit.spec(kit.wide, event_time="seen")
    decoded = decode_messages(avro, columns, kit.messages([kit.avro(row, kit.wide) for row in rows]))
    payloads = encode_messages(spec, pa.Table.from_batches([decoded.events]))
    if form == "avro":  # an independent reader reads them, too
        from io import BytesIO

        seen = fastavro.schemaless_reader(BytesIO(payloads[0]), fastavro.parse_schema(kit.wide), None)
        assert (seen["amount"], seen["tags"], seen["raw"]) == (Decimal("-12.34"), [], b"\x00\xff")
    again = decode_messages(spec, columns, kit.messages(payloads))
    assert again.dead == ()
    assert again.events.equals(decoded.events)


@pytest.mark.parametrize(
    ("form", "changes", "problem"),
    [
        pytest.param("json", {"price": pa.array([float("nan")])}, "'price' has NaN or an infinity", id="nan"),
        pytest.param("avro", {"user": pa.array([None], pa.string())}, "'user' has 1 nulls", id="null"),
        pytest.param("avro", {"page": pa.array(["moon"])}, "'moon' is none of home, cart, pay", id="enum"),
        pytest.param("avro", {"id": pa.array(["x"])}, "column 'id' is string, wanted is int64", id="type"),
        pytest.param("avro", {"id": None}, "no column 'id', and the schema has no default", id="missing"),
    ],
)
def test_rows_that_cannot_be_written(kit: Any, form: str, changes: dict[str, Any], problem: str) -> None:
    columns = {name: pa.array([value]) for name, value in kit.row().items()} | changes
    with pytest.raises(SchemaError, match=problem):
        encode_messages(kit.spec(format=form), pa.table({k: v for k, v in columns.items() if v is not None}))
