"""Text files as people have them: packed, in other encodings, and JSON that isn't one object a line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from tandem.formats.files.reading import expand, split
from tandem.schemas.columns import ID
from tandem.schemas.errors import SourceFileError

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
ENDINGS = ["jsonl", "ndjson", "json", "csv", "tsv"]


def content_of(kit: Any, ending: str, rows: list[dict[str, Any]]) -> bytes:
    if ending not in ("csv", "tsv"):
        return b"".join(kit.json(row) + b"\n" for row in rows)
    sign = "\t" if ending == "tsv" else ","
    lines = [list(rows[0]), *([("" if value is None else str(value)) for value in row.values()] for row in rows)]
    return "".join(sign.join(line) + "\n" for line in lines).encode()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("packed", PACK)
def test_packed_text_is_read(kit: Any, tmp_path: Path, ending: str, packed: str) -> None:
    """Also of several streams one behind the other, as parallel packers write."""
    rows = kit.rows_of(60)
    content = content_of(kit, ending, rows)
    path = tmp_path / f"e.{ending}.{packed}"
    path.write_bytes(PACK[packed](content[:500]) + PACK[packed](content[500:]))
    table, dead = kit.read(path, target=100)
    assert dead == []
    assert table.equals(kit.table_of(rows))


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(lambda data: data[:-6], "cut short", id="cut"),
        pytest.param(lambda data: data[: len(data) // 2], "cut short|damaged", id="half"),
        pytest.param(lambda data: data + b"more", "damaged|cut short", id="behind"),
        pytest.param(lambda data: data[:30] + bytes([data[30] ^ 255]) + data[31:], "damaged|cut short", id="flipped"),
        pytest.param(lambda data: b"nothing packed\n" * 9, "damaged", id="not-packed"),
    ],
)
def test_damaged_packings_are_refused_by_name(
    kit: Any, tmp_path: Path, ending: str, packed: str, change: Callable[[bytes], bytes], problem: str
) -> None:
    path = tmp_path / f"e.{ending}.{packed}"
    path.write_bytes(change(PACK[packed](content_of(kit, ending, kit.rows_of(3000)))))
    with pytest.raises(SourceFileError, match=rf"e\.{ending}\.{packed}: ({problem})") as error:
        kit.read(path)
    assert "\n" not in str(error.value)


def test_a_window_of_more_than_128_mib_is_refused(kit: Any, tmp_path: Path) -> None:
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    (tmp_path / "e.jsonl.zst").write_bytes(packer.compress(b"{}\n") + packer.flush())
    with pytest.raises(SourceFileError, match=r"e\.jsonl\.zst: unpacking it takes a window of more than 128 MiB"):
        kit.read(tmp_path / "e.jsonl.zst")


UMLAUTS = [{"user": "Jürgen Müller", "id": 1}, {"user": "日本 — €", "id": 2}, {"user": "plain", "id": 3}]


def umlauts(kit: Any, count: int = 3) -> list[dict[str, Any]]:
    return [kit.row(**change) for change in UMLAUTS[:count]]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("encoding", "written", "count"),
    [
        ("utf-8", "utf-8-sig", 3),
        ("utf-16", "utf-16", 3),
        ("utf-16", "utf-16-le", 3),
        ("UTF-16LE", "utf-16-le", 3),
        ("utf-16-be", "utf-16-be", 3),
        ("utf-32", "utf-32", 3),
        ("latin-1", "latin-1", 1),
        ("cp1252", "cp1252", 1),
        ("latin-1", "utf-8-sig", 3),
        ("gb18030", "gb18030", 3),
    ],
)
def test_text_in_another_encoding_is_read_where_the_source_says_it(
    kit: Any, tmp_path: Path, ending: str, encoding: str, written: str, count: int
) -> None:
    rows = umlauts(kit, count)
    text = content_of(kit, ending, rows).decode()
    if ending not in ("csv", "tsv"):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / f"e.{ending}").write_bytes(text.encode(written))
    table, dead = kit.read(tmp_path / f"e.{ending}", target=10, encoding=encoding)
    assert dead == []
    assert table.equals(kit.table_of(rows))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("written", "named"),
    [("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be"), ("utf-32", "utf-32")],
)
def test_text_of_wide_characters_is_named_with_what_to_write(
    kit: Any, tmp_path: Path, ending: str, written: str, named: str
) -> None:
    path = tmp_path / f"e.{ending}"
    path.write_bytes(content_of(kit, ending, kit.rows_of(9)).decode().encode(written))
    with pytest.raises(SourceFileError, match=rf"is {named.upper()} text, .* write `encoding: {named}` into its"):
        kit.read(path)


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_lines_of_latin_1_are_dead_and_say_what_to_write(kit: Any, tmp_path: Path, ending: str) -> None:
    rows = [*umlauts(kit, 1), kit.row(id=4)]
    text = content_of(kit, ending, rows).decode()
    if ending == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / f"e.{ending}").write_bytes(text.encode("latin-1"))
    table, dead = kit.read(tmp_path / f"e.{ending}")
    assert table.column(ID).to_pylist() == [4]
    (letter,) = dead
    assert "such as `encoding: latin-1`" in letter.reason
    assert b"J\xfcrgen" in letter.payload


def test_a_file_that_is_not_as_the_source_says_is_refused(kit: Any, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(content_of(kit, "jsonl", kit.rows_of(2)))
    with pytest.raises(SourceFileError, match=r"e\.jsonl: isn't UTF-16 text, as the source's `encoding` says"):
        kit.read(tmp_path / "e.jsonl", encoding="utf-16")


@pytest.mark.parametrize("encoding", ["utf-16-le", "cp1252"])
def test_only_the_lines_that_cannot_be_decoded_are_dead(kit: Any, tmp_path: Path, encoding: str) -> None:
    first, second = (json.dumps(kit.row(id=at)) + "\n" for at in (1, 2))
    bad = {"utf-16-le": b"\x00\xd8a\x00", "cp1252": b"\x81"}[encoding]
    line = '{"user": "'.encode(encoding) + bad + '"}\n'.encode(encoding)
    (tmp_path / "e.jsonl").write_bytes(first.encode(encoding) + line + second.encode(encoding))
    table, dead = kit.read(tmp_path / "e.jsonl", encoding=encoding)
    assert table.column(ID).to_pylist() == [1, 2]
    assert len(dead) == 1


LAYOUTS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "lines": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "array": json.dumps,
    "array over lines": lambda rows: json.dumps(rows, indent=2),
    "array, an object a line": lambda rows: "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n",
    "objects over lines": lambda rows: "\n".join(json.dumps(row, indent=1) for row in rows),
    "objects without anything between": lambda rows: "".join(map(json.dumps, rows)),
    "with a mark": lambda rows: "\ufeff \n" + json.dumps(rows),
}


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("chunk", [pytest.param(7, id="small"), pytest.param(1 << 20, id="large")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_json_files_of_any_layout(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, chunk: int, count: int
) -> None:
    monkeypatch.setattr("tandem.formats.text.lines.CHUNK", chunk)
    monkeypatch.setattr("tandem.formats.json.documents._HEAD", max(chunk, 400))
    rows = [kit.row(id=at, user='a "quoted" [text] with {signs}, \\ and \n') for at in range(count)]
    (tmp_path / "e.json").write_text(LAYOUTS[layout](rows))
    table, dead = kit.read(tmp_path / "e.json", target=50)
    assert dead == []
    assert table.equals(kit.table_of(rows))
    if layout == "lines" and count > 1:
        assert len(split(expand([str(tmp_path / "e.json")])[0], 50)) > 1


def test_items_of_an_array_that_are_no_objects_of_the_schema_are_dead(kit: Any, tmp_path: Path) -> None:
    items = [kit.json(kit.row(id=1)), b"5", b'"x, ]"', b"null", b"[[1], 2]", b'{"id": "x"}', kit.json(kit.row(id=2))]
    (tmp_path / "e.json").write_bytes(b"[" + b" ,\n".join(items) + b"]")
    table, dead = kit.read(tmp_path / "e.json")
    assert table.column(ID).to_pylist() == [1, 2]
    assert [(letter.row, letter.payload) for letter in dead] == list(enumerate(items))[1:-1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"[", "cut short: the array has no end", id="open-array"),
        pytest.param(b'[{"id": 1', "cut short: what starts at byte 1 has no end", id="open-object"),
        pytest.param(b'[{"id": 1}', "cut short: the array has no end", id="no-bracket"),
        pytest.param(b'[{"id": 1} {"id": 2}]', r"byte 11: found '{', expected ',' or '\]'", id="no-comma"),
        pytest.param(b'[{"id": 1},]', r"byte 11: found '\]', expected an item", id="comma-at-the-end"),
        pytest.param(b"[]x", "byte 2: found 'x', expected nothing behind the array", id="behind"),
        pytest.param(b"hello", "byte 0: found 'h', expected an object", id="text"),
        pytest.param(b'{"id": 1}\x00', r"byte 9: found '\\x00', expected an object", id="nul"),
        pytest.param(b'{"a": "', "cut short: what starts at byte 0 has no end", id="open-text"),
        pytest.param(b"[1, }", "byte 4: found '}', expected an item", id="closing"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(kit: Any, tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "e.json").write_bytes(content)
    with pytest.raises(SourceFileError, match=rf"e\.json: {problem}"):
        kit.read(tmp_path / "e.json")


def test_no_ending_of_other_packings_is_known(tmp_path: Path) -> None:
    (tmp_path / "e.csv.xz").write_bytes(lzma.compress(b"id\n"))
    with pytest.raises(SourceFileError, match=r"allowed are .*; text also packed, with \.gz, \.bz2, \.zst behind it"):
        expand([str(tmp_path / "e.csv.xz")])


def test_an_empty_array_has_no_events(kit: Any, tmp_path: Path) -> None:
    (tmp_path / "e.json").write_bytes(b" [ ] ")
    assert kit.read(tmp_path / "e.json") == (None, [])


def test_arrow_unpacks_as_the_library_does(tmp_path: Path) -> None:
    """What `tandem.formats.text.streams` relies on: a stream that ends early is an error, not an end."""
    with (
        pytest.raises(OSError, match="runcated"),
        pa.CompressedInputStream(pa.BufferReader(PACK["zst"](b"x" * 9000)[:-2]), "zstd") as file,
    ):
        file.read()


OTHERS = {
    "gzip": (gzip.compress(b"{}"), "packed with gzip.* an ending such as .jsonl.gz"),
    "bzip2": (bz2.compress(b"{}"), "packed with bzip2.* .jsonl.bz2"),
    "zstd": (pa.compress(b"{}" * 99, "zstd", asbytes=True), "packed with zstd.* .jsonl.zst"),
    "lz4": (pa.compress(b"{}" * 99, "lz4", asbytes=True), "packed with lz4, which isn't read"),
    "xz": (lzma.compress(b"{}"), "packed with xz, which isn't read"),
    "a spreadsheet": (b"PK\x03\x04\x14\0", "a ZIP archive"),
    "Avro": (b"Obj\x01\x04\x14avro.codec", "an Avro container: give it the ending .avro"),
    "Parquet": (b"PAR1\x15\x04\x15", "a Parquet file: give it the ending .parquet"),
}


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv", "jsonl.gz", "csv.bz2"])
@pytest.mark.parametrize("content", OTHERS)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_what_is_no_text_is_named(kit: Any, tmp_path: Path, ending: str, content: str, encoding: str) -> None:
    """Not a dead letter a line."""
    data, problem = OTHERS[content]
    path = tmp_path / f"e.{ending}"
    pack = PACK.get(ending.rpartition(".")[2])
    path.write_bytes(pack(data) if pack else data)
    with pytest.raises(SourceFileError, match=f"e.{ending}: .*{problem}"):
        kit.read(path, encoding=encoding)
