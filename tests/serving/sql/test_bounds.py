"""What a pushed filter says of keys and times: never more than it does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.serving.sql.bounds import Bounds, bounds_of

SCHEMA = pa.schema(
    [("shop", pa.string()), ("n", pa.int64()), ("start", pa.timestamp("us", "UTC")), ("f", pa.float64())]
)
FROM_5 = {"start": 5_000_000}
SHOP, N, START, F = (pc.field(name) for name in SCHEMA.names)


def at(second: int) -> Any:
    return pa.scalar(datetime.fromtimestamp(second, UTC), pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("condition", "bounds"),
    [
        pytest.param(None, Bounds(), id="none"),
        pytest.param(SHOP == "x", Bounds({"shop": "x"}), id="text"),
        pytest.param(SHOP == 'a") and (shop == "b', Bounds({"shop": 'a") and (shop == "b'}), id="text like a filter"),
        pytest.param((SHOP == "a and b") & (N == 3), Bounds({"shop": "a and b", "n": 3}), id="and in a text"),
        pytest.param((at(5) <= START) & (at(9) > START), Bounds({}, FROM_5, {"start": 9_000_000}), id="span"),
        pytest.param(
            (at(5) <= START) & ((SHOP == "x") & (at(7) < START)),
            Bounds({"shop": "x"}, {"start": 7_000_000}), id="nested",
        ),
        pytest.param(at(5) == START, Bounds({}, FROM_5, FROM_5), id="instant"),
        pytest.param((SHOP == "x") | (SHOP == "y"), Bounds(), id="or"),
        pytest.param(~(SHOP == "x"), Bounds(), id="not"),
        pytest.param((N == 1) & ((SHOP == "x") | (at(1) > START)), Bounds({"n": 1}), id="or within and"),
        pytest.param(SHOP.isin(["x"]), Bounds(), id="in"),
        pytest.param((F == 1.5) & SHOP.is_valid() & (N == 1), Bounds({"n": 1}), id="what isn't read is passed over"),
        pytest.param(N > 3, Bounds(), id="of a number only what is equal"),
    ],
)  # fmt: skip
def test_bounds(condition: Any, bounds: Bounds) -> None:
    assert bounds_of(condition, SCHEMA) == bounds


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.integers(-(2**62), 2**62))
def test_no_text_is_taken_for_another(one: str, other: str, number: int) -> None:
    found = bounds_of((one == SHOP) & (number == N), SCHEMA).equal
    assert found.get("shop", one) == one
    assert found.get("n", number) == number
    assert bounds_of((one == SHOP) | (other == SHOP), SCHEMA) == Bounds()
