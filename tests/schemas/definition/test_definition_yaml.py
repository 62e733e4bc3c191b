"""The reader of YAML: what it takes for what, lines, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.schemas.definition.yaml_lines import MAX_BYTES, field_text, read
from tandem.schemas.errors import DefinitionError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("2013-01-01", "2013-01-01"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("<<", "<<"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'null'", "null"),
        ("'1'", "1"),
        ("1", 1),
        ("-1", -1),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1h", "1h"),
        ("[a, 1]", ["a", 1]),
        ("{x: {y: 1}}", {"x": {"y": 1}}),
        ("|\n  a\n  b", "a\nb"),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = read(f"a: {text}").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_lines_of_fields_and_items() -> None:
    document = read("a: 1\nb:\n  c:\n    - x\n    - y\n  d: 2\n")
    lines = {field_text(path): line for path, line in document.lines.items()}
    assert lines == {"a": 1, "b": 2, "b.c": 3, "b.c[0]": 4, "b.c[1]": 5, "b.d": 6}


def test_the_line_of_what_is_not_there_is_that_of_what_is_around_it() -> None:
    document = read("a: 1\nb:\n  c: 2\n")
    assert document.line(("b", "x", 0)) == 2
    assert document.line(("x",)) == 1


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "",
            "f.yaml: found an empty file; a definition is a mapping of fields, such as 'name: flights'",
            id="empty",
        ),
        pytest.param(
            "[1]",
            "f.yaml: found a list; a definition is a mapping of fields, such as 'name: flights'",
            id="list",
        ),
        pytest.param(
            "x",
            "f.yaml: found a single value; a definition is a mapping of fields, such as 'name: flights'",
            id="value",
        ),
        pytest.param(
            "a: 1\nb: 2\na: 3",
            "f.yaml:3: a: written twice, first in line 1; write each field once",
            id="twice",
        ),
        pytest.param(
            "x:\n  a: 1\n  a: 3",
            "f.yaml:3: x.a: written twice, first in line 2; write each field once",
            id="twice, nested",
        ),
        pytest.param(BOMB, "f.yaml:2: alias '*a'; aliases are not allowed, write the value out", id="billion laughs"),
        pytest.param(
            "a: &a\n  b: *a", "f.yaml:2: alias '*a'; aliases are not allowed, write the value out", id="cycle"
        ),
        pytest.param(
            "a: !!python/object/apply:os.system [x]",
            "f.yaml:1: tag 'tag:yaml.org,2002:python/object/apply:os.system'; tags are not allowed",
            id="python object",
        ),
        pytest.param("a: !x 1", "f.yaml:1: tag '!x'; tags are not allowed", id="tag"),
        pytest.param(
            "a: 1\n---\nb: 1",
            "f.yaml:2: a second document ('---'); write one definition a file",
            id="documents",
        ),
        pytest.param("a: " + "[" * 100_000, "f.yaml:1: nested more than 64 levels deep", id="deep"),
        pytest.param("? [a]\n: b", "f.yaml:1: a field name must be a text", id="key"),
        pytest.param(
            "a: [1",
            "f.yaml:1: not YAML: while parsing a flow sequence expected ',' or ']', but got '<stream end>'",
            id="open",
        ),
        pytest.param("a: b: c", "f.yaml:1: not YAML: mapping values are not allowed here", id="colon"),
        pytest.param(
            "a: '" + "x" * MAX_BYTES + "'",
            "f.yaml: more than 1,000,000 bytes; a definition is a short text",
            id="large",
        ),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(DefinitionError) as error:
        read(text, "f.yaml")
    assert str(error.value) == message


def test_control_characters_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"f.yaml: not YAML: unacceptable character #x0000"):
        read("a: \x00", "f.yaml")


def test_very_many_values_are_refused() -> None:
    with pytest.raises(DefinitionError, match="more than 20,000 values"):
        read("a: [" + "1," * 20_001 + "]")
