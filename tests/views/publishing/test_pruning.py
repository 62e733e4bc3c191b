"""What is removed, and that no kept answer changes by it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tandem.schemas.errors import PublishRefusedError, StoreError
from tandem.views.answers.all_steps import all_answers
from tandem.views.rows import BatchManifest
from tandem.views.storage.tables import batch_ids, batch_states, live_segments, live_states


def count(bench: Any, table: sa.Table) -> int:
    with bench.store.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def view(bench: Any) -> list[tuple[str, int]]:
    return [(row.key, row.results["n"]) for row in all_answers(bench.store, bench.compiled)]


@pytest.fixture
def four(bench: Any) -> Any:
    """Four publications, each a layer on the one before, of one event of key k and one of its own key."""
    bench.store.live.start("v1", "L1", journal="j")
    parent = None
    for generation in range(1, 5):
        bench.live("L1", generation, "k", 1)
        bench.live("L1", generation, f"own{generation}", 1, lane="b")
        run = f"B{generation}"
        bench.batch(run, generation, [(generation, "k", 1), (generation, f"own{generation}", 1)], parent=parent)
        bench.store.publishing.publish("orders", "v1", run, "L1")
        parent = run
    return bench


@pytest.mark.parametrize(
    ("keep", "live_rows", "batch_rows"),
    [
        pytest.param(1, 0, 5, id="the served one"),
        pytest.param(2, 2, 6, id="two"),
        pytest.param(9, 6, 8, id="all: live rows up to the first boundary are covered by every one"),
    ],
)
def test_what_stays(four: Any, keep: int, live_rows: int, batch_rows: int) -> None:
    before = view(four)
    pruned = four.store.publishing.prune("orders", keep)
    assert (count(four, live_states), count(four, batch_states)) == (live_rows, batch_rows)
    assert (pruned.live_rows, pruned.batch_rows) == (8 - live_rows, 8 - batch_rows)
    assert view(four) == before
    again = four.store.publishing.prune("orders", keep)
    assert (again.live_rows, again.batch_rows) == (0, 0)


def test_what_is_kept_can_still_be_rolled_back_to(four: Any) -> None:
    before = view(four)
    four.store.publishing.prune("orders", keep=2)
    four.store.publishing.roll_back("orders", 3)
    assert view(four) == before
    with pytest.raises(PublishRefusedError, match="is LAYER"):
        four.store.publishing.roll_back("orders", 1)


def test_publications_of_one_batch_run_count_once(four: Any) -> None:
    for _ in range(3):
        four.store.publishing.serve_live("orders", "v1", "L1")
    four.store.publishing.prune("orders", keep=2)
    assert four.store.publishing.roll_back("orders", 3).boundary == 3


def test_runs_that_nothing_stands_on_are_dropped(four: Any) -> None:
    four.batch("branch", 4, [(4, "x", 1)], parent="B3")
    four.batch("orphan", 5, [(5, "x", 1)], parent="B4", finish=False)
    four.batch("B5", 4, [], parent="B4")
    four.store.publishing.publish("orders", "v1", "B5", "L1")
    four.batch("building", 5, [(5, "x", 1)], parent="B5", finish=False)
    pruned = four.store.publishing.prune("orders", keep=1)
    assert pruned.batch_runs == 2
    assert [four.store.batch.get(run).status for run in ("branch", "orphan", "B4", "B5", "building")] == [
        "DROPPED",
        "DROPPED",
        "LAYER",
        "COMPLETE",
        "BUILDING",
    ]
    with pytest.raises(StoreError, match="'orphan' is DROPPED"):
        four.store.batch.write(four.compiled, "orphan", [])


def test_a_finished_run_that_waits_keeps_what_it_stands_on(four: Any) -> None:
    for run in ("waiting", "newest"):
        four.batch(run, 4, [(4, "k", 1), (4, "own4", 1)], parent="B3")
    four.store.publishing.publish("orders", "v1", "waiting", "L1")
    four.store.publishing.prune("orders", keep=1)
    four.store.publishing.publish("orders", "v1", "newest", "L1")
    assert dict(view(four)) == {"k": 4, "own1": 1, "own2": 1, "own3": 1, "own4": 1}


def test_a_replaced_live_run_goes_whole_and_one_that_catches_up_stays_whole(four: Any) -> None:
    four.store.live.start("v1", "L2", journal="j", base_batch_run="B4")
    four.store.publishing.serve_live("orders", "v1", "L2")
    four.store.live.start("v1", "L3", journal="j", base_batch_run="B1")
    four.live("L3", 2, "k", 1)
    four.store.publishing.prune("orders", keep=1)
    assert (count(four, live_states), count(four, live_segments)) == (1, 1)
    assert [four.store.live.get("v1", run).status for run in ("L1", "L2", "L3")] == [
        "DROPPED",
        "LIVE",
        "LIVE",
    ]


def test_a_repairs_empty_rows_go_with_what_they_hide(four: Any) -> None:
    four.store.batch.start("v1", "R", boundary=4, parent="B4")
    four.store.batch.clear_tiles("R", [0])
    four.store.batch.write(
        four.compiled, "R", [four.Update(0, 0, four.block((1, "k", 4, 40)), ids=four.ids((1, 1, 1)))]
    )
    four.store.batch.finish("R", BatchManifest())
    four.store.publishing.publish("orders", "v1", "R", "L1")
    four.store.publishing.prune("orders", keep=1)
    assert view(four) == [("k", 4)]
    assert (count(four, batch_states), count(four, batch_ids)) == (1, 1)


def test_at_least_the_served_publication_is_kept(four: Any) -> None:
    with pytest.raises(ValueError, match="keep=0"):
        four.store.publishing.prune("orders", keep=0)


def test_pruning_nothing(bench: Any) -> None:
    assert bench.store.publishing.prune("orders").batch_rows == 0
