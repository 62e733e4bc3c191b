# ruff: noqa: E501 - tables of exact messages
"""What a source says of its text files: what is allowed, what it changes, and what is said of anything else."""

from __future__ import annotations

import pytest

from tandem.schemas.definition.loading import Source, loads
from tandem.schemas.errors import DefinitionError
from tandem.schemas.source.text_options import CsvOptions

BASE = """\
name: clicks
source:
  schema: {type: record, name: E, fields: [{name: id, type: string}, {name: at, type: {type: long, logicalType: timestamp-micros}}]}
  format: json
  event_id: id
  event_time: at
key: []
tile: 1m
measures: {n: count}
"""


def source_with(options: str) -> Source:
    return loads(BASE.replace("key: []", f"{options}\nkey: []"), file="c.yaml").source


def test_without_options_a_source_is_what_it_was() -> None:
    plain = loads(BASE).source
    assert (plain.csv, plain.encoding, plain.partitions) == (CsvOptions(), "utf-8", None)
    for options in (
        "  csv: {}",
        "  encoding: UTF8",
        "  encoding: ascii",
        "  partitions: null",
        "  csv: {header: true}",
    ):
        assert source_with(options).version == plain.version


def test_each_option_makes_another_version() -> None:
    options = [
        "  csv: {delimiter: ';'}",
        "  csv: {delimiter: tab}",
        '  csv: {quote: "\'"}',
        "  csv: {quote: null}",
        "  csv: {escape: '\\'}",
        "  csv: {comment: '#'}",
        "  csv: {header: false}",
        "  csv: {header: [id, at]}",
        "  csv: {header: [at, id]}",
        "  encoding: latin-1",
        "  encoding: utf-16",
        "  partitions: hive",
    ]
    assert len({source_with(each).version for each in options} | {loads(BASE).source.version}) == len(options) + 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("  csv: {delimiter: tab}", CsvOptions(delimiter="\t")),
        ("  csv: {delimiter: '\\t'}", CsvOptions(delimiter="\t")),
        ('  csv: {delimiter: "\\t"}', CsvOptions(delimiter="\t")),
        ("  csv: {header: [a, b c]}", CsvOptions(header=("a", "b c"))),
    ],
)
def test_ways_of_writing_an_option(options: str, expected: CsvOptions) -> None:
    assert source_with(options).csv == expected


def test_names_of_one_encoding_are_one_version() -> None:
    assert len({source_with(f"  encoding: {name}").version for name in ("latin-1", "latin1", "ISO-8859-1", "l1")}) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "  csv: {delimiter: '||'}",
            "source.csv.delimiter: '||' is not one sign; allowed is one ASCII character, but no letter or digit",
        ),
        ("  csv: {delimiter: x}", "source.csv.delimiter: 'x' is not one sign; allowed"),
        ("  csv: {comment: §}", "source.csv.comment: '§' is not one sign; allowed"),
        ("  csv: {quote: ','}", "source.csv: delimiter and quote are both ','; they must differ"),
        (
            "  csv: {header: a}",
            "source.csv.header: found no header; allowed are true, false, and a list of the columns'",
        ),
        ("  csv: {header: []}", "source.csv.header: 0 names; allowed are 1 to 10,000"),
        (
            "  csv: {delimeter: ';'}",
            "source.csv.delimeter: unknown field 'delimeter'; did you mean 'delimiter'? allowed",
        ),
        ("  csv: ';'", "source.csv: found ';'; must be a mapping of fields"),
        (
            "  encoding: klingon",
            "source.encoding: 'klingon' is not an encoding of text; some are utf-8, utf-16, latin-1",
        ),
        ("  encoding: hex", "source.encoding: 'hex' is not an encoding of text"),
        ("  encoding: idna", "source.encoding: 'idna' is not an encoding of text"),
        ("  partitions: spark", "source.partitions: found 'spark'; allowed: 'hive'"),
    ],
)
def test_wrong_options_are_named(options: str, message: str) -> None:
    with pytest.raises(DefinitionError) as error:
        source_with(options)
    assert str(error.value).startswith(f"c.yaml:7: {message}")
