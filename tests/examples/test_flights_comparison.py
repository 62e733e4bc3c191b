"""The comparison finds every planted difference, and only these."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from examples.flights.comparison import Comparison, compare, windows_of
from examples.flights.installation import DEFINITION
from examples.flights.oracle import Expected, Windows
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.answers.all_steps import AnswerRow

HOUR = 3_600_000_000
KEY, OTHER = '["JFK","B6"]', '["EWR","UA"]'
COMPILED = compile_definition(load(DEFINITION))
MEASURES = dict(COMPILED.measures)
TILES = Windows("tile", HOUR)
EXACT: dict[str, Any] = {
    "flights": 3,
    "departed": 2,
    "on_time": 1,
    "distance": 1500.0,
    "earliest": -3,
    "latest": 40,
    "top_speed": 481.5,
    "planes": 3,
    "destinations": [{"value": "BOS", "count": 2}, {"value": "SFO", "count": 1}],
    "first_flight": 7,
    "last_flight": 915,
    "mean_delay": 18.5,
    "delay_deviation": 30.405591591021544,
}


def expected(start: int, key: str = KEY, **changes: Any) -> tuple[str, int, Expected]:
    exact = {**copy.deepcopy(EXACT), **changes}
    return key, start, Expected(exact, exact["planes"], {"0.5": -3, "0.9": 40, "0.99": 40})


def found(start: int, key: str = KEY, batch: int = 3, **changes: Any) -> AnswerRow:
    sketches = {"planes_estimated": 3, "delays": {"0.5": -2.99, "0.9": 40.3, "0.99": 39.7}}
    results = {**copy.deepcopy(EXACT), **sketches, **changes}
    return AnswerRow(key, start, start + HOUR, results["flights"], min(batch, results["flights"]), results)


def run(
    rows: list[AnswerRow], wanted: list[tuple[str, int, Expected]], late: dict[int, int] | None = None
) -> Comparison:
    result = Comparison()
    compare(result, TILES, rows, wanted, MEASURES, late)
    return result


def test_equal_answers_are_equal() -> None:
    result = run([found(0), found(HOUR, batch=1), found(0, OTHER)], [expected(0), expected(HOUR), expected(0, OTHER)])
    assert (result.compared, result.equal, result.with_live, result.differences) == (3, 3, 1, [])
    assert result.values == 3 * len(MEASURES)
    assert result.all_equal


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"flights": 4}, "flights is 4, must be 3", id="count"),
        pytest.param({"distance": 1500.0000000000002}, "distance", id="sum-one-ulp"),
        pytest.param({"mean_delay": 18.500000000000004}, "mean_delay", id="mean-one-ulp"),
        pytest.param({"delay_deviation": None}, "delay_deviation", id="null"),
        pytest.param({"latest": 41}, "latest", id="max"),
        pytest.param({"planes": 2}, "planes is 2", id="distinct"),
        pytest.param({"planes_estimated": 4}, "planes_estimated", id="estimate-of-few-is-exact"),
        pytest.param({"delays": {"0.5": -3.1, "0.9": 40.0, "0.99": 40.0}}, "delays at 0.5", id="quantile"),
        pytest.param({"delays": {"0.5": None, "0.9": 40.0, "0.99": 40.0}}, "delays at 0.5", id="quantile-null"),
        pytest.param({"destinations": EXACT["destinations"][::-1]}, "destinations", id="order-of-top-k"),
        pytest.param({"last_flight": 7}, "last_flight", id="last"),
    ],
)
def test_a_planted_difference_is_found(change: dict[str, Any], named: str) -> None:
    result = run([found(0), found(HOUR, **change)], [expected(0), expected(HOUR)])
    assert (result.compared, result.equal) == (2, 1)
    assert named in result.differences[0]
    assert KEY in result.differences[0]
    assert not result.all_equal


def test_answers_that_one_side_lacks_are_differences() -> None:
    result = run([found(0), found(2 * HOUR)], [expected(0), expected(HOUR)])
    assert (result.compared, result.equal) == (3, 1)
    assert ["events is 3, must be 0" in text for text in result.differences] == [True, False]


@pytest.mark.parametrize(
    ("late", "waiting", "all_equal"),
    [
        pytest.param({HOUR: 3}, 2, True, id="lacks-what-is-late"),
        pytest.param({HOUR: 4}, 2, False, id="ledger-names-more"),
        pytest.param({HOUR: 2}, 2, False, id="ledger-names-fewer"),
        pytest.param({0: 1, HOUR: 3}, 2, False, id="ledger-names-a-whole-tile"),
        pytest.param({}, 0, False, id="nothing-is-late"),
    ],
)
def test_late_events_must_be_exactly_what_is_lacking(late: dict[int, int], waiting: int, all_equal: bool) -> None:
    rows = [found(0), found(HOUR, flights=2), found(HOUR, OTHER, flights=1)]
    result = run(rows, [expected(0), expected(HOUR), expected(HOUR, OTHER)], late)
    assert (result.equal, result.waiting, result.all_equal) == (1, waiting, all_equal)


def test_a_tile_of_which_all_is_late_is_waited_for() -> None:
    result = run([found(0)], [expected(0), expected(HOUR)], {HOUR: 3})
    assert (result.equal, result.waiting, result.all_equal) == (1, 1, True)


def test_nothing_compared_is_not_all_equal() -> None:
    assert not Comparison().all_equal


def test_comparisons_of_different_windows_add_up() -> None:
    total = run([found(0)], [expected(0)])
    total.merge(Comparison.from_json(run([found(0, planes=1)], [expected(0)]).to_json()))
    assert (total.compared, total.equal, len(total.differences)) == (2, 1, 1)


def test_all_windows_of_the_definition_are_compared() -> None:
    windows = windows_of(COMPILED)
    shifts = {name: sum(w.name == name for w in windows) for name in {w.name for w in windows}}
    assert shifts == {"tile": 1, "week": 1, "day": 1, "three_hours": 3, "four_weeks": 28}
    assert replace(windows[-1]).slides
