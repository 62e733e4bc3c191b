"""What a batch write works out before its transaction: the same rows and digests as one by one, and nobody waits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tandem.schemas.columns import CONTENT, GENERATION, HASH
from tandem.schemas.errors import StoreError
from tandem.views.answers.all_steps import all_answers
from tandem.views.batch import rows, runs
from tandem.views.batch.event_ids import PackedIds, pack_all, pack_ids, unpack_ids
from tandem.views.reconcile.digests import MODULUS, digest_of_pairs, ids_hashed, row_hash, row_hashes, sum_of
from tandem.views.rows import BatchManifest
from tandem.views.store import ViewStore

ROWS = [("", 0, b""), ('["a"]', 3, b"state"), ('["é"]', -1, bytes(300)), ("b" * 70, 2**62, b"\x00\xff")]


@pytest.mark.parametrize("start", range(len(ROWS) + 1))
def test_rows_are_hashed_together_as_one_by_one(start: int) -> None:
    keys, events, states = zip(*ROWS, strict=True)
    columns = (pa.array(keys, pa.string()), pa.array(events, pa.int64()), pa.array(states, pa.binary()))
    hashes = row_hashes(*(column.slice(start) for column in columns))
    found = [int(low) + (int(high) << 64) for low, high in hashes]
    assert found == [row_hash(*row) for row in ROWS[start:]]


@pytest.mark.parametrize("count", [0, 1, 1 << 14, (1 << 14) + 1, 50_000])
def test_a_digest_in_pieces_is_that_of_all(count: int) -> None:
    hashes, contents = np.random.default_rng(count).integers(0, 2**64, (2, count), dtype=np.uint64)
    assert digest_of_pairs(hashes, contents) == sum_of(ids_hashed(hashes, contents)) % MODULUS


def packed(bench: Any, *ids: tuple[int, int, int]) -> dict[int, list[tuple[int, int]]]:
    parts: list[PackedIds] = list(pack_ids(bench.Update(60, 1, bench.block(), ids=bench.ids(*ids))))
    assert {part.place for part in parts} <= {(60, 1)}
    stored = {part.generation: unpack_ids(bytes(part.packed), part.generation) for part in parts}
    return {g: list(zip(i["hash"].tolist(), i["content"].tolist(), strict=True)) for g, i in stored.items()}


HIGH = 2**64 - 1


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([(1, 9, 1), (2, 0, 1), (HIGH, 5, 1)], {1: [(1, 9), (2, 0), (HIGH, 5)]}, id="sorted"),
        pytest.param([(HIGH, 5, 1), (1, 9, 1)], {1: [(1, 9), (HIGH, 5)]}, id="not sorted"),
        pytest.param([(1, HIGH, 1), (1, 2, 1)], {1: [(1, 2), (1, HIGH)]}, id="contents not sorted"),
        pytest.param([(1, 1, 2), (2, 2, -1), (3, 3, 2)], {-1: [(2, 2)], 2: [(1, 1), (3, 3)]}, id="two generations"),
        pytest.param([(3, 1, 2), (2, 2, 1), (1, 3, 2)], {1: [(2, 2)], 2: [(1, 3), (3, 1)]}, id="two, not sorted"),
    ],
)
def test_ids_are_packed_sorted_by_generation(bench: Any, ids: Any, expected: Any) -> None:
    assert packed(bench, *ids) == expected


def test_a_slice_of_ids_is_packed_alone(bench: Any) -> None:
    whole = bench.ids((9, 9, 1), (1, 1, 1), (2, 2, 1), (0, 0, 1))
    (part,) = pack_ids(bench.Update(0, 0, bench.block(), ids=whole.slice(1, 2)))
    assert part.pairs.tolist() == [[1, 1], [2, 2]]
    assert whole.schema.names == [HASH, CONTENT, GENERATION]


SORTED = [(1, 9, 1), (2, 0, 1), (2, 3, 1), (HIGH, 5, 1)]


@pytest.mark.parametrize(
    "tiles",
    [
        pytest.param([], id="no tiles"),
        pytest.param([SORTED], id="one"),
        pytest.param([SORTED, SORTED, [(1, 1, 1)]], id="sorted each"),
        pytest.param([[], SORTED, [], [(0, 7, 2)], []], id="some without ids"),
        pytest.param([SORTED, [(1, 1, 2), (2, 2, -1)]], id="two generations in a tile"),
        pytest.param([SORTED, SORTED[::-1]], id="one not sorted"),
        pytest.param([SORTED, [(1, HIGH, 1), (1, 2, 1)]], id="contents not sorted"),
    ],
)
def test_many_tiles_are_packed_as_each_alone(bench: Any, tiles: Any) -> None:
    updates = [bench.Update(60 * at, 1, bench.block(), ids=bench.ids(*ids)) for at, ids in enumerate(tiles)]
    found, alone = pack_all(updates), [list(pack_ids(update)) for update in updates]
    assert [[(part.place, part.generation, bytes(part.packed)) for part in parts] for parts in found] == [
        [(part.place, part.generation, bytes(part.packed)) for part in parts] for parts in alone
    ]


def view(bench: Any, batch_run: str) -> dict[tuple[str, int], int]:
    """Events by key and tile of a finished batch run."""
    bench.store.publishing.publish("orders", "v1", batch_run)
    return {(row.key, row.start): row.events for row in all_answers(bench.store, bench.compiled)}


def begin(bench: Any) -> Any:
    """A run over another one, and an update for it in two generations, its keys not in order."""
    bench.batch("B1", 1, [(1, "a", 5), (1, "b", 5)])
    bench.store.batch.start("v1", "B2", boundary=1, parent="B1")
    return bench.Update(0, 0, bench.block((1, "a", 2, 20), (-1, "a", 1, 10), (-1, "c", 4, 40)), ids=bench.ids())


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something once between what a batch write reads and its transaction."""
    prepare, acts = rows.prepare, [act]

    def interrupted(*arguments: Any) -> Any:
        prepared = prepare(*arguments)
        if acts:
            acts.pop()()
        return prepared

    monkeypatch.setattr(runs, "prepare", interrupted)


def test_generations_and_ancestors_are_merged_by_key(bench: Any) -> None:
    bench.store.batch.write(bench.compiled, "B2", [begin(bench)])
    bench.store.batch.finish("B2", BatchManifest())
    assert view(bench, "B2") == {("a", 0): 8, ("b", 0): 5, ("c", 0): 4}


def test_others_write_while_a_batch_write_is_prepared(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    update, other = begin(bench), ViewStore(str(tmp_path / "views.db"))
    seen: list[str] = []

    def write() -> None:
        other.live.start("v1", "L1")
        seen.append("written")

    meanwhile(monkeypatch, write)
    bench.store.batch.write(bench.compiled, "B2", [update])
    other.close()
    assert seen == ["written"]


def test_a_tile_that_is_begun_anew_meanwhile_has_nothing_of_its_ancestors(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = begin(bench)
    meanwhile(monkeypatch, lambda: bench.store.batch.clear_tiles("B2", [0]))
    bench.store.batch.write(bench.compiled, "B2", [update])
    bench.store.batch.finish("B2", BatchManifest())
    assert view(bench, "B2") == {("a", 0): 3, ("c", 0): 4}


def test_a_run_that_is_finished_meanwhile_takes_nothing_in(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    update = begin(bench)
    meanwhile(monkeypatch, lambda: bench.store.batch.finish("B2", BatchManifest()))
    with pytest.raises(StoreError, match="'B2' is COMPLETE"):
        bench.store.batch.write(bench.compiled, "B2", [update])
    assert view(bench, "B2") == {("a", 0): 5, ("b", 0): 5}


def test_rows_are_inserted_in_the_order_of_their_key(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each insert lands on another page of the file."""
    written: list[Any] = []
    write_rows = bench.store.database.write_rows

    def seen(connection: Any, statement: Any, rows: Any) -> None:
        rows = list(rows)
        if statement.table.name == "batch_states":
            written.extend(rows)
        write_rows(connection, statement, rows)

    monkeypatch.setattr(bench.store.database, "write_rows", seen)
    bench.store.batch.start("v1", "B1", boundary=1)
    keys = ["é", "b", "z", "a"]
    updates = [
        bench.Update(tile, shard, bench.block(*((1, key, 1, 10) for key in keys[shard::2])), ids=bench.ids())
        for tile in (120, 0, 60)
        for shard in (1, 0)
    ]
    bench.store.batch.write(bench.compiled, "B1", updates)
    places = [(key.encode(), tile) for _, key, tile, *_ in written]
    assert len(places) == 12
    assert all(before < after for before, after in pairwise(places))


def test_writing_again_in_other_parts_leaves_equal_digests(bench: Any) -> None:
    """Each place's digest is of its own rows, however many places are written together."""
    updates = [
        bench.Update(tile, 0, bench.block((1, "a", tile + 1, 10), (1, "b", 2, 20)), ids=bench.ids((tile, 1, 1)))
        for tile in range(5)
    ]
    found = []
    for run, parts in (("B1", [updates]), ("B2", [[update] for update in reversed(updates)])):
        bench.store.batch.start("v1", run, boundary=1)
        for part in parts:
            bench.store.batch.write(bench.compiled, run, part)
        with bench.store.database.read() as connection:
            ordinal = bench.store.batch.get(run).ordinal
            for table in ("batch_state_digests", "batch_id_digests"):
                query = f"SELECT * FROM {table} WHERE batch_run = {ordinal} ORDER BY tile"
                rows = [tuple(row)[:3] + tuple(row)[4:-1] for row in connection.exec_driver_sql(query)]
                found.append((table, hashlib.sha256(repr(rows).encode()).hexdigest(), len(rows)))
    assert found[:2] == found[2:]
    assert [count for *_, count in found] == [5] * 4
