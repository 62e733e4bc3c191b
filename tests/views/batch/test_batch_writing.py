"""Batch runs: layers, ids, repairs, and what a finished one refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.schemas.errors import StoreError
from tandem.views.answers.all_steps import all_answers
from tandem.views.rows import BatchManifest, FileSet, GenerationCounts


def view(bench: Any, batch_run: str) -> dict[tuple[str, int], int]:
    """Events by key and tile of a batch run, published without any check."""
    from tandem.views.publishing.pointer import candidate, lock_pointer, move
    from tandem.views.rows import PublicationKind

    database = bench.store.database
    with database.write() as connection:
        lock_pointer(database, connection, "orders")
        move(
            connection,
            candidate(connection, "orders", "v1", batch_run, None, PublicationKind.PUBLISH),
            None,
            0,
        )
    return {(row.key, row.start): row.results["n"] for row in all_answers(bench.store, bench.compiled)}


def test_a_layer_holds_whole_states_of_what_it_changed_and_shows_its_parents_rest(bench: Any) -> None:
    bench.batch("B1", 1, [(1, "a", 1), (1, "b", 2)])
    bench.batch("B2", 2, [(2, "b", 3), (2, "c", 4)], parent="B1")
    bench.batch("B3", 3, [(3, "a", 10)], parent="B2", tile=bench.tile)
    assert view(bench, "B1") == {("a", 0): 1, ("b", 0): 2}
    assert view(bench, "B2") == {("a", 0): 1, ("b", 0): 5, ("c", 0): 4}
    assert view(bench, "B3") == {("a", 0): 1, ("a", bench.tile): 10, ("b", 0): 5, ("c", 0): 4}


def test_branches_don_t_see_each_other(bench: Any) -> None:
    bench.batch("B1", 1, [(1, "a", 1)])
    bench.batch("B2", 2, [(2, "a", 2)], parent="B1")
    bench.batch("B3", 2, [(2, "a", 4)], parent="B1")
    assert view(bench, "B2") == {("a", 0): 3}
    assert view(bench, "B3") == {("a", 0): 5}


def test_writing_again_changes_nothing_and_merges_generations_away(bench: Any) -> None:
    bench.batch("B1", 1, [(1, "a", 1)])
    bench.store.batch.start("v1", "B2", boundary=3, parent="B1")
    update = bench.Update(0, 0, bench.block((2, "a", 2, 20), (3, "a", 4, 40)), ids=bench.ids((7, 8, 2)))
    for _ in range(3):
        bench.store.batch.write(bench.compiled, "B2", [update])
    assert view(bench, "B2") == {("a", 0): 7}
    assert bench.store.batch.counted_ids("v1", "B2", 0).num_rows == 1


def test_shards_of_a_tile_come_one_by_one(bench: Any) -> None:
    bench.store.batch.start("v1", "B1", boundary=1)
    for shard, key in zip((0, 64, 128), "abc", strict=True):
        update = bench.Update(0, shard, bench.block((1, key, 1, 10)), ids=bench.ids((shard << 56 | 7, 0, 1)))
        bench.store.batch.write(bench.compiled, "B1", [update])
    assert view(bench, "B1") == {("a", 0): 1, ("b", 0): 1, ("c", 0): 1}
    assert bench.store.batch.counted_ids("v1", "B1", 0).num_rows == 3
    for buckets, ids in ((range(64, 128), [64]), (range(65), [0, 64]), (range(65, 128), []), (range(128, 256), [128])):
        found = bench.store.batch.counted_ids("v1", "B1", 0, buckets)["__hash"].to_pylist()
        assert found == [bucket << 56 | 7 for bucket in ids]


def test_ids_are_those_of_the_run_and_its_ancestors_sorted(bench: Any) -> None:
    high = 2**64 - 1
    for run, parent, ids in (
        ("B1", None, [(high, 0, 1), (3, 1, 1)]),
        ("B2", "B1", [(3, 0, 2)]),
        ("X", None, [(9, 9, 1)]),
    ):
        bench.store.batch.start("v1", run, boundary=2, parent=parent)
        update = bench.Update(0, 0, bench.block(), ids=bench.ids(*ids))
        bench.store.batch.write(bench.compiled, run, [update])
        bench.store.batch.finish(run, BatchManifest())
    found = bench.store.batch.counted_ids("v1", "B2", 0)
    assert list(zip(*(column.to_pylist() for column in found.columns), strict=True)) == [
        (3, 0, 2),
        (3, 1, 1),
        (high, 0, 1),
    ]
    assert bench.store.batch.counted_ids("v1", "B2", bench.tile).num_rows == 0


def test_a_repair_begins_its_tiles_anew(bench: Any) -> None:
    bench.store.batch.start("v1", "B1", boundary=1)
    for tile in (0, bench.tile):
        rows = bench.block((1, "a", 5, 50), (1, "gone", 5, 50))
        bench.store.batch.write(bench.compiled, "B1", [bench.Update(tile, 0, rows, ids=bench.ids((1, 1, 1)))])
    bench.store.batch.finish("B1", BatchManifest())
    bench.store.batch.start("v1", "R", boundary=1, parent="B1")
    for _ in range(2):
        bench.store.batch.clear_tiles("R", [0])
        update = bench.Update(0, 0, bench.block((1, "a", 2, 20)), ids=bench.ids((2, 2, 1)))
        bench.store.batch.write(bench.compiled, "R", [update])
    assert view(bench, "R") == {("a", 0): 2, ("a", bench.tile): 5, ("gone", bench.tile): 5}
    assert bench.store.batch.counted_ids("v1", "R", 0)["__hash"].to_pylist() == [2]
    assert bench.store.batch.counted_ids("v1", "R", bench.tile)["__hash"].to_pylist() == [1]


def test_after_a_repair_the_next_run_adds_to_the_repaired_tile(bench: Any) -> None:
    bench.batch("B1", 1, [(1, "a", 5), (1, "gone", 5)])
    bench.store.batch.start("v1", "R", boundary=1, parent="B1")
    bench.store.batch.clear_tiles("R", [0])
    bench.store.batch.write(bench.compiled, "R", [bench.Update(0, 0, bench.block((1, "a", 2, 20)), ids=bench.ids())])
    bench.store.batch.finish("R", BatchManifest())
    bench.batch("B2", 2, [(2, "a", 1), (2, "gone", 1)], parent="R")
    assert view(bench, "B2") == {("a", 0): 3, ("gone", 0): 1}


def test_residues_sum_over_the_ancestors(bench: Any) -> None:
    bench.store.batch.start("v1", "B1", boundary=1)
    counts = GenerationCounts(1, received=10, counted=5, filtered=2, duplicates=1, dead=1)
    bench.store.batch.finish("B1", BatchManifest((counts,), conflicts=2))
    assert bench.store.residues.of_batch_run("B1") == {1: 1}
    bench.store.batch.start("v1", "R", boundary=1, parent="B1")
    run = bench.store.batch.finish("R", BatchManifest((GenerationCounts(1, counted=1),), conflicts=1))
    assert (bench.store.residues.of_batch_run("R"), run.residue, run.conflicts) == ({1: 0}, 0, 3)


def test_file_sets_are_inherited(bench: Any) -> None:
    first, second = FileSet(-1, "d1"), FileSet(-2, "d2")
    bench.batch("B1", 0, [], file_sets=[first])
    bench.batch("B2", 0, [], parent="B1", file_sets=[first, second])
    assert bench.store.batch.get("B2").file_sets == (first, second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"boundary": 3, "parent": "nowhere"}, "'nowhere' isn't a batch run", id="unknown parent"),
        pytest.param({"boundary": 3, "parent": "open"}, "'open' is BUILDING", id="unfinished parent"),
        pytest.param({"boundary": 1, "parent": "B2"}, "boundary 1 is below 2", id="boundary below the parent's"),
        pytest.param({"boundary": 1, "built_for": "L9"}, "live run 'L9'", id="unknown live run"),
    ],
)
def test_batch_runs_that_can_t_start(bench: Any, options: dict[str, Any], message: str) -> None:
    bench.batch("B2", 2, [(1, "a", 1), (2, "a", 1)])
    bench.batch("open", 2, [(1, "a", 1)], finish=False)
    with pytest.raises(StoreError, match=message):
        bench.store.batch.start("v1", "B3", **options)


def test_a_finished_run_takes_nothing_in_and_finishes_only_once(bench: Any) -> None:
    bench.batch("B1", 1, [(1, "a", 1)])
    same = BatchManifest((GenerationCounts(1, received=1, counted=1),))
    assert bench.store.batch.manifest("B1") == same
    assert bench.store.batch.finish("B1", same).status == "COMPLETE"
    with pytest.raises(StoreError, match="'B1' is COMPLETE"):
        bench.store.batch.finish("B1", BatchManifest())
    with pytest.raises(StoreError, match="'B1' is COMPLETE"):
        bench.store.batch.write(bench.compiled, "B1", [])
    with pytest.raises(StoreError, match="'B1' is COMPLETE"):
        bench.store.batch.start("v1", "B1", boundary=1)


def test_a_run_that_is_being_built_can_be_started_again(bench: Any) -> None:
    first = bench.store.batch.start("v1", "B1", boundary=1)
    assert bench.store.batch.start("v1", "B1", boundary=1) == first
    with pytest.raises(StoreError, match="BUILDING and has no manifest"):
        bench.store.batch.manifest("B1")
