"""The same store on PostgreSQL, on a newer major version, and behind a pooler of transactions."""

from __future__ import annotations

import threading
from random import Random
from typing import Any

import pytest

from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer, series
from tandem.views.live.evicted_tiles import EvictedTile
from tandem.views.rows import BatchManifest, GenerationCounts
from tandem.views.store import ViewStore

pytestmark = pytest.mark.parametrize("url", ["server", "newer", "pooler"], indirect=True)


def test_publishing_rolling_back_and_pruning(postgres: Any) -> None:
    b = postgres
    b.store.live.start("v1", "L1", journal="j")
    for generation, key in enumerate(["b", "a", "é"], 1):
        b.live("L1", generation, key, generation)
        b.live("L1", generation, key, generation)
    b.store.publishing.serve_live("orders", "v1", "L1")
    whole = [(row.key, row.results) for row in all_answers(b.store, b.compiled)]
    assert [key for key, _ in whole] == ["a", "b", "é"]
    b.batch("B1", 1, [(1, "b", 1)])
    b.store.publishing.publish("orders", "v1", "B1", "L1")
    b.batch("B2", 3, [(2, "a", 2), (3, "é", 3)], parent="B1")
    b.store.publishing.publish("orders", "v1", "B2", "L1")
    assert [(row.key, row.results) for row in all_answers(b.store, b.compiled)] == whole
    b.store.publishing.roll_back("orders", 2)
    assert [(row.key, row.results) for row in all_answers(b.store, b.compiled)] == whole
    assert answer(b.store, b.compiled, "é", 0, b.tile).certificate.live_events == ((3, 3),)
    b.store.publishing.roll_back("orders", 3)
    b.store.publishing.prune("orders", keep=1)
    assert [(row.key, row.results) for row in all_answers(b.store, b.compiled)] == whole


@pytest.mark.parametrize("tiles", [63, 64, 65, 200])
def test_rows_beyond_those_of_the_first_round_trip(postgres: Any, tiles: int) -> None:
    b = postgres
    b.store.batch.start("v1", "B1", boundary=1)
    b.store.batch.write(b.compiled, "B1", [b.Update(at * b.tile, 0, b.block((1, "b", 1, 10))) for at in range(tiles)])
    b.store.batch.finish("B1", BatchManifest((GenerationCounts(1, tiles, tiles),)))
    b.store.publishing.publish("orders", "v1", "B1")
    found = series(b.store, b.compiled, "b", 0, (tiles + 1) * b.tile)
    assert [point.events for point in found.points] == [1] * tiles + [0]


def test_ids_and_a_repair(postgres: Any) -> None:
    b, high = postgres, 2**64 - 1
    b.store.batch.start("v1", "B1", boundary=1)
    update = b.Update(0, 0, b.block((1, "a", 1, 10), (1, "b", 1, 10)), ids=b.ids((high, 1, 1), (2, 1, 1)))
    for _ in range(2):
        b.store.batch.write(b.compiled, "B1", [update])
    b.store.batch.finish("B1", BatchManifest((GenerationCounts(1, 2, 2),)))
    assert b.store.batch.counted_ids("v1", "B1", 0)["__hash"].to_pylist() == [2, high]
    b.store.batch.start("v1", "R", boundary=1, parent="B1")
    b.store.batch.clear_tiles("R", [0])
    b.store.batch.write(b.compiled, "R", [b.Update(0, 0, b.block((1, "a", 1, 10)), ids=b.ids((2, 1, 1)))])
    b.store.batch.finish("R", BatchManifest())
    b.store.publishing.publish("orders", "v1", "R")
    assert [row.key for row in all_answers(b.store, b.compiled)] == ["a"]


def test_tiles_that_were_evicted(postgres: Any) -> None:
    b, place = postgres, ("v1", "L1", 0, 0)
    b.store.live.start("v1", "L1", journal="j")
    b.store.publishing.serve_live("orders", "v1", "L1")
    one, two = b.ids((1, 1, 1)), b.ids((1, 1, 1), (2, 2, 1))
    for token, ids in ((b"\x00a", one), (b"\x00b", two), (b"\x00a", two)):
        b.store.evicted_tiles.keep(*place, token, EvictedTile(1, ids, b"\x00states"))
    kept = b.store.evicted_tiles.find(*place, b"\x00a")
    assert (kept.newest, kept.ids, kept.states) == (1, one, b"\x00states")
    b.store.evicted_tiles.forget(*place, b"\x00b", b.tile)
    assert (b.store.evicted_tiles.find(*place, b"\x00b"), b.store.evicted_tiles.ids(*place)) == (None, [two])
    b.live("L1", 1, "k", 1)
    b.batch("B1", 1, [(1, "k", 1)])
    b.store.publishing.publish("orders", "v1", "B1", "L1")
    b.store.publishing.prune("orders", keep=1)
    assert b.store.evicted_tiles.ids(*place) == []


def test_writers_of_one_run_keep_its_totals(postgres: Any, url: str) -> None:
    b = postgres
    b.store.live.start("v1", "L1")
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        store, random = ViewStore(url), Random(seed)
        try:
            for count in random.sample(range(1, 21), 20):
                segment = b.Segment("L1/a", count, 1, 1, 1)
                store.live.write_segments("v1", "L1", [segment])
                update = b.Update(0, 0, b.block((1, "k", count, 10 * count)), [b.Tally(1, count)])
                store.live.write(b.compiled, "L1", [update])
        except BaseException as error:
            errors.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert b.store.residues.of_live_run("v1", "L1") == {1: 0}
    assert b.store.residues.of_rows("v1", "L1") == {1: 0}


def test_readers_see_one_instant_while_the_pointer_moves(postgres: Any, url: str) -> None:
    b, reader = postgres, ViewStore(url)
    b.store.live.start("v1", "L1")
    for generation in range(1, 6):
        b.live("L1", generation, "k", 1)
    b.store.publishing.serve_live("orders", "v1", "L1")
    seen: set[int] = set()
    stop = threading.Event()

    def keep_looking() -> None:
        while not stop.is_set():
            seen.add(sum(row.events for row in all_answers(reader, b.compiled)))

    thread = threading.Thread(target=keep_looking)
    thread.start()
    parent = None
    for generation in range(1, 6):
        b.batch(f"R{generation}", generation, [(generation, "k", 1)], parent=parent)
        parent = f"R{generation}"
        b.store.publishing.publish("orders", "v1", parent, "L1")
    stop.set()
    thread.join()
    reader.close()
    assert seen == {5}
