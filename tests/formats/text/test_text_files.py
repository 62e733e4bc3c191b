"""JSON Lines and CSV: bad lines and rows, and how text becomes values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.formats.files.reading import expand, read_piece, split
from tandem.schemas.columns import ID, TIME
from tandem.schemas.errors import SchemaError, SourceFileError


def test_lines_blank_bad_and_without_an_end(kit: Any, tmp_path: Path) -> None:
    good = [kit.json(kit.row(id=at)) for at in range(3)]
    lines = [b"\xef\xbb\xbf" + good[0] + b"\r", b"", b"  \t", b"{oops", good[1], good[2][:-3]]
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(lines))
    table, dead = kit.read(tmp_path / "e.jsonl")
    assert table.column(ID).to_pylist() == [0, 1]
    assert [(letter.row, letter.payload) for letter in dead] == [(1, b"{oops"), (3, good[2][:-3])]


def test_long_lines(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.formats.text.lines.CHUNK", 1000)
    monkeypatch.setattr("tandem.formats.text.lines.MAX_LINE", 5000)
    good = kit.json(kit.row(user="x" * 4000))
    bad = kit.json(kit.row(user="x" * 6000))
    (tmp_path / "e.jsonl").write_bytes(b"\n".join([good, bad, good]))
    table, dead = kit.read(tmp_path / "e.jsonl")
    assert table.num_rows == 2
    assert [(letter.payload, letter.reason) for letter in dead] == [(bad, f"{len(bad):,} bytes; 5,000 are allowed")]
    monkeypatch.setattr("tandem.formats.text.lines.MAX_RECORD", 4500)
    with pytest.raises(SourceFileError, match="not a file of lines"):
        kit.read(tmp_path / "e.jsonl")


@pytest.mark.parametrize("chunk", [4, 7, 64, 1000])
@pytest.mark.parametrize("end", [pytest.param(b"", id="no newline at the end"), pytest.param(b"\n", id="newline")])
def test_lines_are_the_same_however_much_is_read_at_a_time(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, end: bytes
) -> None:
    lines = [b"\xef\xbb\xbf" + kit.json(kit.row(id=0)), b"", b"{oops", kit.json(kit.row(id=1, user="\u00df" * 90))]
    (tmp_path / "e.jsonl").write_bytes(b"\r\n".join(lines) + end)
    monkeypatch.setattr("tandem.formats.text.lines.CHUNK", chunk)
    table, dead = kit.read(tmp_path / "e.jsonl")
    assert table.column(ID).to_pylist() == [0, 1]
    assert [letter.payload for letter in dead] == [b"{oops\r"]


@pytest.mark.parametrize("name", ["e.jsonl", "e.csv"])
def test_a_file_that_is_cut_short_while_it_is_read_is_refused(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its last lines would be left out, and nobody would know."""
    path, line = tmp_path / name, b"1,a,pay,1.5,3,5" if name == "e.csv" else kit.json(kit.row())
    path.write_bytes((HEADER if name == "e.csv" else b"") + (line + b"\n") * (3_000_000 // len(line)))
    for module in ("text.lines", "csv.files"):
        monkeypatch.setattr(f"tandem.formats.{module}.CHUNK", 1 << 20)
    (ref,) = expand([str(path)])
    (piece,) = split(ref, 1 << 30)
    batches = read_piece(kit.spec(), kit.columns, piece, kit.now)
    assert next(batches).events.num_rows > 1000
    os.truncate(path, 2_000_000)
    with pytest.raises(SourceFileError, match=f"{name}: cut short while it was read"):
        list(batches)


HEADER = b"id,user,page,price,count,time\n"


def read_csv(kit: Any, tmp_path: Path, content: bytes, columns: tuple[str, ...] | None = None) -> Any:
    (tmp_path / "e.csv").write_bytes(content)
    return kit.read(tmp_path / "e.csv", columns)


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
        pytest.param(b"1,a,pay,1.5,,2023-11-14t22:13:20.1234567z", TIME, 1_700_000_000_123_456, id="nanoseconds"),
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
    monkeypatch.setattr("tandem.formats.csv.files.CHUNK", 64)
    rows = [kit.row(id=at, user="line\n" * (at * 9)) for at in range(12)]
    kit.write_csv(tmp_path / "e.csv", rows)
    table, dead = kit.read(tmp_path / "e.csv")
    assert dead == []
    assert table.equals(kit.table_of([row | {"user": row["user"].replace("\r", "")} for row in rows]))


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
            patch.setattr("tandem.formats.csv.files.CHUNK", size)
            patch.setattr("tandem.formats.csv.files._SMALL", small)
            table, dead = kit.read(path, ())
            results.append((table.to_pylist() if table else [], [letter.payload for letter in dead]))
    assert results[0] == results[1] == results[2]
