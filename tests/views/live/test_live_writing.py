"""What live runs write: repeated, older, out of order, after pruning."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tandem.schemas.errors import StoreError
from tandem.views import lookups
from tandem.views.answers.point import answer
from tandem.views.live.rows import state_rows
from tandem.views.rows import DeadLetterStatus, LaneExtent


def rows(bench: Any, key: str = "k") -> tuple[int, int]:
    """(events, total) of the answer."""
    results = answer(bench.store, bench.compiled, key, 0, bench.tile).results
    return results["n"], results["total"]


@pytest.fixture
def live(bench: Any) -> Any:
    bench.store.live.start("v1", "L1", journal="j")
    bench.store.publishing.serve_live("orders", "v1", "L1")
    return bench


def write(bench: Any, *blocks: Any, tallies: Any = (), cross_duplicates: Any = (), tile: int = 0) -> None:
    updates = [bench.Update(tile, 0, block, tallies, cross_duplicates) for block in blocks]
    bench.store.live.write(bench.compiled, "L1", updates)


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        pytest.param([3, 5], 5, id="more events replace fewer"),
        pytest.param([5, 3], 5, id="fewer never replace more"),
        pytest.param([5, 5], 5, id="the same again"),
    ],
)
def test_a_row_gives_way_only_to_more_events(live: Any, events: list[int], kept: int) -> None:
    for count in events:
        write(live, live.block((1, "k", count, 10 * count)))
    assert rows(live) == (kept, 10 * kept)


def test_a_row_of_as_many_events_but_other_states_stays(live: Any) -> None:
    write(live, live.block((1, "k", 5, 50)))
    write(live, live.block((1, "k", 5, 51)))
    assert rows(live) == (5, 50)


def test_two_updates_of_one_tile_in_one_write_leave_the_larger(live: Any) -> None:
    write(live, live.block((1, "k", 5, 50)), live.block((1, "k", 4, 40)), live.block((1, "k", 6, 60)))
    assert rows(live) == (6, 60)


def test_each_key_is_written_once_by_the_update_that_has_most_of_it(live: Any) -> None:
    """Whatever else the others have; pruned generations not at all."""
    run = live_row(live)
    one = live.Update(0, 0, live.block((1, "k", 5, 50), (1, "other", 1, 10), (2, "k", 1, 10)))
    two = live.Update(0, 0, live.block((1, "k", 4, 40), (2, "k", 3, 30), (2, "new", 1, 10)))
    far = live.Update(live.tile, 0, live.block((1, "k", 2, 20)))
    again = live.Update(0, 0, live.block((2, "k", 3, 31)))
    written = state_rows(run, live.compiled.measures, [one, two, far, again])
    assert sorted((key, tile, generation, events) for _, key, tile, generation, events, _, _ in written) == [
        ("k", 0, 1, 5),
        ("k", 0, 2, 3),
        ("k", live.tile, 1, 2),
        ("new", 0, 2, 1),
        ("other", 0, 1, 1),
    ]
    assert {row[-2:] for row in written if row[1:4] == ("k", 0, 2)} == {
        row[-2:] for row in state_rows(run, live.compiled.measures, [two]) if row[1:4] == ("k", 0, 2)
    }, "of as many events the first stays"
    pruned: Any = SimpleNamespace(id=run.id, pruned_to=1)
    assert {row[3] for row in state_rows(pruned, live.compiled.measures, [one, two])} == {2}
    assert state_rows(pruned, live.compiled.measures, [far]) == state_rows(run, live.compiled.measures, []) == []


def live_row(bench: Any) -> Any:
    """The run as the store has it."""
    with bench.store.database.read() as connection:
        return lookups.find_live_run(connection, "v1", "L1")


def test_generations_and_keys_are_rows_of_their_own(live: Any) -> None:
    write(live, live.block((1, "k", 1, 10), (2, "k", 2, 20), (1, "other", 4, 40)))
    assert (rows(live), rows(live, "other")) == ((3, 30), (4, 40))


def test_tallies_and_segments_may_come_twice_in_any_order(live: Any) -> None:
    segment = live.Segment("L1/a", 1, 1, received=10, routed=6, filtered=1, dead=1, late=((0, 2),))
    for seen in (4, 6, 5, 6):
        write(live, live.block(), tallies=[live.Tally(1, seen - 1, 1, 1)])
        live.store.live.write_segments("v1", "L1", [segment, segment])
    assert live.store.residues.of_live_run("v1", "L1") == {1: 0}


def test_residue_tells_what_is_on_its_way_per_generation(live: Any) -> None:
    live.store.live.write_segments("v1", "L1", [live.Segment("L1/a", 1, 1, 5, 5), live.Segment("L1/a", 2, 2, 3, 3)])
    write(live, live.block((1, "k", 4, 40)), tallies=[live.Tally(1, 4, 1)])
    assert live.store.residues.of_live_run("v1", "L1") == {1: 0, 2: 3}
    certificate = answer(live.store, live.compiled, "k", 0, live.tile).certificate
    assert (certificate.in_flight, certificate.status) == (3, "PROVISIONAL")


def test_late_events_make_only_their_tile_partial(live: Any) -> None:
    late = ((0, 2), (3 * live.tile, 1))
    live.store.live.write_segments("v1", "L1", [live.Segment("L1/a", 1, 1, 3, 0, late=late)])
    partial = answer(live.store, live.compiled, "k", 0, live.tile).certificate
    other = answer(live.store, live.compiled, "k", live.tile, 3 * live.tile).certificate
    assert (partial.pending_late, partial.status) == (2, "PARTIAL")
    assert (other.pending_late, other.status) == (0, "PROVISIONAL")


def test_rows_and_tallies_of_different_folds_are_found(live: Any) -> None:
    write(live, live.block((1, "k", 4, 40), (2, "k", 3, 30)), tallies=[live.Tally(1, 4), live.Tally(2, 2)])
    assert live.store.residues.of_rows("v1", "L1") == {1: 0, 2: -1}


def test_a_watermark_never_goes_back(live: Any) -> None:
    for watermark in (5, 9, 7):
        live.store.live.set_watermark("v1", "L1", watermark)
    assert live.store.live.get("v1", "L1").watermark == 9


def test_starting_a_known_run_resumes_it(live: Any) -> None:
    live.store.live.set_watermark("v1", "L1", 5)
    resumed = live.store.live.start("v1", "L1", journal="j", takeover=[LaneExtent("x", 3)])
    assert (resumed.watermark, resumed.takeover) == (5, ())


def test_writes_of_generations_that_batch_covers_for_good_are_passed_over(live: Any) -> None:
    live.live("L1", 1, "k", 4)
    live.batch("B1", 1, [(1, "k", 4)])
    live.store.publishing.publish("orders", "v1", "B1", "L1")
    live.store.publishing.prune("orders", keep=1)
    live.live("L1", 1, "k", 4)
    assert live.store.residues.of_live_run("v1", "L1") == {}
    assert rows(live) == (4, 40)


@pytest.mark.parametrize("run", ["L9", "L0"])
def test_an_unknown_or_dropped_run_takes_nothing_in(bench: Any, run: str) -> None:
    for name in ("L0", "L1"):
        bench.store.live.start("v1", name)
    bench.store.publishing.serve_live("orders", "v1", "L1")
    bench.store.publishing.prune("orders")
    with pytest.raises(StoreError, match=f"live run '{run}'"):
        bench.live(run, 1, "k", 1)


def test_straddlers_keep_their_earliest_copy_and_unsigned_hashes(live: Any) -> None:
    high = 2**64 - 1
    for earlier in (4, 2, 3):
        write(live, live.block(), cross_duplicates=[live.CrossBoundaryDuplicate(high, 2**63, 5, earlier)])
    found = live.store.live.cross_duplicate_ids("v1", "L1", 0, 2).to_pylist()
    assert found == [{"__hash": high, "__content": 2**63, "__generation": 5}]
    assert live.store.live.cross_duplicate_ids("v1", "L1", 0, 1).num_rows == 0
    assert live.store.live.cross_duplicate_ids("v1", "L1", 0, 5).num_rows == 0
    assert live.store.live.cross_duplicate_ids("v1", "L1", 0, 2, range(255)).num_rows == 0


def test_dead_letters_stay_until_they_are_resolved(live: Any) -> None:
    segments = [live.Segment("L1/a", 1, 1, 2, 0, dead=2), live.Segment("L1/a", 2, 1, 1, 0, dead=1)]
    live.store.live.write_segments("v1", "L1", segments)
    places = [("L1/a/1", 0), ("L1/a/1", 1), ("nowhere", 0)]

    def pending() -> int:
        return answer(live.store, live.compiled, "k", 0, live.tile).certificate.dead_letters

    assert pending() == 3
    assert live.store.dead_letters.settle("v1", places, DeadLetterStatus.REPLAYED) == 2
    assert live.store.dead_letters.settle("v1", places, DeadLetterStatus.REPLAYED) == 0
    assert pending() == 1


def test_writers_at_once_lose_nothing(live: Any) -> None:
    def work(lane: int) -> None:
        for number in range(1, 11):
            segment = live.Segment(f"L1/{lane}", number, 1, 1, 1)
            live.store.live.write_segments("v1", "L1", [segment])
            block = live.block((1, f"k{lane}", number, number))
            live.store.live.write(live.compiled, "L1", [live.Update(0, lane, block, [live.Tally(1, number)])])

    threads = [threading.Thread(target=work, args=(lane,)) for lane in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live.store.residues.of_live_run("v1", "L1") == live.store.residues.of_rows("v1", "L1") == {1: 0}
    assert [rows(live, f"k{lane}")[0] for lane in range(4)] == [10] * 4
