"""Files of every format: listing, splitting and reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tandem.formats.files.reading as files_module
from tandem.formats.avro.walk import write_long
from tandem.formats.files.reading import expand, read_piece, split
from tandem.schemas.columns import ID, TIME
from tandem.schemas.errors import SourceFileError

ALL = 1 << 40

KINDS = [
    "avro", "avro-deflate", "avro-bzip2", "avro-xz", "parquet", "jsonl", "jsonl.gz", "csv", "csv.gz",
    "csv-quoted",
]  # fmt: skip


@pytest.mark.parametrize("target", [pytest.param(ALL, id="whole"), pytest.param(1500, id="split")])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_in_every_format_are_the_same_events(kit: Any, tmp_path: Path, kind: str, target: int) -> None:
    rows = kit.rows_of(200)
    table, dead = kit.read(kit.all_files(tmp_path, rows)[kind], target=target)
    assert dead == []
    assert table.equals(kit.table_of(rows))


@pytest.mark.parametrize("counts", [(0,), (0, 2), (2, 0, 3), (2, 0)], ids=str)
def test_row_groups_without_rows_are_passed_by(kit: Any, tmp_path: Path, counts: tuple[int, ...]) -> None:
    """As writers leave them: of their columns nothing is in the file."""
    rows = kit.rows_of(5)
    whole = pq.read_table(kit.write_parquet(tmp_path / "whole.parquet", rows))
    with pq.ParquetWriter(tmp_path / "e.parquet", whole.schema) as writer:
        for at, count in enumerate(counts):
            writer.write_table(whole.slice(sum(counts[:at]), count))
    table, dead = kit.read(tmp_path / "e.parquet", target=1)
    assert dead == []
    assert table is None if not sum(counts) else table.equals(kit.table_of(rows[: sum(counts)]))


SPLITTABLE = ["avro", "parquet", "jsonl", "csv"]


@pytest.mark.parametrize("kind", SPLITTABLE)
def test_files_are_split_into_several_pieces(kit: Any, tmp_path: Path, kind: str) -> None:
    (ref,) = expand([str(kit.all_files(tmp_path, kit.rows_of(200))[kind])])
    pieces = split(ref, 1500)
    assert len(pieces) >= 4
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]


@pytest.mark.parametrize("codec", ["uncompressed", "snappy", "deflate"])
def test_avro_files_of_another_writer(kit: Any, tmp_path: Path, codec: Any) -> None:
    rows = kit.rows_of(50)
    pl.DataFrame(rows).write_avro(tmp_path / "p.avro", compression=codec)
    table, dead = kit.read(tmp_path / "p.avro", columns=("id", "user", "price", "time"))
    assert dead == []
    assert table.equals(kit.table_of(rows).select(["id", "user", "price", "time", TIME, ID]))


def test_zstandard_blocks(kit: Any, tmp_path: Path) -> None:
    rows = kit.rows_of(50)
    plain = kit.avro_file(tmp_path / "n.avro", rows, sync_interval=10**9).read_bytes()
    (ref,) = expand([str(tmp_path / "n.avro")])
    (piece,) = split(ref, ALL)
    sync = plain[-16:]
    body = plain[piece.start + 3 : -16]  # a number of one byte and one of two come before the data
    packed = pa.compress(body, codec="zstd", asbytes=True)
    header = plain[: piece.start].replace(b"\x14avro.codec\x08null", b"\x14avro.codec\x12zstandard")
    (tmp_path / "z.avro").write_bytes(header + write_long(50) + write_long(len(packed)) + packed + sync)
    table, _ = kit.read(tmp_path / "z.avro")
    assert table.equals(kit.table_of(rows))


@pytest.mark.parametrize("kind", SPLITTABLE)
def test_rows_count_the_records_of_a_piece_and_positions_those_of_the_file(
    kit: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "_ROWS", 16)
    monkeypatch.setattr("tandem.formats.text.lines.CHUNK", 700)
    monkeypatch.setattr("tandem.formats.csv.files.CHUNK", 700)
    monkeypatch.setattr("tandem.formats.parquet.files._ROWS", 16)
    rows = [kit.row(id=at) for at in range(100)]
    rows[61]["time"] = kit.now + 10**12
    path = {
        "avro": lambda: kit.avro_file(tmp_path / "e.avro", rows, sync_interval=500),
        "parquet": lambda: kit.parquet_of(tmp_path / "e.parquet", rows),
        "jsonl": lambda: kit.write_lines(tmp_path / "e.jsonl", rows),
        "csv": lambda: kit.write_csv(tmp_path / "e.csv", rows),
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


def test_patterns_name_files_folders_and_globs(kit: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.jsonl", "a.csv", "in/c.ndjson", "_SUCCESS", ".hidden"):
        (tmp_path / name).write_text("{}\n")
    names = lambda *patterns: [Path(ref.path).name for ref in expand(list(patterns))]  # noqa: E731
    assert names(f"{tmp_path}") == ["a.csv", "b.jsonl"]
    assert names(f"{tmp_path}/*son*") == ["b.jsonl", "c.ndjson"]
    assert names(f"{tmp_path}/in/*", f"{tmp_path}/in/c.ndjson", f"{tmp_path}/a.csv") == ["a.csv", "c.ndjson"]
    assert [ref.path for ref in expand([f"file://{tmp_path}/b.jsonl"])] == [f"{tmp_path}/b.jsonl"]
    (first,), (second,) = expand([f"{tmp_path}/a.csv"]), expand([f"{tmp_path}/b.jsonl"])
    assert (first.digest, first.size) == (second.digest, 3)
    assert (first.format, second.format) == ("csv", "jsonl")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        pytest.param("nothing.csv", "no such file or folder", id="no-file"),
        pytest.param("*.parquet", "no file matches", id="glob-without-match"),
        pytest.param("void", "the folder holds no files", id="empty-folder"),
        pytest.param("data.xlsx", "the ending isn't known; allowed are .avro, .parquet, .jsonl", id="wrong-ending"),
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


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_batches_stay_small_whatever_is_in_them(
    kit: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "_ROWS", 7)
    rows = [kit.row(id=at, page="moon" if at % 5 == 0 else "pay") for at in range(40)]
    path = (kit.write_lines if kind == "jsonl" else kit.write_csv)(tmp_path / f"e.{kind}", rows)
    lines = path.read_bytes().splitlines()[0 if kind == "jsonl" else 1 :]
    lines[13] = b"oops"
    header = b"" if kind == "jsonl" else b",".join(name.encode() for name in rows[0]) + b"\n"
    path.write_bytes(header + b"\n".join(lines))
    (ref,) = expand([str(path)])
    (piece,) = split(ref, ALL)
    parts = list(read_piece(kit.spec(), ("page",), piece, kit.now))
    assert [part.received for part in parts] == [7, 7, 7, 7, 7, 5]
    found = [
        (row, ident) for part in parts for row, ident in zip(part.rows, part.events.column(ID).to_pylist(), strict=True)
    ]
    assert found == [(at, at) for at in range(40) if at % 5 and at != 13]
    dead = {letter.row: letter.payload for part in parts for letter in part.dead}
    assert dead == {at: lines[at] for at in range(40) if at % 5 == 0 or at == 13}
