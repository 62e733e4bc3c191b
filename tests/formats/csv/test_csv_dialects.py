"""CSV files as people have them: other signs, other headers, none."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tandem.formats.csv.dialect import Dialect
from tandem.formats.files.reading import expand, split
from tandem.schemas.columns import ID, TIME
from tandem.schemas.errors import SchemaError, SourceFileError
from tandem.schemas.source.text_options import CsvOptions

NAMES = ["id", "user", "page", "price", "count", "time"]
ROW = ["7", "ann", "cart", "1.5", "3", "1700000000000000"]


def read(kit: Any, path: Path, content: bytes | str, columns: tuple[str, ...] | None = None, **options: Any) -> Any:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    csv_options = CsvOptions.model_validate(options)
    return kit.read(path, columns, csv=csv_options)


def rows(delimiter: str, *lines: list[str]) -> str:
    return "".join(delimiter.join(line) + "\n" for line in lines)


COMMENTED = f"# a\n#b,c\n{rows(',', NAMES)}#\n{rows(',', ROW)}"


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        pytest.param("e.csv", rows(";", NAMES, ROW), {"delimiter": ";"}, id="semicolons"),
        pytest.param("e.csv", rows("|", NAMES, ROW), {"delimiter": "|"}, id="bars"),
        pytest.param("e.csv", rows("\t", NAMES, ROW), {"delimiter": "tab"}, id="tabs"),
        pytest.param("e.csv", rows("\x01", NAMES, ROW), {"delimiter": "\x01"}, id="hive"),
        pytest.param("e.tsv", rows("\t", NAMES, ROW), {}, id="tsv"),
        pytest.param("e.tsv", rows(";", NAMES, ROW), {"delimiter": ";"}, id="tsv-with-semicolons"),
        pytest.param("e.csv", rows(",", ROW), {"header": NAMES}, id="names-given"),
        pytest.param("e.csv", rows(",", ROW), {"header": False}, id="fields-of-the-schema"),
        pytest.param("e.csv", COMMENTED, {"comment": "#"}, id="comments"),
        pytest.param("e.csv", rows(",", NAMES, ["7", "'ann'", *ROW[2:]]), {"quote": "'"}, id="single-quotes"),
        pytest.param("e.csv", rows(",", NAMES, ["7", "a\\nn", *ROW[2:]]), {"escape": "\\"}, id="escape"),
        pytest.param("e.csv", "\ufeff" + rows(",", ROW), {"header": NAMES}, id="bom-without-header"),
    ],
)
def test_one_row_in_many_dialects(kit: Any, tmp_path: Path, name: str, content: str, options: dict[str, Any]) -> None:
    table, dead = read(kit, tmp_path / name, content, **options)
    assert dead == []
    assert table.equals(kit.table_of([kit.row()]))


@pytest.mark.parametrize("fill", [pytest.param(0, id="by-hand"), pytest.param(300, id="by-arrow")])
@pytest.mark.parametrize(
    ("cell", "expected", "options"),
    [
        pytest.param(r'"say \"hi\", ok"', 'say "hi", ok', {"escape": "\\"}, id="escaped-quotes"),
        pytest.param(r"a\,b", "a,b", {"escape": "\\"}, id="escaped-delimiter"),
        pytest.param(r'"a\\"', "a\\", {"escape": "\\"}, id="escaped-escape"),
        pytest.param('"a""""b"', 'a""b', {"escape": "\\"}, id="doubled-beside-escape"),
        pytest.param('"a\\\nb"', "a\nb", {"escape": "\\"}, id="escaped-line-end"),
        pytest.param('5" pipe', '5" pipe', {"quote": None}, id="quote-is-text"),
        pytest.param('"x', '"x', {"quote": None}, id="open-quote-is-text"),
        pytest.param("a#b", "a#b", {"comment": "#"}, id="comment-sign-inside"),
        pytest.param('"a\n#b"', "a\n#b", {"comment": "#"}, id="comment-sign-within-quotes"),
        pytest.param("'a''b'", "a'b", {"quote": "'"}, id="doubled-single"),
    ],
)
def test_values_with_signs_in_them(
    kit: Any, tmp_path: Path, cell: str, expected: str, options: dict[str, Any], fill: int
) -> None:
    plain = rows(",", *(["8", "x", *ROW[2:]] for _ in range(fill)))
    content = rows(",", NAMES) + plain + f"7,{cell},{','.join(ROW[2:])}\n" + plain
    for target in (1 << 40, 100):
        (tmp_path / "e.csv").write_text(content)
        table, dead = kit.read(tmp_path / "e.csv", target=target, csv=CsvOptions.model_validate(options))
        assert dead == []
        assert table.num_rows == 2 * fill + 1
        assert table.column("user").to_pylist()[fill] == expected


VALUE = st.text(st.sampled_from(list("ab,;\t\"'\\#\n |")), max_size=6)


@settings(derandomize=True, max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(VALUE, min_size=2, max_size=2), min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(['"', "'"]),
    st.sampled_from([None, "\\"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(1, 50),
)
def test_what_another_writer_writes_is_read_back(
    kit: Any,
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[list[str]],
    delimiter: str,
    quote: str,
    escape: str | None,
    quoting: Any,
    chunk: int,
) -> None:
    out = io.StringIO(newline="")
    style = {"quotechar": quote, "escapechar": escape, "doublequote": escape is None, "quoting": quoting}
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n", **style)
    for number, row in enumerate(cells):
        writer.writerow([number, *row, 5])
    path = tmp_path_factory.mktemp("csv") / "e.csv"
    path.write_bytes(out.getvalue().encode())
    options = CsvOptions(delimiter=delimiter, quote=quote, escape=escape, header=("id", "user", "page", "time"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tandem.formats.text.lines.CHUNK", chunk)
        table, dead = kit.read(path, ("user",), csv=options)
    assert [letter.reason for letter in dead] == []
    assert table.column("user").to_pylist() == [first for first, _ in cells]


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        pytest.param(
            rows(";", NAMES, ROW), {}, r"the header has id;user.*write `csv: {delimiter: \";\"}`", id="other-delimiter"
        ),
        pytest.param(rows(",", ROW), {"header": ["id", "time", "time"]}, "more than one column 'time'", id="twice"),
        pytest.param("\x001,2\n", {}, "no column 'id'", id="nul"),
    ],
)
def test_headers_that_do_not_fit(kit: Any, tmp_path: Path, content: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        read(kit, tmp_path / "e.csv", content, (), **options)


def test_a_row_that_does_not_fit_the_names_is_dead(kit: Any, tmp_path: Path) -> None:
    table, dead = read(kit, tmp_path / "e.csv", rows(",", ROW, ROW[:-1]), header=NAMES)
    assert table.num_rows == 1
    assert [letter.reason for letter in dead] == ["not a row: 5 values; the header names 6"]


@pytest.mark.parametrize("fill", [2, 3000])
def test_a_file_without_a_needed_column_has_the_defaults(kit: Any, tmp_path: Path, fill: int) -> None:
    """The same for CSV, JSON Lines and Parquet."""
    fields = [{**field, "default": {"id": 5, "time": 9}.get(field["name"], "x")} for field in kit.event["fields"]]
    schema = {**kit.event, "fields": [field for field in fields if field["name"] in ("id", "user", "time")]}
    (tmp_path / "e.csv").write_text("other\n" + "1\n" * fill + "1,2\n")
    table, dead = kit.read(tmp_path / "e.csv", ("user",), avro_schema=schema)
    assert table.num_rows == fill
    assert set(table.column(ID).to_pylist()) == {5}
    assert set(table.column(TIME).to_pylist()) == {9}
    assert len(dead) == 1
    (tmp_path / "e.jsonl").write_text('{"other": 1}\n' * fill)
    lines, _ = kit.read(tmp_path / "e.jsonl", ("user",), avro_schema=schema)
    assert lines.equals(table)


def test_files_with_quotes_or_escapes_are_one_piece_and_others_several(kit: Any, tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    for content, options, several in [
        ("a\\b", {}, True),
        ("a\\b", {"escape": "\\"}, False),
        ('"a"', {}, False),
        ('"a"', {"quote": None}, True),
        ("'a'", {"quote": "'"}, False),
    ]:
        path.write_text(rows(",", NAMES) + rows(",", ["7", content, *ROW[2:]]) * 30)
        (ref,) = expand([str(path)])
        pieces = split(ref, 200, kit.spec(csv=CsvOptions.model_validate(options)))
        assert (len(pieces) > 1) == several


def test_a_header_that_is_none_says_what_to_write(kit: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match=r"separated by commas at its start; .* `csv: {header: false}`"):
        read(kit, tmp_path / "e.csv", '"open\n1,2\n')


def test_the_default_dialect_is_rfc_4180() -> None:
    assert Dialect().record(b'1,"a ""b""",\r\n2', 0, final=False) == ([b"1", b'a "b"', b""], 14)
