"""Building measures from a definition's YAML, and every way in which that is refused."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tandem.schemas import columns
from tandem.schemas.errors import DefinitionError
from tandem.schemas.measures import MEASURES, Measure, build, identity
from tandem.schemas.measures.distinct import Distinct
from tandem.schemas.measures.ends import First, Last
from tandem.schemas.measures.extremes import Max, Min
from tandem.schemas.measures.moments.count import Count
from tandem.schemas.measures.moments.mean import Mean
from tandem.schemas.measures.moments.sum import Sum
from tandem.schemas.measures.moments.variance import Stddev, Variance
from tandem.schemas.measures.sketches.approx_distinct import ApproxDistinct
from tandem.schemas.measures.sketches.heavy_hitters import ApproxTopK
from tandem.schemas.measures.sketches.quantiles import Quantiles
from tandem.schemas.measures.top_k import TopKCount, TopKSum

SCHEMA = pa.schema(
    [
        ("page", pa.dictionary(pa.int32(), pa.large_string())),
        ("price", pa.float32()),
        ("amount", pa.int64()),
        ("cost", pa.decimal128(10, 2)),
        ("paid", pa.bool_()),
        ("tags", pa.list_(pa.string())),
        (columns.TIME, pa.int64()),
        (columns.ID, pa.string()),
    ]
)
TEXT = pa.string()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("count", Count(), id="count"),
        pytest.param({"count": None}, Count(), id="count with nothing behind it"),
        pytest.param({"count": "tags"}, Count("tags"), id="count of any column"),
        pytest.param({"sum": "price"}, Sum("price", pa.float32()), id="sum"),
        pytest.param({"sum": "cost"}, Sum("cost", pa.decimal128(10, 2)), id="sum of decimals"),
        pytest.param({"min": "page"}, Min("page", TEXT), id="min"),
        pytest.param({"max": "paid"}, Max("paid", pa.bool_()), id="max"),
        pytest.param({"mean": "amount"}, Mean("amount", pa.int64()), id="mean"),
        pytest.param({"variance": "amount"}, Variance("amount", pa.int64()), id="variance"),
        pytest.param(
            {"population": True, "variance": "amount"},
            Variance("amount", pa.int64(), True),
            id="parameters in any order",
        ),
        pytest.param({"stddev": "price", "population": True}, Stddev("price", pa.float32(), True), id="stddev"),
        pytest.param({"distinct": "page"}, Distinct("page", TEXT), id="distinct"),
        pytest.param({"approx_distinct": "page"}, ApproxDistinct("page", TEXT), id="approx_distinct"),
        pytest.param(
            {"approx_distinct": "page", "error": 0.1},
            ApproxDistinct("page", TEXT, 0.1),
            id="approx_distinct with error",
        ),
        pytest.param({"quantiles": "price"}, Quantiles("price", pa.float32()), id="quantiles"),
        pytest.param(
            {"quantiles": "price", "at": [1, 0.5], "error": 0.02},
            Quantiles("price", pa.float32(), (1.0, 0.5), 0.02),
            id="quantiles with parameters",
        ),
        pytest.param({"top_k": "page"}, TopKCount("page", TEXT), id="top_k"),
        pytest.param({"top_k": "page", "k": 3, "by": "count"}, TopKCount("page", TEXT, 3), id="top_k by count"),
        pytest.param(
            {"top_k": "page", "by": {"sum": "amount"}, "exact": True},
            TopKSum("page", TEXT, by=Sum("amount", pa.int64())),
            id="top_k by sum",
        ),
        pytest.param({"top_k": "page", "capacity": 50}, ApproxTopK("page", TEXT, 10, 50), id="bounded top_k"),
        pytest.param(
            {"top_k": "page", "exact": False, "k": 2000},
            ApproxTopK("page", TEXT, 2000, 2000),
            id="bounded by default",
        ),
        pytest.param({"first": "page"}, First("page", TEXT, TEXT), id="first"),
        pytest.param({"last": "amount"}, Last("amount", pa.int64(), TEXT), id="last"),
        pytest.param({"max": columns.TIME}, Max(columns.TIME, pa.int64()), id="a column of Tandem's own"),
    ],
)
def test_build(spec: object, expected: Measure) -> None:
    measure = build("m", spec, SCHEMA)
    assert measure == expected
    assert type(measure) is type(expected)
    assert measure.kind in MEASURES
    assert len(identity(measure, 2)) == 2
    assert set(measure.inputs) <= set(SCHEMA.names)


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        pytest.param("cuont", "", ["unknown measure cuont", "did you mean count?", "quantiles"], id="misspelt word"),
        pytest.param({"summ": "price"}, "", ["unknown measure summ", "did you mean sum?"], id="misspelt measure"),
        pytest.param({"zzz": "price"}, "", ["unknown measure zzz;", "measures: count, sum"], id="nothing close"),
        pytest.param("sum", "", ["sum needs a column", "{sum: COLUMN}"], id="no column"),
        pytest.param(None, "", ["None is not a measure"], id="nothing"),
        pytest.param({}, "", ["{} is not a measure"], id="empty"),
        pytest.param(["count"], "", ["['count'] is not a measure"], id="list"),
        pytest.param({"min": "price", "max": "price"}, "", ["min and max under one name"], id="two measures"),
        pytest.param(
            {"sum": "prise"},
            ".sum",
            ["unknown column prise", "did you mean price?", "page, price"],
            id="column",
        ),
        pytest.param({"count": "nope"}, ".count", ["unknown column nope; columns: page"], id="count's column"),
        pytest.param({"sum": None}, ".sum", ["None is not a column", "{sum: COLUMN}"], id="null column"),
        pytest.param({"min": ["price"]}, ".min", ["['price'] is not a column"], id="list as column"),
        pytest.param({"sum": "paid"}, ".sum", ["column paid has type bool", "sum needs an integer"], id="sum of bool"),
        pytest.param({"mean": "page"}, ".mean", ["column page has type dictionary"], id="mean of text"),
        pytest.param({"quantiles": "page"}, ".quantiles", ["quantiles needs an integer"], id="quantiles of text"),
        pytest.param({"distinct": "tags"}, ".distinct", ["type list", "plain values"], id="distinct lists"),
        pytest.param({"sum": "price", "error": 1}, ".error", ["unknown parameter error", "no parameters"], id="extra"),
        pytest.param({"variance": "price", "poplation": True}, ".poplation", ["did you mean population?"], id="typo"),
        pytest.param({"variance": "price", "population": 1}, ".population", ["1 is not allowed; true or"], id="flag"),
        pytest.param(
            {"approx_distinct": "page", "error": 0},
            ".error",
            ["0 is not allowed", "0.001 to 0.5"],
            id="error 0",
        ),
        pytest.param({"approx_distinct": "page", "error": True}, ".error", ["True is not allowed"], id="error true"),
        pytest.param({"quantiles": "price", "error": "1%"}, ".error", ["'1%' is not allowed"], id="error as text"),
        pytest.param({"quantiles": "price", "error": float("nan")}, ".error", ["nan is not allowed"], id="error NaN"),
        pytest.param({"quantiles": "price", "at": 0.5}, ".at", ["0.5 is not allowed; a list"], id="at without list"),
        pytest.param({"quantiles": "price", "at": []}, ".at", ["[] is not allowed"], id="at empty"),
        pytest.param({"quantiles": "price", "at": [50]}, ".at", ["50 is not allowed", "0 to 1"], id="at in percent"),
        pytest.param({"quantiles": "price", "at": [1, 1.0]}, ".at", ["a number twice"], id="at twice"),
        pytest.param({"top_k": "page", "k": 0}, ".k", ["0 is not allowed; an integer from 1"], id="k 0"),
        pytest.param({"top_k": "page", "k": 2.5}, ".k", ["2.5 is not allowed"], id="k fraction"),
        pytest.param({"top_k": "page", "by": "sum"}, ".by", ["'sum' is not allowed; count or {sum: COLUMN}"], id="by"),
        pytest.param({"top_k": "page", "by": {"sum": "paid"}}, ".by.sum", ["type bool"], id="by sum of bool"),
        pytest.param(
            {"top_k": "page", "by": {"sum": "nope"}},
            ".by.sum",
            ["unknown column nope"],
            id="by sum of nothing",
        ),
        pytest.param({"top_k": "page", "exact": True, "capacity": 9}, ".capacity", ["exact is true"], id="both"),
        pytest.param(
            {"top_k": "page", "capacity": 9},
            ".capacity",
            ["9 is not allowed", "from 10"],
            id="capacity below k",
        ),
        pytest.param(
            {"top_k": "page", "capacity": 99, "by": {"sum": "amount"}},
            ".by",
            ["by count only"],
            id="bounded by sum",
        ),
    ],
)
def test_what_is_refused(spec: object, field: str, words: list[str]) -> None:
    with pytest.raises(DefinitionError) as caught:
        build("views", spec, SCHEMA)
    assert caught.value.field == f"measures.views{field}"
    assert [word for word in words if word not in caught.value.message] == []
    assert "\n" not in str(caught.value)
    assert columns.TIME not in caught.value.message


def test_ends_need_time_and_id() -> None:
    with pytest.raises(DefinitionError, match="column __time is missing; first orders events"):
        build("m", {"first": "x"}, pa.schema([("x", pa.int64())]))


def test_a_column_that_is_there_twice() -> None:
    with pytest.raises(DefinitionError, match="column x is there 2 times"):
        build("m", {"sum": "x"}, pa.schema([("x", pa.int64()), ("x", pa.int64())]))


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in MEASURES])
def test_every_kind_documents_itself(kind: str) -> None:
    assert MEASURES[kind].kind == kind
    assert kind in MEASURES[kind].syntax
    column = None if kind == "count" else "amount"
    assert build("m", {kind: column}, SCHEMA).kind == kind
