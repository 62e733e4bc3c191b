"""Rows of two attempts of one run, after a runner went back to a checkpoint; and the ids of tiles that were cleared."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tandem.schemas.errors import PublishRefusedError, StaleAttemptError
from tandem.views.answers.all_steps import all_answers
from tandem.views.live.evicted_tiles import EvictedTile
from tandem.views.storage.tables import straddlers


@pytest.fixture
def live(bench: Any) -> Any:
    """One key's event in generation 1, another's in 2, as a first attempt wrote them."""
    bench.store.live.start("v1", "L1", journal="j")
    bench.store.publishing.serve_live("orders", "v1", "L1")
    write(bench, first(bench))
    return bench


def write(bench: Any, *updates: Any) -> None:
    bench.store.live.write(bench.compiled, "L1", updates)


def first(b: Any) -> Any:
    rows = b.block((1, "k", 1, 10), (2, "k", 1, 10), (2, "other", 1, 10))
    return b.Update(0, 0, rows, (b.Tally(1, 1), b.Tally(2, 2, 1)), [b.CrossBoundaryDuplicate(7, 7, 2, 1)])


def second(b: Any, *, attempt: int = 1, events: int = 2) -> Any:
    """The other copy counted: all of k in generation 2."""
    rows = b.block((2, "k", events, 10 * events), (2, "other", 1, 10))
    return b.Update(
        0,
        0,
        rows,
        (b.Tally(1, 0, 1), b.Tally(2, events + 1)),
        [b.CrossBoundaryDuplicate(9, 9, 2, 1)],
        None,
        attempt,
        True,
    )


def view(bench: Any) -> dict[str, int]:
    return {row.key: row.results["n"] for row in all_answers(bench.store, bench.compiled)}


def named(bench: Any) -> list[int]:
    with bench.store.database.read() as connection:
        return list(connection.execute(sa.select(straddlers.c.hash)).scalars())


def test_a_replacement_takes_the_place_of_all_rows_of_the_tile(live: Any) -> None:
    assert (view(live), named(live)) == ({"k": 2, "other": 1}, [7])
    write(live, second(live))
    assert (view(live), named(live)) == ({"k": 2, "other": 1}, [9])
    assert live.store.residues.of_rows("v1", "L1") == {1: 0, 2: 0}
    progress = live.store.live.tile_progress("v1", "L1", 0, 0)
    assert (progress.attempt, progress.seen) == (1, {1: 1, 2: 3})


def test_nothing_is_published_with_a_run_that_is_behind_itself(live: Any) -> None:
    live.store.live.mark_behind("v1", "L1", 0, 0)
    with pytest.raises(PublishRefusedError, match="went back to a checkpoint, and 1 tiles have not caught up"):
        live.store.publishing.serve_live("orders", "v1", "L1")
    assert view(live) == {"k": 2, "other": 1}
    write(live, second(live))
    assert live.store.publishing.serve_live("orders", "v1", "L1").live_run == "L1"
    live.store.live.mark_behind("v1", "L1", 0, 0)
    assert live.store.live.tile_progress("v1", "L1", 0, 0).attempt == 1


def test_a_run_that_has_ended_is_behind_nothing(live: Any) -> None:
    """Nobody replaces the tile any more; a worker that was taken for dead and woke up may have marked it."""
    live.store.live.mark_behind("v1", "L1", 0, 0)
    live.store.live.end_attempts("v1", "L1")
    assert live.store.publishing.serve_live("orders", "v1", "L1").live_run == "L1"
    assert view(live) == {"k": 2, "other": 1}


def test_the_same_replacement_again_changes_nothing(live: Any) -> None:
    write(live, second(live))
    write(live, second(live))
    assert view(live) == {"k": 2, "other": 1}
    assert set(live.store.residues.of_rows("v1", "L1").values()) == {0}


def test_what_an_earlier_attempt_still_sends_is_passed_over(live: Any) -> None:
    write(live, second(live))
    more = live.block((1, "k", 5, 50))
    write(live, live.Update(0, 0, more, (live.Tally(1, 5),), ()))
    write(live, first(live))
    assert (view(live), named(live)) == ({"k": 2, "other": 1}, [9])


def test_in_one_write_the_replacement_wins_wherever_it_stands(live: Any) -> None:
    more = live.Update(0, 0, live.block((1, "k", 1, 10), (1, "late", 3, 30)), (live.Tally(1, 4),), ())
    write(live, more, second(live), first(live))
    assert view(live) == {"k": 2, "other": 1}


def test_other_tiles_and_shards_stay(live: Any) -> None:
    write(live, live.Update(0, 1, live.block((1, "far", 2, 20)), (live.Tally(1, 2),)))
    write(live, live.Update(live.tile, 0, live.block((1, "k", 4, 40)), (live.Tally(1, 4),)))
    write(live, second(live))
    found = {(row.key, row.start): row.events for row in all_answers(live.store, live.compiled)}
    assert found == {("far", 0): 2, ("k", 0): 2, ("other", 0): 1, ("k", live.tile): 4}


def test_a_replacement_that_would_take_events_away_is_refused_whole(live: Any) -> None:
    with pytest.raises(
        StaleAttemptError, match=r"key k: 2 events were written by an earlier attempt .* with 1, caught up"
    ):
        write(live, second(live, events=1))
    assert (view(live), named(live)) == ({"k": 2, "other": 1}, [7])
    assert live.store.live.tile_progress("v1", "L1", 0, 0).attempt == 0


def test_what_was_set_aside_is_kept_until_batch_covers_it(bench: Any) -> None:
    bench.store.live.start("v1", "L1", journal="j")
    bench.store.publishing.serve_live("orders", "v1", "L1")
    ids, parent = bench.ids((1, 1, 1), (2, 2, 2)), None
    place = ("v1", "L1", 0, 0)
    bench.store.evicted_tiles.keep(*place, b"one", EvictedTile(2, ids, b"states"))
    assert bench.store.evicted_tiles.ids("v1", "L1", bench.tile, 0) == []
    assert bench.store.evicted_tiles.find(*place, b"two") is None
    for generation in (1, 2):
        kept = bench.store.evicted_tiles.find(*place, b"one")
        assert (kept.ids, kept.states) == (ids, b"states"), "an id of generation 2 is after the boundary"
        assert bench.store.evicted_tiles.ids(*place) == [ids]
        bench.live("L1", generation, "k", 1)
        bench.batch(f"B{generation}", generation, [(generation, "k", 1)], parent=parent)
        parent = bench.store.publishing.publish("orders", "v1", f"B{generation}", "L1").batch_run
        bench.store.publishing.prune("orders", keep=1)
    assert bench.store.evicted_tiles.ids(*place) == []
    assert bench.store.evicted_tiles.find(*place, b"one") is None


def test_each_time_that_a_tile_was_set_aside_is_kept_as_it_was(live: Any) -> None:
    """Until the last of them is forgotten."""
    place, one, two = ("v1", "L1", 0, 0), live.ids((1, 1, 1)), live.ids((1, 1, 1), (2, 2, 1))
    live.store.evicted_tiles.keep(*place, b"a", EvictedTile(1, one, b"first"))
    live.store.evicted_tiles.keep(*place, b"b", EvictedTile(1, two, b"second"))
    live.store.evicted_tiles.keep(*place, b"a", EvictedTile(1, two, b"the same bundle, tried again"))
    kept = {token: live.store.evicted_tiles.find(*place, token) for token in (b"a", b"b")}
    assert {token: (aside.ids, aside.states) for token, aside in kept.items()} == {
        b"a": (one, b"first"),
        b"b": (two, b"second"),
    }
    live.store.evicted_tiles.forget(*place, b"b", 0)
    assert live.store.evicted_tiles.ids(*place) == [two]
    assert live.store.evicted_tiles.find(*place, b"b").states == b"second", "of this tile, not of earlier ones"
    live.store.evicted_tiles.forget("v1", "L1", live.tile, 0, b"c", live.tile)
    assert (live.store.evicted_tiles.find(*place, b"b"), live.store.evicted_tiles.ids(*place)) == (None, [two])


def test_what_batch_covers_already_is_not_kept(live: Any) -> None:
    live.store.evicted_tiles.keep("v1", "L1", 0, 0, b"t", EvictedTile(0, live.ids((1, 1, -1)), b""))
    assert live.store.evicted_tiles.ids("v1", "L1", 0, 0) == []


def test_a_tile_that_counted_nothing_is_known_to_be_cleared_too(live: Any) -> None:
    live.store.evicted_tiles.keep("v1", "L1", 0, 0, b"t", EvictedTile(1, live.ids(), b""))
    assert [ids.num_rows for ids in live.store.evicted_tiles.ids("v1", "L1", 0, 0)] == [0]
