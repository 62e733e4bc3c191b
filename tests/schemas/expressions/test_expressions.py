# ruff: noqa: E501 - tables of exact messages
"""What expressions refuse, how they fail, and where their semantics are Tandem's own."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions import compile_expression, evaluate_rows, type_name
from tandem.schemas.expressions.kernels import MAX_TEXT

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("b", pa.float64()),
        ("s", pa.string()),
        ("f", pa.bool_()),
        ("t", pa.timestamp("us", "UTC")),
        ("l", pa.timestamp("us")),
        ("d", pa.date32()),
        ("m", pa.decimal128(38, 2)),
        ("y", pa.binary()),
        ("w", pa.time64("us")),
        ("i", pa.int32()),
        ("g", pa.float32()),
    ]
)
FUNCTIONS = (
    "ABS, CAST, CEIL, COALESCE, CONCAT, DATE_TRUNC, EXTRACT, FLOOR, GREATEST, LEAST, LENGTH, LOWER, NULLIF, ROUND, "
    "STARTS_WITH, SUBSTRING, TRIM, UPPER"
)


def batch(**columns: list[Any]) -> pa.RecordBatch:
    fields = [SCHEMA.field(name) for name in columns]
    return pa.RecordBatch.from_pydict(columns, schema=pa.schema(fields))


def message(text: str) -> str:
    with pytest.raises(DefinitionError) as error:
        compile_expression(text, SCHEMA, "where")
    assert error.value.field == "where"
    return error.value.message


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("read_csv('/etc/passwd')", "function READ_CSV"),
        ("read_parquet('x')", "function READ_PARQUET"),
        ("read_text('/etc/passwd')", "function READ_TEXT"),
        ("getenv('HOME')", "function GETENV"),
        ("__import__('os')", "function __IMPORT__"),
        ("getvariable('x')", "function GETVARIABLE"),
        ("error('x')", "function ERROR"),
        ("now()", "function NOW"),
        ("random()", "function RAND"),
        ("uuid()", "function UUID"),
        ("current_timestamp", "function CURRENT_TIMESTAMP"),
        ("regexp_matches(s, '(a+)+$')", "function REGEXP_LIKE"),
        ("s ~ '(a+)+$'", "function REGEXP_LIKE"),
        ("repeat(s, 1000000000)", "function REPEAT"),
        ("list_transform([1], x -> x)", "function TRANSFORM"),
        ("IF(f, 1, 2)", "function IF"),
        ("year(t)", "function YEAR"),
        ("sum(a)", "aggregate function SUM"),
        ("count(*)", "aggregate function COUNT"),
        ("COALESCE(a, max(a))", "aggregate function MAX"),
    ],
)
def test_functions_are_refused_by_name(text: str, name: str) -> None:
    assert message(text) == f"{name} is not allowed in an expression; allowed: {FUNCTIONS}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("(SELECT 1)", "a subquery"),
        ("EXISTS (SELECT 1)", "a subquery"),
        ("a = ANY (SELECT 1)", "a subquery"),
        ("row_number() OVER ()", "a window function (OVER)"),
        ("sum(a) OVER (PARTITION BY s)", "a window function (OVER)"),
        ("a; b", "more than one expression (';')"),
        ("*", "'*'"),
        ("?", "a placeholder"),
        (":x", "a placeholder"),
        ("[1, 2]", "a list"),
        ("{'a': 1}", "a struct"),
        ("a[1]", "'[...]'"),
        ("t + INTERVAL 1 DAY", "an INTERVAL"),
        ("TRY_CAST(s AS BIGINT)", "TRY_CAST"),
        ("s LIKE 'a!%' ESCAPE '!'", "LIKE ... ESCAPE"),
        ("a // 2", "'//'"),
        ("a & 1", "BitwiseAnd ('a & 1')"),
        ("s SIMILAR TO 'a'", "SimilarTo (\"s SIMILAR TO 'a'\")"),
        ("__import__('os').system('x')", "Dot (\"__IMPORT__('os').system('x')\")"),
    ],
)
def test_everything_else_that_is_not_on_the_list_is_refused(text: str, name: str) -> None:
    assert message(text) == f"{name} is not allowed in an expression"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a IN (SELECT 1)", "a subquery is not allowed; IN takes a list of values"),
        ("a IN ((SELECT 1))", "a subquery is not allowed; IN takes a list of values"),
        ("t.a", "'t.a' has a dot; write just the field's name"),
        ("", "an empty expression"),
        ("SELECT a", "not an expression: can't read 'SELECT a' at column 6, near 'SELECT'"),
        ("DROP TABLE x", "not an expression: can't read 'DROP TABLE x' at column 4, near 'DROP'"),
        ("a AS b", "not an expression: can't read 'a AS b' at column 4, near 'AS'"),
        ("a =", "not an expression: can't read 'a =' at column 3, near '='"),
        ("'abc", 'not an expression: can\'t read "\'abc"'),
        ("amount", "unknown column 'amount'; allowed: a, b, s, f, t, l, d, m, y, w, i, g"),
        ("A", "unknown column 'A'; did you mean 'a'? allowed: a, b, s, f, t, l, d, m, y, w, i, g"),
        ("a + s", "'+' needs a number: s is varchar"),
        ("t - t", "'-' needs a number: t is timestamp"),
        ("w + 1", "'+' needs a number: w is time"),
        ("s || a", "'||' needs a varchar: a is bigint"),
        ("y || y", "'||' needs a varchar: y is binary"),
        ("NOT a", "NOT needs a boolean: a is bigint"),
        ("a AND f", "AND needs a boolean: a is bigint"),
        ("f OR 1", "OR needs a boolean: 1 is bigint"),
        ("CASE WHEN a THEN 1 END", "WHEN needs a boolean: a is bigint"),
        ("a = s", "'=' needs values of one type: a is bigint, s is varchar; convert one with CAST"),
        ("f > 1", "'>' needs values of one type: f is boolean, 1 is bigint; convert one with CAST"),
        ("l = t", "'=' needs values of one type: l is local timestamp, t is timestamp; convert one with CAST"),
        ("d > t", "'>' needs values of one type: d is date, t is timestamp; convert one with CAST"),
        ("t > '2013-01-01'", "'>' needs values of one type: t is timestamp, '2013-01-01' is varchar; write TIMESTAMP '2013-01-01'"),
        ("'2013-01-01' = d", "'=' needs values of one type: '2013-01-01' is varchar, d is date; write DATE '2013-01-01'"),
        ("a IN (1, 'x')", "IN needs values of one type: a is bigint, 'x' is varchar; convert one with CAST"),
        ("COALESCE(a, s)", "COALESCE needs values of one type: a is bigint, s is varchar; convert one with CAST"),
        ("CASE WHEN f THEN 1 ELSE 'x' END", "CASE needs values of one type: 1 is bigint, 'x' is varchar; convert one with CAST"),
        ("a IN ()", "IN takes a list of values: 'a IN ()'"),
        ("f IS a", "IS takes NULL, TRUE or FALSE: 'f IS a'"),
        ("s LIKE s", "LIKE takes a text in quotes, not s"),
        ("STARTS_WITH(s, s)", "STARTS_WITH takes a text in quotes, not s"),
        ("SUBSTRING(s, 0)", "SUBSTRING's start takes a whole number from 1 to 2147483648: 0"),
        ("ROUND(b, a)", "ROUND takes a whole number from -15 to 15: a"),
        ("EXTRACT(timezone FROM t)", "EXTRACT of 'timezone' is not allowed; it takes year, quarter, month, week, day, dow, doy, hour, minute, second, epoch"),
        ("EXTRACT(hour FROM d)", "EXTRACT(HOUR ...) needs a timestamp: d is date"),
        ("EXTRACT(year FROM s)", "EXTRACT needs a date or timestamp: s is varchar"),
        ("DATE_TRUNC('century', t)", "DATE_TRUNC to 'century' is not allowed; it takes year, quarter, month, week, day, hour, minute, second"),
        ("CAST(a AS INTEGER)", "CAST to INT is not allowed; it takes BIGINT, DOUBLE, VARCHAR, BOOLEAN, DATE and TIMESTAMP"),
        ("CAST(a AS INTEGER[])", "'expressions' of DataType ('INT[]') is not allowed in 'INT[]'"),
        ("CAST(b AS VARCHAR)", "b is double and can't be cast to varchar; the text of a float isn't defined by SQL, cast it to BIGINT first"),
        ("CAST(t AS BIGINT)", "t is timestamp and can't be cast to bigint"),
        ("s COLLATE nocase", f"function COLLATE is not allowed in an expression; allowed: {FUNCTIONS}"),
        ("99999999999999999999", "99999999999999999999 is out of range; integers have 64 bits"),
        ("1e999", "1e999 is out of range; floats have 64 bits"),
        ("a + (9223372036854775807 + 1)", "(9223372036854775807 + 1): overflow"),
        ("CAST('x' AS BIGINT)", "CAST('x' AS BIGINT): Failed to parse string: 'x' as a scalar of type int64"),
        ("DATE '2013-02-30'", "CAST('2013-02-30' AS DATE): Failed to parse string: '2013-02-30' as a scalar of type date32[day]"),
        ("m * m", None),
        ("m * m * m", "(m * m) would need 77 digits; decimals have at most 76, CAST one side to DOUBLE"),
        ("NULL", "'NULL' is always NULL; write CAST(NULL AS ...) for a typed one"),
    ],
)  # fmt: skip
def test_messages(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(DefinitionError, match="digits; decimals have at most 76"):
            compile_expression(text, SCHEMA, "where")
    else:
        assert message(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("(" * 100 + "a" + ")" * 100, id="brackets"),
        pytest.param("(" * 5000, id="open brackets"),
        pytest.param("- " * 4000 + "a", id="signs"),
        pytest.param("NOT " * 2000 + "f", id="not"),
        pytest.param("lower(" * 50 + "s" + ")" * 50, id="functions"),
        pytest.param("CASE WHEN f THEN " * 100 + "1" + " END" * 100, id="case"),
        pytest.param("a IN (" * 100 + "1" + ")" * 100, id="in"),
        pytest.param("[" * 100, id="lists"),
    ],
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert message(text) == "nested too deeply; at most 24 levels"


def test_long_chains_are_refused() -> None:
    expected = "more than 100 operations deep; write IN (...) for a long chain of OR"
    assert message(" OR ".join(["f"] * 2000)) == expected
    assert message(" + ".join(["a"] * 500)) == expected


def test_long_texts_are_refused() -> None:
    assert message("a" * 10_001) == "10,001 characters; at most 10,000"


def test_the_deepest_allowed_expression_compiles_and_runs_from_a_deep_stack() -> None:
    text = "COALESCE(" * 24 + "a" + ", 1)" * 24 + " + 1" * 70

    def deep(levels: int) -> pa.Array:
        if levels:
            return deep(levels - 1)
        return compile_expression(text, SCHEMA, "derive.x").evaluate(batch(a=[1, None]))

    assert deep(sys.getrecursionlimit() // 2).to_pylist() == [71, 71]


@pytest.mark.parametrize(
    ("text", "columns", "kind"),
    [
        ("a + i", ("a", "i"), pa.int64()),
        ("i", ("i",), pa.int64()),
        ("g * 2", ("g",), pa.float64()),
        ("b > 1 AND s = 'x' OR s IS NULL", ("b", "s"), pa.bool_()),
        ("DATE_TRUNC('hour', t)", ("t",), pa.timestamp("us", "UTC")),
        ("DATE_TRUNC('hour', l)", ("l",), pa.timestamp("us")),
        ("TIMESTAMP '2013-01-31 10:00:00'", (), pa.timestamp("us", "UTC")),
        ("CASE WHEN f THEN 1 END", ("f",), pa.int64()),
        ("CASE WHEN f THEN 1 ELSE 2.5 END", ("f",), pa.float64()),
        ("CAST(NULL AS VARCHAR)", (), pa.string()),
        ("y", ("y",), pa.binary()),
        ('"a" = 1', ("a",), pa.bool_()),
    ],
)
def test_columns_and_type(text: str, columns: tuple[str, ...], kind: pa.DataType) -> None:
    expression = compile_expression(text, SCHEMA, "derive.x")
    assert expression.columns == columns
    assert expression.type == kind
    empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in SCHEMA], schema=SCHEMA)
    assert expression.evaluate(empty).type == kind


def test_constants_fill_every_row() -> None:
    assert compile_expression("1 = 1", SCHEMA, "where").evaluate(batch(a=[1, 2])).to_pylist() == [True, True]


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        pytest.param("a % 0", {"a": [7]}, [None], id="integer modulo zero is NULL"),
        pytest.param("a + 1", {"a": [2**53]}, [2**53 + 1], id="integers stay exact"),
        pytest.param("i * i", {"i": [2**31 - 1]}, [(2**31 - 1) ** 2], id="32-bit integers are computed with 64 bits"),
        pytest.param("g = 0.1", {"g": [0.1]}, [False], id="32-bit floats are computed with 64 bits"),
        pytest.param("a + 1.5", {"a": [1]}, [2.5], id="a literal with a point is a double"),
        pytest.param("CAST(s AS TIMESTAMP) = TIMESTAMP '2024-01-01 03:00:00'", {"s": ["2024-01-01T05:00:00+02:00"]}, [True], id="offsets count"),
        pytest.param("l = TIMESTAMP '1970-01-01 00:00:00'", {"l": [0]}, [True], id="literal takes the local type"),
        pytest.param("t = DATE '1970-01-01'", {"t": [0]}, [True], id="date literal takes the timestamp's type"),
        pytest.param("w = w", {"w": [1]}, [True], id="times compare"),
        pytest.param("y < y", {"y": [b"\x00"]}, [False], id="bytes compare"),
        pytest.param("s LIKE 'a\\%'", {"s": ["a\\b", "a%"]}, [True, False], id="a backslash is a character"),
    ],
)  # fmt: skip
def test_semantics_of_our_own(text: str, columns: dict[str, list[Any]], values: list[Any]) -> None:
    assert compile_expression(text, SCHEMA, "derive.x").evaluate(batch(**columns)).to_pylist() == values


def test_branches_are_computed_only_for_the_rows_that_take_them() -> None:
    events = batch(a=[1, 2**62, None, 3], s=["5", "x", None, "y"])
    guarded = compile_expression("CASE WHEN a < 10 THEN a * 4 ELSE -1 END", SCHEMA, "derive.x")
    assert guarded.evaluate(events).to_pylist() == [4, -1, -1, 12]
    first = compile_expression("COALESCE(a, CAST(s AS BIGINT))", SCHEMA, "derive.x")
    assert first.evaluate(batch(a=[1, None, None], s=["x", "5", None])).to_pylist() == [1, 5, None]


@pytest.mark.parametrize(
    ("text", "columns", "values", "failed"),
    [
        pytest.param(
            "a + 1",
            {"a": [1, 2**63 - 1, None]},
            [2, None, None],
            {1: "derive.x: integer overflow"},
            id="overflow",
        ),
        pytest.param("-a", {"a": [-(2**63), 1]}, [None, -1], {0: "derive.x: integer overflow"}, id="negation"),
        pytest.param("ABS(a)", {"a": [-(2**63)]}, [None], {0: "derive.x: integer overflow"}, id="the only row"),
        pytest.param(
            "CAST(s AS BIGINT)",
            {"s": ["1", "x\ny", None, ""]},
            [1, None, None, None],
            {
                1: "derive.x: Failed to parse string: 'x y' as a scalar of type int64",
                3: "derive.x: Failed to parse string: '' as a scalar of type int64",
            },
            id="cast",
        ),
        pytest.param(
            "CAST(b AS BIGINT)",
            {"b": [1.5, float("nan"), 1e300]},
            [2, None, None],
            {
                1: "derive.x: Float value nan was truncated converting to int64",
                2: "derive.x: Float value 1000000",
            },
            id="float",
        ),
        pytest.param("a", {"a": []}, [], {}, id="no rows"),
    ],
)
def test_rows_that_fail(text: str, columns: dict[str, list[Any]], values: list[Any], failed: dict[int, str]) -> None:
    got, reasons = evaluate_rows(compile_expression(text, SCHEMA, "derive.x"), batch(**columns))
    assert got.to_pylist() == values
    assert reasons.keys() == failed.keys()
    assert all(reasons[row].startswith(reason) for row, reason in failed.items())


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.just("x"), st.none(), st.integers(-5, 5).map(str)), max_size=40))
def test_failing_rows_are_exactly_the_bad_ones(texts: list[str | None]) -> None:
    values, failed = evaluate_rows(compile_expression("CAST(s AS BIGINT)", SCHEMA, "e"), batch(s=texts))
    assert sorted(failed) == [row for row, text in enumerate(texts) if text == "x"]
    assert values.to_pylist() == [None if text in (None, "x") else int(text) for text in texts]


def test_texts_cannot_be_doubled_without_bound() -> None:
    expression = compile_expression("s || s", SCHEMA, "derive.x")
    values, failed = evaluate_rows(expression, batch(s=["a", "x" * MAX_TEXT, "x" * (MAX_TEXT // 2)]))
    assert failed == {1: "derive.x: a text of 2,097,152 bytes; at most 1,048,576 can be built"}
    assert [len(text or "") for text in values.to_pylist()] == [2, 0, MAX_TEXT]


def test_slices_are_evaluated_as_what_they_show() -> None:
    events = batch(a=[1, 2, 3, 4], s=["a", "b", None, "d"]).slice(1, 2)
    expression = compile_expression("CASE WHEN a > 2 THEN COALESCE(s, 'none') ELSE s || '!' END", SCHEMA, "e")
    assert expression.evaluate(events).to_pylist() == ["b!", "none"]


def test_expressions_are_pickled_as_their_text() -> None:
    expression = pickle.loads(pickle.dumps(compile_expression("a * 2", SCHEMA, "derive.x")))
    assert expression.evaluate(batch(a=[21])).to_pylist() == [42]


def test_concat_keeps_rows_of_nulls() -> None:
    # Arrow's null_handling="skip" leaves such rows out
    expression = compile_expression("CONCAT(s, s)", SCHEMA, "e")
    assert expression.evaluate(batch(s=["a", None, "b"])).to_pylist() == ["aa", "", "bb"]


def test_a_long_list_is_fast_enough_to_be_the_way_out_of_long_chains() -> None:
    values = ", ".join(str(value) for value in range(0, 3000, 2))
    expression = compile_expression(f"a IN ({values})", SCHEMA, "where")
    assert sum(expression.evaluate(batch(a=np.arange(4000).tolist())).to_pylist()) == 1500


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.int32(), "bigint"),
        (pa.float32(), "double"),
        (pa.timestamp("us", "UTC"), "timestamp"),
        (pa.timestamp("us"), "local timestamp"),
        (pa.decimal128(9, 2), "decimal(9, 2)"),
        (pa.binary(4), "binary"),
        (pa.time32("ms"), "time"),
    ],
)
def test_type_names(kind: pa.DataType, name: str) -> None:
    assert type_name(kind) == name


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        pytest.param("CAST(s AS DATE)", ["0001-01-01", "9999-12-31"], ["0000-12-31"], id="date"),
        pytest.param(
            "CAST(s AS TIMESTAMP)",
            ["0001-01-01T00:00:00Z", "9999-12-31 23:59:59.999999"],
            ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "0000-06-01"],
            id="timestamp",
        ),
    ],
)
def test_a_text_becomes_a_time_only_within_the_years_that_can_be_shown(
    text: str, good: list[str], bad: list[str]
) -> None:
    expression = compile_expression(text, SCHEMA, "derive.x")
    values, failed = evaluate_rows(expression, batch(s=good + bad))
    assert sorted(failed) == list(range(len(good), len(good) + len(bad)))
    assert all("outside the years 1 to 9999" in reason for reason in failed.values())
    assert [value.year for value in values.to_pylist()[: len(good)]] == [1, 9999]
    for one in bad:
        assert "outside the years 1 to 9999" in message(text.replace("s AS", f"'{one}' AS"))
