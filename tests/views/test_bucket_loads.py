"""What comes for each bucket: the first worker says it, all go by it."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.schemas.errors import StoreError

FIRST, OTHER = [n % 7 for n in range(256)], [3] * 256


def test_the_first_says_what_all_go_by(bench: Any) -> None:
    bench.store.live.start("v1", "000001-aa")
    loads = bench.store.bucket_loads
    assert loads.agreed("v1", "000001-aa", FIRST) == tuple(FIRST)
    assert loads.agreed("v1", "000001-aa", OTHER) == tuple(FIRST)
    bench.store.live.start("v1", "000001-aa")  # resumed
    assert loads.agreed("v1", "000001-aa", OTHER) == tuple(FIRST)


def test_each_run_has_its_own(bench: Any) -> None:
    bench.store.live.start("v1", "000001-aa")
    bench.batch("b1", 1, [(1, "a", 1)])
    assert bench.store.bucket_loads.agreed("v1", "000001-aa", FIRST) == tuple(FIRST)
    assert bench.store.bucket_loads.agreed("v1", "b1", OTHER) == tuple(OTHER)


def test_a_run_that_was_begun_before_there_was_this_has_none(bench: Any) -> None:
    bench.store.live.start("v1", "000001-aa")
    with bench.store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM bucket_loads")
    assert bench.store.bucket_loads.agreed("v1", "000001-aa", FIRST) is None


def test_pruning_forgets_those_of_runs_that_are_over(bench: Any) -> None:
    bench.store.live.start("v1", "000001-aa")
    bench.batch("b1", 1, [(1, "a", 1)])
    bench.store.publishing.publish("orders", "v1", "b1")
    bench.store.publishing.prune("orders", 1)
    with bench.store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT run FROM bucket_loads").scalars().all() == ["000001-aa"]


def test_an_unknown_version_is_named(bench: Any) -> None:
    with pytest.raises(StoreError, match="v9"):
        bench.store.bucket_loads.agreed("v9", "000001-aa", FIRST)
