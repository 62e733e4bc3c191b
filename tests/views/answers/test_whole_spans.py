"""A row that damage has moved to another place is missed by those who ask for a span of all keys."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tandem.schemas.errors import DamagedStoreError
from tandem.views.answers.all_keys import states_of_all_keys
from tandem.views.answers.all_steps import all_answers
from tandem.views.store import ViewStore

T = 60_000_000


@pytest.fixture
def served(bench: Any) -> Any:
    bench.store.live.start("v1", "L1", journal="j")
    for generation, tile in ((1, 0), (2, T), (3, 2 * T)):
        bench.live("L1", generation, "b", 2 if generation == 3 else 6, tile=tile)
    bench.batch("B1", 1, [(1, key, 2) for key in "abc"])
    bench.batch("B2", 2, [(2, key, 2) for key in "abc"], tile=T, parent="B1")
    bench.store.publishing.publish("orders", "v1", "B2", "L1")
    return bench


def asked(bench: Any, start: int, end: int) -> tuple[int, int]:
    """Events of all keys by both ways to ask."""
    with closing(ViewStore(bench.store.database.where, create=False)) as store:
        found = states_of_all_keys(store, bench.compiled, start, end)
        rows = list(all_answers(store, bench.compiled, span=(start, end)))
    return int(found.events.sum()), sum(row.events for row in rows)


def test_whole_spans_are_answered(served: Any) -> None:
    assert asked(served, 0, T) == (6, 6)
    assert asked(served, T, 2 * T) == (6, 6)
    assert asked(served, 0, 3 * T) == (14, 14)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("tile = 100 * 60000000", "key = 'a' AND tile = 0"),
        ("key = 'zz', tile = 100 * 60000000", "key = 'c' AND tile = 0"),
        ("definition = 99", "key = 'b' AND tile = 0"),
        ("batch_run = 99", "key = 'b' AND tile = 0"),
    ],
    ids=["another tile", "another key and tile", "another definition", "another run"],
)
@pytest.mark.parametrize("end", [T, 2 * T])
def test_a_row_that_is_elsewhere_is_missed(served: Any, change: str, where: str, end: int) -> None:
    change_rows(served, f"UPDATE batch_states SET {change} WHERE {where}")
    assert_missed(served, 0, end)


@pytest.mark.parametrize(
    "change",
    [
        "tile = 100 * 60000000",
        "tile = -60000000",
        "key = 'zz', tile = 100 * 60000000",
        "generation = 1",
        "run = 99",
        "key = 'a', tile = 100 * 60000000",
    ],
    ids=[
        "a later tile",
        "an earlier tile",
        "another key and tile",
        "a covered generation",
        "another run",
        "a known key",
    ],
)
@pytest.mark.parametrize("end", [3 * T, 4 * T])
def test_a_row_of_live_that_is_elsewhere_is_missed(served: Any, change: str, end: int) -> None:
    change_rows(served, f"UPDATE live_states SET {change} WHERE key = 'b' AND tile = {2 * T}")
    assert_missed(served, 2 * T, end)


def test_a_tile_that_has_not_caught_up_is_answered(served: Any) -> None:
    """Its rows and its tallies may be of different attempts, and nothing is published until they aren't."""
    change_rows(served, f"UPDATE live_states SET tile = {100 * T} WHERE key = 'b' AND tile = {2 * T}")
    served.store.live.mark_behind("v1", "L1", 2 * T, ord("a"))
    assert asked(served, 2 * T, 3 * T) == (0, 0)


def change_rows(served: Any, change: str) -> None:
    with closing(sqlite3.connect(served.store.database.where)) as other:
        assert other.execute(change).rowcount == 1
        other.commit()


def assert_missed(served: Any, start: int, end: int) -> None:
    with closing(ViewStore(served.store.database.where, create=False)) as store:
        with pytest.raises(DamagedStoreError):
            states_of_all_keys(store, served.compiled, start, end)
        with pytest.raises(DamagedStoreError):
            list(all_answers(store, served.compiled, span=(start, end)))
