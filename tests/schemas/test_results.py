"""Results computed from results: what they may name, their types, and what can't be computed."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import loads
from tandem.schemas.errors import DefinitionError
from tandem.schemas.results import with_derived

BASE = """\
name: requests
source:
  schema:
    type: record
    name: Request
    fields:
      - {name: id, type: string}
      - {name: at, type: {type: long, logicalType: timestamp-micros}}
      - {name: took, type: double}
      - {name: bytes, type: long}
  format: json
  event_id: id
  event_time: at
key: []
tile: 1m
measures:
  requests: count
  took: {sum: took}
  bytes: {sum: bytes}
  latency: {quantiles: took, at: [0.5, 0.999]}
  newest: {max: at}
  top: {top_k: bytes, k: 2}
"""


def compiled(derive: str) -> CompiledDefinition:
    return compile_definition(loads(f"{BASE}derive_results: {derive}\n"))


def row(**values: Any) -> dict[str, Any]:
    empty = {"requests": 0, "took": None, "bytes": None, "latency": {"0.5": None, "0.999": None}, "newest": None}
    return {**empty, "top": [], **values}


@pytest.mark.parametrize(
    ("expression", "results", "wanted"),
    [
        pytest.param("took / requests", row(requests=4, took=10.0), 2.5, id="a ratio"),
        pytest.param("took / requests", row(requests=0, took=10.0), None, id="by zero"),
        pytest.param("took / (requests - 4.0)", row(requests=4, took=0.0), None, id="zero by zero"),
        pytest.param("took % requests", row(requests=0, took=1.0), None, id="remainder by zero"),
        pytest.param("requests % 0", row(requests=3), None, id="remainder of integers by zero"),
        pytest.param("took / requests", row(requests=4), None, id="of nothing"),
        pytest.param("bytes * 1000", row(bytes=2**62), None, id="overflow"),
        pytest.param("bytes + 1", row(bytes=2**70), None, id="beyond 64 bits"),
        pytest.param("latency_p99_9 / latency_p50", row(latency={"0.5": 2.0, "0.999": 6.0}), 3.0, id="quantiles"),
        pytest.param("1 + 1", row(), 2, id="a constant"),
        pytest.param("CASE WHEN requests > 3 THEN 'many' ELSE 'few' END", row(requests=4), "many", id="a text"),
    ],
)
def test_values(expression: str, results: dict[str, Any], wanted: object) -> None:
    definition = compiled(f'{{x: "{expression}"}}')
    found = with_derived(definition.measures, definition.derive_results, [results, row(requests=1, took=1.0)])
    assert found[0]["x"] == wanted


def test_one_may_use_those_above_it() -> None:
    definition = compiled("{mean: took / requests, half: mean / 2}")
    found = with_derived(definition.measures, definition.derive_results, [row(requests=4, took=10.0)])
    assert (found[0]["mean"], found[0]["half"]) == (2.5, 1.25)


def test_a_definition_with_them_is_pickled() -> None:
    definition = pickle.loads(pickle.dumps(compiled("{mean: took / requests}")))
    assert with_derived(definition.measures, definition.derive_results, [row()])[0]["mean"] is None


@pytest.mark.parametrize(
    ("derive", "message"),
    [
        pytest.param("{x: tok / requests}", "unknown column 'tok'; did you mean 'took'?", id="unknown"),
        pytest.param("{x: id}", "unknown column 'id'", id="a field of the source"),
        pytest.param("{x: y, y: requests}", "unknown column 'y'", id="one below"),
        pytest.param("{x: latency / 2}", "did you mean 'latency_p50'?", id="all quantiles"),
        pytest.param("{x: top}", "unknown column 'top'", id="a list"),
        pytest.param("{requests: took / 2}", "there is a measure of this name", id="name of a measure"),
        pytest.param("{latency_p50: took}", "there is a measure of this name", id="name of a quantile"),
        pytest.param("{x: newest + 1}", "needs a number", id="types"),
        pytest.param("{X: requests}", "'X' is not a name", id="a bad name"),
        pytest.param("{x: 3}", "found 3; must be a text", id="no text"),
    ],
)
def test_mistakes(derive: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=r"derive_results\.") as caught:
        compiled(derive)
    assert message in str(caught.value)
