"""The semantics of expressions against DuckDB's, on rows with every awkward value."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.schemas.expressions import compile_expression

SCHEMA = pa.schema(
    [
        pa.field("i", pa.int64()),
        pa.field("j", pa.int32()),
        pa.field("x", pa.float64()),
        pa.field("y", pa.float64()),
        pa.field("s", pa.string()),
        pa.field("t", pa.string()),
        pa.field("b", pa.bool_()),
        pa.field("c", pa.bool_()),
        pa.field("m", pa.decimal128(9, 2)),
        pa.field("d", pa.date32()),
        pa.field("ts", pa.timestamp("us", "UTC")),
    ]
)
NAN, INF = math.nan, math.inf
UTC = dt.UTC
VALUES: dict[str, list[Any]] = {
    "i": [0, 1, -1, 7, -7, 100, None],
    "j": [3, -3, 0, None, 12],
    "x": [0.0, -0.0, 2.5, -2.5, 0.5, 1.005, NAN, INF, -INF, None, 1e15],
    "y": [1.0, NAN, 0.0, None, -3.25, 2.5, INF],
    "s": ["", "a", "Abc", "a%b", "a\\b", "a\nb", "  pad ", "é🎉x", "12", "AB_c", None, "x'y", "\tz"],
    "t": ["a", "b", None, "Abc", "", "é🎉x"],
    "b": [True, False, None],
    "c": [False, None, True, True],
    "m": [Decimal("1.50"), Decimal("-2.25"), None, Decimal("0.00"), Decimal("7.00")],
    "d": [dt.date(2013, 1, 31), dt.date(1969, 12, 31), None, dt.date(2024, 2, 29), dt.date(2023, 1, 1)],
    "ts": [
        dt.datetime(2013, 1, 31, 17, 5, tzinfo=UTC),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        None,
        dt.datetime(2024, 2, 29, 0, 0, 0, 500_000, tzinfo=UTC),
        dt.datetime(2023, 1, 1, tzinfo=UTC),
    ],
}
ROWS = 210
BATCH = pa.RecordBatch.from_arrays(
    [
        pa.array([VALUES[f.name][(r * (k + 1) + r // 7) % len(VALUES[f.name])] for r in range(ROWS)], f.type)
        for k, f in enumerate(SCHEMA)
    ],
    schema=SCHEMA,
)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    # Tandem's timestamps are UTC clocks, DuckDB's zoned ones depend on the session: give it the plain ones
    table = pa.Table.from_batches([BATCH])
    plain = table.set_column(10, "ts", table["ts"].cast(pa.timestamp("us")))
    connection.register("arrow", plain.append_column("row", pa.array(range(ROWS))))
    connection.execute("CREATE TABLE rows AS SELECT * FROM arrow ORDER BY row")
    connection.execute("SET error_on_division_by_zero=false")
    return connection


def comparable(value: Any) -> Any:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def assert_same(database: duckdb.DuckDBPyConnection, text: str) -> None:
    ours = compile_expression(text, SCHEMA, "derive.e").evaluate(BATCH).to_pylist()
    theirs = [row[0] for row in database.execute(f"SELECT ({text}) FROM rows ORDER BY row").fetchall()]
    for row, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        assert comparable(mine) == comparable(other), f"{text} of {BATCH.slice(row, 1).to_pylist()}"


TABLE = """
i = 1 OR j <> 3
x = y
x <> y
x < y
x <= y
x > y
x >= y
x IN (2.5, 0, NULL)
i IN (1, 7, -7)
i NOT IN (1, NULL)
i IN (j, 1)
s IN ('a', 'Abc')
b IN (TRUE)
d IN (DATE '2024-02-29')
ts IN (TIMESTAMP '2023-01-01 00:00:00')
i BETWEEN j AND 100
i NOT BETWEEN 0 AND 7
NOT b AND c
b OR NOT c
b = c
b < c
b IS TRUE
b IS NOT TRUE
b IS NOT FALSE
s IS NULL
s IS NOT NULL
i + j
i - j * 2
-i
- (i + 1)
i / j
i / 0
x / y
x / 0
i % j
i % 0
x % y
-7 % 3
i % -3
x + i
x * y - 1.5
m + 1
m * 2
m - 0.25
m * m
m + x
m = 1.5
m > i
m / 2
-m
ABS(m)
ABS(i - 3)
ABS(x)
ROUND(x)
ROUND(x, 2)
ROUND(x, -1)
ROUND(y * 1.37, 1)
ROUND(i)
FLOOR(x)
CEIL(x)
CEILING(y)
FLOOR(i)
LEAST(x, y)
GREATEST(x, y)
LEAST(i, j, 5)
GREATEST(s, t)
LEAST(b, c)
COALESCE(s, t, 'none')
COALESCE(i, x)
COALESCE(CAST(NULL AS BIGINT), j)
NULLIF(i, 7)
NULLIF(x, y)
NULLIF(s, '')
CASE WHEN b THEN i WHEN c THEN j ELSE -1 END
CASE WHEN b THEN 'yes' WHEN c THEN NULL END
CASE i WHEN 1 THEN 'one' WHEN 7 THEN 'seven' ELSE 'many' END
CASE WHEN i > 3 THEN x ELSE j END
CASE WHEN s = '12' THEN CAST(s AS BIGINT) ELSE -1 END
COALESCE(i, CASE WHEN s = '12' THEN CAST(s AS BIGINT) END, 0)
s LIKE 'a%'
s LIKE '%b'
s LIKE 'a_b'
s LIKE 'a\\b'
s LIKE '%\\%'
s LIKE 'AB\\_c'
s LIKE ''
s LIKE '%'
s LIKE '_'
s NOT LIKE 'a%'
s ILIKE 'aB%'
s NOT ILIKE '%C'
s LIKE '%.%'
s LIKE '_🎉_'
s || t
s || 'x' || t
CONCAT(s, t)
CONCAT(s, '-', t)
LOWER(s)
UPPER(t)
TRIM(s)
TRIM(s, 'a ')
LTRIM(s)
RTRIM(s, 'b')
TRIM(LEADING ' ' FROM s)
LENGTH(s)
SUBSTRING(s, 1, 2)
SUBSTRING(s, 2)
SUBSTRING(s FROM 2 FOR 1)
SUBSTRING(s, 5, 0)
STARTS_WITH(s, 'a')
STARTS_WITH(s, '')
s = 'x''y'
s < t
EXTRACT(year FROM ts)
EXTRACT(quarter FROM ts)
EXTRACT(month FROM d)
EXTRACT(week FROM d)
EXTRACT(day FROM ts)
EXTRACT(dow FROM ts)
EXTRACT(doy FROM d)
EXTRACT(hour FROM ts)
EXTRACT(minute FROM ts)
EXTRACT(second FROM ts)
EXTRACT(epoch FROM ts)
EXTRACT(epoch FROM d)
DATE_TRUNC('second', ts)
DATE_TRUNC('minute', ts)
DATE_TRUNC('hour', ts)
DATE_TRUNC('day', ts)
DATE_TRUNC('week', ts)
DATE_TRUNC('month', ts)
DATE_TRUNC('quarter', ts)
DATE_TRUNC('year', ts)
ts >= TIMESTAMP '2013-01-31 17:05:00'
ts > DATE '2013-01-01'
d = DATE '2024-02-29'
d BETWEEN DATE '1969-01-01' AND DATE '2023-01-01'
CAST(ts AS DATE)
CAST(ts AS DATE) = d
CAST(d AS TIMESTAMP)
CAST(ts AS VARCHAR)
CAST(d AS VARCHAR)
CAST(i AS VARCHAR)
CAST(b AS VARCHAR)
CAST(m AS VARCHAR)
CAST(b AS BIGINT)
CAST(b AS DOUBLE)
CAST(i AS BOOLEAN)
CAST(i AS DOUBLE)
CAST(m AS BIGINT)
CAST(m AS DOUBLE)
CAST(NULLIF(y, NULLIF(y, 2.5)) AS BIGINT)
CAST(CASE WHEN ABS(x) < 1000 THEN x END AS BIGINT)
CAST(x AS BOOLEAN)
CAST('2024-01-01T05:00:00Z' AS TIMESTAMP)
CAST('2024-01-01 05:00:00.25' AS TIMESTAMP)
i = 1 AND x > 0.5 OR s IS NULL
1 = 1
NULL IS NULL
i = NULL
IFNULL(i, 3)
"""


@pytest.mark.parametrize("text", [pytest.param(t, id=t) for t in TABLE.strip().splitlines()])
def test_same_as_duckdb(database: duckdb.DuckDBPyConnection, text: str) -> None:
    assert_same(database, text)


def _trees() -> st.SearchStrategy[str]:
    ints = st.sampled_from(["i", "j", "0", "1", "-3", "50"])
    floats = st.sampled_from(["x", "y", "CAST(0.5 AS DOUBLE)", "CAST(i AS DOUBLE)"])
    texts = st.sampled_from(["s", "t", "'a'", "''", "'Abc'"])
    flags = st.sampled_from(["b", "c", "TRUE", "CAST(NULL AS BOOLEAN)"])

    def pair(form: str, *sides: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(*sides).map(lambda values: form.format(*values))

    for _ in range(2):
        old = ints, floats, texts, flags
        ints = st.one_of(
            old[0],
            pair("({} + {})", old[0], old[0]),
            pair("({} * {})", old[0], old[0]),
            pair("({} % {})", old[0], old[0]),
            pair("LENGTH({})", old[2]),
            pair("CASE WHEN {} THEN {} ELSE {} END", old[3], old[0], old[0]),
            pair("LEAST({}, {})", old[0], old[0]),
        )
        floats = st.one_of(
            old[1],
            pair("({} - {})", old[1], old[1]),
            pair("({} / {})", old[1], old[0]),
            pair("GREATEST({}, {})", old[1], old[1]),
            pair("COALESCE({}, {})", old[1], old[1]),
            pair("FLOOR({})", old[1]),
        )
        texts = st.one_of(
            old[2],
            pair("({} || {})", old[2], old[2]),
            pair("CONCAT({}, {})", old[2], old[2]),
            pair("UPPER({})", old[2]),
            pair("NULLIF({}, {})", old[2], old[2]),
            pair("CAST({} AS VARCHAR)", old[0]),
        )
        flags = st.one_of(
            old[3],
            pair("({} AND {})", old[3], old[3]),
            pair("({} OR {})", old[3], old[3]),
            pair("(NOT {})", old[3]),
            pair("({} <= {})", old[1], old[1]),
            pair("({} = {})", old[1], old[0]),
            pair("({} IN ({}, {}))", old[0], old[0], old[0]),
            pair("({} < {})", old[2], old[2]),
            pair("({} IS NULL)", old[2]),
            pair("({} BETWEEN {} AND {})", old[0], old[0], old[1]),
        )
    return st.one_of(ints, floats, texts, flags)


def test_trim_takes_all_spaces_of_unicode(database: duckdb.DuckDBPyConnection) -> None:
    assert_same(database, "TRIM('\u00a0\u3000x\u2003 \u1680')")
    assert_same(database, "TRIM('\t\u200bx\n')")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=_trees())
def test_random_expressions_are_the_same_as_duckdbs(database: duckdb.DuckDBPyConnection, text: str) -> None:
    assert_same(database, text)
