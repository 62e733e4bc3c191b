"""Batch states in files: the same answers as from rows, and nothing of a file that isn't as it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tandem.schemas.columns import GENERATION
from tandem.schemas.errors import StoreError
from tandem.views.answers.all_keys import states_of_all_keys
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.layers.catalog import layer_files
from tandem.views.layers.cutting import FILE_ROWS, Part, parts_of
from tandem.views.layers.removing import GRACE
from tandem.views.rows import BatchManifest, GenerationCounts

T = 60_000_000
DAY = 86_400_000_000
WHOLE = Part(0, 0, 0, 255)
Rows = list[tuple[int, str, int]]
"""(tile, key, events)."""

FIRST: Rows = [(0, '["a"]', 2), (0, '["b"]', 1), (T, '["a"]', 3), (3 * T, '["c"]', 5)]
SECOND: Rows = [(0, '["a"]', 1), (T, '["d"]', 4), (2 * T, '["b"]', 7)]


def block_of(bench: Any, rows: Rows) -> pa.RecordBatch:
    """Rows with the tile as generation."""
    block = bench.block(*((tile, key, events, 10 * events) for tile, key, events in rows))
    assert block.schema.names[0] == GENERATION
    return block


def write(bench: Any, run: str, boundary: int, rows: Rows, parent: str | None, *, files: bool) -> None:
    bench.store.batch.start("v1", run, boundary=boundary, parent=parent)
    if files:
        place = str(Path(bench.store.database.url.database).parent / "layers")
        bench.store.batch.write_part(bench.compiled, run, place, WHOLE, block_of(bench, rows))
    else:
        for tile in sorted({tile for tile, _, _ in rows}):
            block = bench.block(*((boundary, key, n, 10 * n) for t, key, n in rows if t == tile))
            bench.store.batch.write(bench.compiled, run, [bench.Update(tile, 0, block, ids=bench.ids())])
    events, first = sum(n for _, _, n in rows), bench.store.batch.get(parent).boundary if parent else 0
    counts = [GenerationCounts(generation) for generation in range(first + 1, boundary)]
    counts.append(GenerationCounts(boundary, received=events, counted=events))
    bench.store.batch.finish(run, BatchManifest(tuple(counts)))


def built(bench: Any, *files: bool) -> Any:
    write(bench, "B1", 1, FIRST, None, files=files[0])
    write(bench, "B2", 2, SECOND, "B1", files=files[1])
    bench.store.publishing.publish("orders", "v1", "B2")
    return bench


def told(bench: Any) -> list[Any]:
    store, compiled = bench.store, bench.compiled
    states = states_of_all_keys(store, compiled, 0, 2 * T)
    return [
        list(all_answers(store, compiled)),
        list(all_answers(store, compiled, span=(T, 3 * T))),
        list(zip(states.keys, states.events.tolist(), states.results(), strict=True)),
        [answer(store, compiled, f'["{key}"]', 0, 4 * T).results for key in "abcde"],
        bench.store.batch.tiles("B2"),
    ]


@pytest.fixture
def rows(tmp_path: Path, bench: Any) -> Iterator[list[Any]]:
    other = type(bench)(str(tmp_path / "rows.db"))
    yield told(built(other, False, False))
    other.store.close()


@pytest.mark.parametrize("files", [(True, True), (True, False), (False, True)], ids=["both", "below", "above"])
def test_answers_are_those_of_rows(bench: Any, rows: list[Any], files: tuple[bool, bool]) -> None:
    assert told(built(bench, *files)) == rows
    with bench.store.database.read() as connection:
        assert [file.rows for file in layer_files(connection, 1, frozenset({1, 2}))] == [
            count for count, written in zip((4, 3), files, strict=True) if written
        ]


def test_writing_again_changes_nothing(bench: Any) -> None:
    built(bench, True, True)
    before, listed = told(bench), sorted(Path(bench.store.database.url.database).parent.glob("layers/*/*/*"))
    bench.store.batch.start("v1", "B3", boundary=2, parent="B2")
    place = str(listed[0].parents[2])
    for _ in range(2):
        bench.store.batch.write_part(bench.compiled, "B3", place, WHOLE, block_of(bench, [(0, '["a"]', 1)]))
    bench.store.batch.finish("B3", BatchManifest())
    assert told(bench) == before
    assert len(list(Path(place).glob("*/*/*"))) == len(listed) + 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def swap(path: Path) -> None:
    (other,) = (p for p in path.parents[1].glob("B1/*") if p != path)
    path.write_bytes(other.read_bytes())


DAMAGES: list[tuple[str, Callable[[Path], None], str]] = [
    ("missing", Path.unlink, "is missing"),
    ("cut", cut, "is damaged"),
    ("flipped", flip, "is damaged"),
    ("swapped", swap, "is damaged"),
]


@pytest.mark.parametrize("read", [False, True], ids=["unread", "read before"])
@pytest.mark.parametrize(("damage", "said"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_a_file_that_is_not_whole_is_named(bench: Any, damage: Callable[[Path], None], said: str, read: bool) -> None:
    built(bench, True, True)
    if read:
        answer(bench.store, bench.compiled, '["a"]', 0, 4 * T)
    (path,) = Path(bench.store.database.url.database).parent.glob("layers/*/B2/*")
    damage(path)
    for ask in (
        lambda: answer(bench.store, bench.compiled, '["a"]', 0, 4 * T),
        lambda: states_of_all_keys(bench.store, bench.compiled, 0, 4 * T),
        lambda: list(all_answers(bench.store, bench.compiled)),
    ):
        with pytest.raises(StoreError, match=f"layer file .*{path.name} {said}.*tandem reconcile --deep"):
            ask()


@pytest.mark.parametrize(("damage", "said"), [(cut, "instead of"), (Path.unlink, "is missing")], ids=["cut", "missing"])
def test_finishing_looks_at_every_file(bench: Any, damage: Callable[[Path], None], said: str) -> None:
    bench.store.batch.start("v1", "B1", boundary=1)
    place = Path(bench.store.database.url.database).parent / "layers"
    bench.store.batch.write_part(bench.compiled, "B1", str(place), WHOLE, block_of(bench, FIRST))
    (path,) = place.glob("*/*/*")
    damage(path)
    with pytest.raises(StoreError, match=f"can't be finished: its file .* {said}"):
        bench.store.batch.finish("B1", BatchManifest())


def test_files_go_after_the_grace_time_and_nothing_of_others(bench: Any) -> None:
    built(bench, True, True)
    layers = Path(bench.store.database.url.database).parent / "layers"
    write(bench, "B3", 3, FIRST, None, files=True)
    bench.store.batch.start("v1", "B4", boundary=3)
    bench.store.batch.write_part(bench.compiled, "B4", str(layers), WHOLE, block_of(bench, FIRST))
    own = next(layers.iterdir())
    kept = [layers / "another" / "B1" / "x.arrow", own / "unknown" / "x.arrow", next(own.glob("B4/*"))]
    orphan = own / "B1" / "half.arrow"
    for path in (*kept[:2], orphan):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    bench.store.publishing.publish("orders", "v1", "B3")
    first = bench.store.publishing.prune("orders", keep=1).files
    assert (first.files, [Path(one).name for one in first.unknown]) == (0, ["unknown"])
    assert sorted(path.parent.name for path in layers.rglob("*.arrow")) == sorted(
        ["B1", "B1", "B1", "B2", "B3", "B4", "unknown"]
    )
    bench.time += GRACE
    assert bench.store.publishing.prune("orders", keep=1).files.files == 3
    assert sorted(path.parent.name for path in layers.rglob("*.arrow")) == ["B1", "B3", "B4", "unknown"]
    assert all(path.exists() for path in kept)
    assert not orphan.exists()
    list(all_answers(bench.store, bench.compiled))


def test_a_run_that_was_discarded_leaves_no_file(bench: Any) -> None:
    write(bench, "B1", 1, FIRST, None, files=True)
    bench.store.batch.discard("B1")
    assert not list((Path(bench.store.database.url.database).parent / "layers").rglob("*.arrow"))


@pytest.mark.parametrize(
    ("days", "parts"),
    [
        pytest.param({5: 10, 6: 20}, [(5, 6, 0, 255)], id="days of a month together"),
        pytest.param({30: 10, 31: 20}, [(30, 30, 0, 255), (31, 31, 0, 255)], id="not beyond a month"),
        pytest.param({5: FILE_ROWS, 6: 20}, [(5, 5, 0, 255), (6, 6, 0, 255)], id="not beyond a file"),
        pytest.param({5: 2 * FILE_ROWS}, [(5, 5, 0, 127), (5, 5, 128, 255)], id="a large day by buckets"),
        pytest.param({5: 99 * FILE_ROWS}, [(5, 5, 16 * n, 16 * n + 15) for n in range(16)], id="no finer"),
        pytest.param({-9_999_999: 1, 9_999_999: 1}, [(d, d, 0, 255) for d in (-9_999_999, 9_999_999)], id="far"),
    ],
)
def test_states_are_cut_by_time_then_by_buckets(days: dict[int, int], parts: list[tuple[int, ...]]) -> None:
    states = {(day, group): -(-count // 16) for day, count in days.items() for group in range(16)}
    found = {(p.first_day, p.last_day, p.first_bucket, p.last_bucket) for p in parts_of(states).values()}
    assert found == set(parts)
    for (day, group), part in parts_of(states).items():
        assert part.first_bucket <= group * 16 < part.last_bucket
        assert part.first_day <= day <= part.last_day


def test_two_stores_share_a_place(tmp_path: Path, bench: Any) -> None:
    other = type(bench)(str(tmp_path / "other.db"))
    built(bench, True, True)
    built(other, True, True)
    other.store.batch.start("v1", "B3", boundary=2)
    other.store.batch.discard("B3")
    assert told(bench) == told(other)
    assert replace(WHOLE, last_day=1).name == "0_1-00_ff"
    other.store.close()
