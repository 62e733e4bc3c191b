"""Definitions kept as JSON are read as JSON: what is read is what YAML makes of the text, or it is left to YAML."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.definition.plain_json import MAX_DEPTH, MAX_NODES, plain_json
from tandem.schemas.definition.yaml_lines import read
from tandem.schemas.definition.yaml_tree import tree_of
from tandem.schemas.errors import DefinitionError

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["no", "~", "1", "null", "- a", "a: b", "#"]
)
NUMBERS = st.integers(-(10**35), 10**35) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    value=st.dictionaries(TEXTS, VALUES, max_size=4),
    indent=st.sampled_from([None, 1, 4]),
    ascii_only=st.booleans(),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (",\n", " : ")]),
)
def test_it_is_what_yaml_reads(value: Any, indent: int | None, ascii_only: bool, separators: tuple[str, str]) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=separators)
    found = plain_json(text)
    if found is not None:
        assert repr(found) == repr(tree_of(text, None)[0])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a": 1, "a": 2}', id="a key twice"),
        pytest.param('{"a": {"b": 1, "b": 1}}', id="a key twice within"),
        pytest.param(f'{{"a": {"1" * 31}}}', id="a number that is a text in YAML"),
        pytest.param('{"a": 1e99999}', id="an exponent that is one"),
        pytest.param('{"a": NaN}', id="not a number"),
        pytest.param('{"a": "\\u0085"}', id="an escape"),
        pytest.param('{"a": "\u2028"}', id="a line end of YAML's"),
        pytest.param('{"a": "\x7f"}', id="a control character"),
        pytest.param(f'{{"{"a" * 1_001}": 1}}', id="a long key"),
        pytest.param("{a: 1}", id="YAML"),
        pytest.param("a: 1", id="YAML in lines"),
        pytest.param('{"a": 1} # more', id="a comment"),
        pytest.param('{"a": 1}\n---\n{"b": 1}', id="two documents"),
        pytest.param("[1]", id="a list"),
        pytest.param('{"a": ' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), id="too deep"),
        pytest.param('{"a": ' * 50_000 + "1" + "}" * 50_000, id="far too deep"),
        pytest.param(json.dumps({"a": [1] * MAX_NODES}), id="too many values"),
    ],
)
def test_what_is_left_to_yaml(text: str) -> None:
    assert plain_json(text) is None


def test_limits_are_those_of_yaml() -> None:
    deep = '{"a": ' * MAX_DEPTH + "1" + "}" * MAX_DEPTH
    assert plain_json(deep) == tree_of(deep, None)[0]
    wide = json.dumps({"a": [1] * (MAX_NODES - 4)})
    assert plain_json(wide) == tree_of(wide, None)[0]
    for text in ('{"a": ' + deep + "}", json.dumps({"a": [1] * (MAX_NODES + 1)})):
        with pytest.raises(DefinitionError):
            tree_of(text, None)


def test_lines_of_json_are_those_of_its_text() -> None:
    document = read(json.dumps({"a": {"b": [1, 2]}}, indent=1))
    assert [document.line(path) for path in ((), ("a",), ("a", "b"), ("a", "b", 1), ("x",))] == [1, 2, 3, 5, 1]
