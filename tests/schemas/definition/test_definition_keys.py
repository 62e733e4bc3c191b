# ruff: noqa: E501 - tables of exact messages
"""Canonical keys: one text for one value, and what users write for them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.errors import UserError
from tandem.schemas.keys import KEY_DICTIONARY, is_key_type, key_dictionary, key_texts, parse_key

UTC = pa.timestamp("us", "UTC")
SECOND = 1_000_000


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        ([1, -5, None, 2**63 - 1], pa.int64(), ["[1]", "[-5]", "[null]", "[9223372036854775807]"]),
        ([7], pa.int32(), ["[7]"]),
        ([True, False, None], pa.bool_(), ["[true]", "[false]", "[null]"]),
        (["a", "", None, "null"], pa.string(), ['["a"]', '[""]', "[null]", '["null"]']),
        (['"', "\\", "a\nb", "\x01", "é🎉", "/", "\x7f"], pa.string(),
         ['["\\""]', '["\\\\"]', '["a\\nb"]', '["\\u0001"]', '["é🎉"]', '["/"]', '["\x7f"]']),
        ([0, None], pa.date32(), ['["1970-01-01"]', "[null]"]),
        ([0, -1, 1_359_651_900 * SECOND, 1_500_000, None], UTC,
         ['["1970-01-01T00:00:00Z"]', '["1969-12-31T23:59:59.999999Z"]', '["2013-01-31T17:05:00Z"]',
          '["1970-01-01T00:00:01.5Z"]', "[null]"]),
        ([0, 10 * SECOND], pa.timestamp("us"), ['["1970-01-01T00:00:00"]', '["1970-01-01T00:00:10"]']),
    ],
    ids=str,
)  # fmt: skip
def test_texts(values: list[Any], kind: pa.DataType, texts: list[str]) -> None:
    assert key_texts([pa.array(values, kind)], len(values)).to_pylist() == texts


def test_several_columns_and_none() -> None:
    columns = [pa.array(["JFK", None]), pa.array([1, 2]), pa.array([None, True])]
    assert key_texts(columns, 2).to_pylist() == ['["JFK",1,null]', "[null,2,true]"]
    assert key_texts([], 3).to_pylist() == ["[]"] * 3
    assert key_texts([pa.array([], pa.string())], 0).to_pylist() == []


@pytest.mark.parametrize("different", [1, 7, 900, 1_100, 4_000])
def test_texts_are_the_same_however_many_keys_a_batch_has(different: int) -> None:
    numbers = [None if row % 13 == 0 else row % different for row in range(5_000)]
    words = [None if row % 11 == 0 else f'"{row % different}"' for row in range(5_000)]
    texts = key_texts([pa.array(numbers, pa.int32()), pa.array(words, pa.string())], 5_000).to_pylist()
    assert texts == [json.dumps(pair, separators=(",", ":")) for pair in zip(numbers, words, strict=True)]


@settings(derandomize=True, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(alphabet=st.characters(exclude_categories=["Cs"]))),
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        ),
        min_size=1,
    )
)
def test_texts_are_compact_json_and_read_back(rows: list[tuple[str | None, int | None]]) -> None:
    columns = [
        pa.array([row[0] for row in rows], pa.string()),
        pa.array([row[1] for row in rows], pa.int64()),
    ]
    texts = key_texts(columns, len(rows)).to_pylist()
    assert [tuple(json.loads(text)) for text in texts] == rows
    assert texts == [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    fields = [pa.field("s", pa.string()), pa.field("i", pa.int64())]
    assert [parse_key(fields, text) for text in texts] == texts


@settings(derandomize=True, max_examples=60)
@given(st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)))
def test_texts_of_timestamps_read_back(moment: dt.datetime) -> None:
    text = key_texts([pa.array([moment.replace(tzinfo=dt.UTC)], UTC)], 1)[0].as_py()
    assert dt.datetime.fromisoformat(json.loads(text)[0]) == moment.replace(tzinfo=dt.UTC)
    assert parse_key([pa.field("t", UTC)], text) == text


def test_types_of_keys() -> None:
    assert all(is_key_type(kind) for kind in (pa.bool_(), pa.int32(), pa.int64(), pa.string(), pa.date32(), UTC))
    assert not any(is_key_type(kind) for kind in (pa.float64(), pa.binary(), pa.decimal128(9, 2), pa.time64("us")))
    with pytest.raises(TypeError, match="a column of type double can't be part of a key"):
        key_texts([pa.array([1.0])], 1)


FIELDS = [pa.field("shop", pa.string()), pa.field("n", pa.int32()), pa.field("day", pa.date32())]


@pytest.mark.parametrize(
    ("fields", "values", "text"),
    [
        pytest.param(FIELDS, "a b,7,2013-01-31", '["a b",7,"2013-01-31"]', id="values"),
        pytest.param(FIELDS, '"a,b",7,2013-01-31', '["a,b",7,"2013-01-31"]', id="comma in quotes"),
        pytest.param(FIELDS, "n=7, day=2013-01-31,shop=x=y", '["x=y",7,"2013-01-31"]', id="names"),
        pytest.param(FIELDS, ["null", "007", "2013-01-31"], '["null",7,"2013-01-31"]', id="texts are never null"),
        pytest.param(FIELDS, "[null, null, null]", "[null,null,null]", id="JSON null"),
        pytest.param(FIELDS[:1], "a=b", '["a=b"]', id="a value with an equals sign"),
        pytest.param(FIELDS[:1], "", '[""]', id="the empty text"),
        pytest.param([pa.field("b", pa.bool_())], "TRUE", "[true]", id="boolean"),
        pytest.param([pa.field("n", pa.uint64())], f"{2**64 - 1}", f"[{2**64 - 1}]", id="a large number"),
        pytest.param(FIELDS[:1], ['"\\\u00e9\x7f\n'], '["\\"\\\\\u00e9\x7f\\n"]', id="what JSON escapes, and what not"),
        pytest.param([pa.field("t", UTC)], "2013-01-31 17:05", '["2013-01-31T17:05:00Z"]', id="timestamp"),
        pytest.param([], "", "[]", id="global"),
        pytest.param([], "[]", "[]", id="global as JSON"),
    ],
)
def test_what_users_write(fields: list[pa.Field], values: Any, text: str) -> None:
    assert parse_key(fields, values) == text


@pytest.mark.parametrize(
    ("fields", "values", "message"),
    [
        pytest.param(FIELDS, "a,7", "key 'a,7' has 2 values, the key has 3: shop, n, day", id="few"),
        pytest.param(FIELDS, "a,b,2013-01-31", "key column 'n' is a whole number of 32 bits: 'b' is not", id="number"),
        pytest.param(FIELDS, f"a,{2**31},2013-01-31", f"key column 'n' is a whole number of 32 bits: '{2**31}' is not", id="large"),
        pytest.param(FIELDS, "[1, 2, null]", "key column 'shop' is a text: 1 is not", id="JSON of another type"),
        pytest.param(FIELDS, '["a", true, null]', "key column 'n' is a whole number of 32 bits: True is not", id="boolean"),
        pytest.param(FIELDS, "a,7,31.1.2013", "key column 'day' is a date such as 2013-01-31: '31.1.2013' is not", id="date"),
        pytest.param(FIELDS, "shop=a,n=7", "key 'shop=a,n=7': 'day' is missing; the key is shop, n, day", id="missing"),
        pytest.param(FIELDS, {"shop": "a", "n": "7", "day": "x", "who": "y"},
                     "key {'shop': 'a', 'n': '7', 'day': 'x', 'who': 'y'}: 'who' is not a column of the key; the key is shop, n, day",
                     id="unknown"),
        pytest.param(FIELDS, "shop=a,shop=b,n=1", "key 'shop=a,shop=b,n=1' names a column twice", id="twice"),
        pytest.param(FIELDS, "[1", "key '[1' is not JSON: Expecting ',' delimiter: line 1 column 3 (char 2)", id="not JSON"),
        pytest.param([], "a", "key 'a' has 1 values, the key has 0: empty: all events are under one key", id="global"),
        pytest.param([pa.field("b", pa.bool_())], "1", "key column 'b' is true or false: '1' is not", id="no boolean"),
        pytest.param([pa.field("t", UTC)], "noon", "key column 't' is a timestamp such as 2013-01-31T17:05:00Z: 'noon' is not", id="time"),
    ],
)  # fmt: skip
def test_what_users_get_wrong(fields: list[pa.Field], values: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_key(fields, values)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param([], id="no column"),
        pytest.param([pa.array(["a", None, "a"] * 40)], id="few"),
        pytest.param([pa.array(range(120)), pa.array(["x", "y", None] * 40)], id="as many as rows"),
        pytest.param([pa.array([], pa.string())], id="no rows"),
    ],
)
def test_as_a_dictionary_the_keys_are_the_same(columns: list[pa.Array]) -> None:
    rows = len(columns[0]) if columns else 5
    coded = key_dictionary(columns, rows)
    assert coded.type == KEY_DICTIONARY
    assert coded.to_pylist() == key_texts(columns, rows).to_pylist()
    assert len(coded.dictionary.unique()) == len(coded.dictionary)
