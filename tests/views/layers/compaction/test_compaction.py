"""Joining files and rows: the same answers, from fewer places, beside readers and writers."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tandem.schemas.errors import DamagedStoreError, PublishRefusedError, StoreError
from tandem.views.answers.all_keys import states_of_all_keys
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer, series
from tandem.views.answers.provenance import provenance
from tandem.views.answers.reading.rows import KeyRead
from tandem.views.answers.reading.scope import read_scope
from tandem.views.layers.compaction.areas import areas_of
from tandem.views.layers.compaction.compacting import Compacted, compact, to_compact
from tandem.views.layers.compaction.joining import joined_files
from tandem.views.layers.compaction.prefix import common_prefixes
from tandem.views.layers.compaction.swapping import abandon_older, begin, swap
from tandem.views.layers.cutting import Part
from tandem.views.layers.removing import GRACE
from tandem.views.reconcile.tile_audit import read_batch_tiles
from tandem.views.rows import BatchManifest, GenerationCounts

T = 60_000_000
DAY = 86_400_000_000
SPAN = (0, 50 * DAY)
KEYS = [f'["{letter}"]' for letter in "abcdefgh"]


class History:
    """Batch runs above each other, as files and as rows, by a seed."""

    def __init__(self, bench: Any, seed: int = 7) -> None:
        self.bench, self.random, self.boundary = bench, random.Random(seed), 0
        self.run: str | None = None
        self.place = str(Path(bench.store.database.url.database).parent / "layers")

    def add(self, files: bool, *, rows: int = 12, publish: bool = True, clear: bool = False) -> str:
        """A run on top that counts into some tiles, or, first, begins some anew."""
        store, name = self.bench.store, f"B{self.boundary + 1}"
        self.boundary += 1
        store.batch.start("v1", name, boundary=self.boundary, parent=self.run)
        chosen = {
            (self.random.randrange(3) * 20 * DAY + self.random.randrange(3) * T, self.random.choice(KEYS))
            for _ in range(rows)
        }
        counted = {place: self.random.randrange(1, 9) for place in chosen}
        if clear:
            store.batch.clear_tiles(name, sorted({tile for tile, _ in chosen})[:2])
        for month in sorted({tile // DAY // 31 for tile, _ in chosen}) if files else ():
            mine = sorted(place for place in chosen if place[0] // DAY // 31 == month)
            block = self.bench.block(*((tile, key, counted[tile, key], 10 * counted[tile, key]) for tile, key in mine))
            part = Part(31 * month, 31 * month + 30, 0, 255)
            store.batch.write_part(self.bench.compiled, name, self.place, part, block)
        for tile in sorted({tile for tile, _ in chosen}) if not files else ():
            rows_of = [(1, key, n, 10 * n) for (at, key), n in counted.items() if at == tile]
            update = self.bench.Update(tile, 0, self.bench.block(*rows_of), ids=self.bench.ids())
            store.batch.write(self.bench.compiled, name, [update])
        total = sum(counted.values())
        store.batch.finish(name, BatchManifest((GenerationCounts(self.boundary, received=total, counted=total),)))
        if publish:
            store.publishing.publish("orders", "v1", name)
        self.run = name
        return name


def told(bench: Any) -> list[Any]:
    """All that can be asked."""
    store, compiled = bench.store, bench.compiled
    states = states_of_all_keys(store, compiled, 0, DAY)
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        audit = read_batch_tiles(connection, store.chains, scope, deduplicates=False)
    assert not audit.changed_rows()
    return [
        list(all_answers(store, compiled)),
        list(all_answers(store, compiled, span=(T, 3 * T))),
        list(zip(states.keys, states.events.tolist(), states.results(), strict=True)),
        states.certificate,
        [answer(store, compiled, key, *SPAN) for key in KEYS],
        [series(store, compiled, key, 0, DAY, DAY) for key in KEYS],
        [provenance(store, compiled, key, *SPAN) for key in KEYS],
    ]


def compacted(bench: Any, **options: Any) -> Compacted:
    place = str(Path(bench.store.database.url.database).parent / "layers")
    return compact(bench.store.database, bench.compiled, place, lambda: bench.time, **options)


def rows_left(bench: Any) -> int:
    with bench.store.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM batch_states WHERE events > 0").scalar() or 0)


def files_named(bench: Any) -> int:
    with bench.store.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM batch_files").scalar() or 0)


@pytest.mark.parametrize("seed", range(2))
def test_answers_are_the_same_before_and_after(bench: Any, seed: int) -> None:
    history = History(bench, seed)
    for step in range(8):
        history.add(files=step % 4 != 3 and history.random.random() < 0.5, clear=step % 4 == 3)
    bench.store.publishing.prune("orders", keep=1)
    before = told(bench)
    planned = to_compact(bench.store.database, bench.compiled)
    done = compacted(bench)
    assert told(bench) == before
    assert (rows_left(bench), files_named(bench)) == (0, 2)
    assert replace(done, written=0, written_size=0) == replace(planned, rollups=0)
    assert compacted(bench) == Compacted()
    history.add(files=True)
    history.add(files=False, clear=True)
    bench.store.publishing.prune("orders", keep=1)
    before = told(bench)
    assert compacted(bench, everything=True).areas
    assert told(bench) == before
    assert (rows_left(bench), files_named(bench)) == (0, 2)


def test_no_further_than_what_can_be_served(bench: Any) -> None:
    history, answers = History(bench), list[Any]()
    for step in range(6):
        history.add(files=step % 2 == 0)
        answers.append(list(all_answers(bench.store, bench.compiled)))
    assert compacted(bench) == Compacted(kept=5)
    bench.store.publishing.prune("orders", keep=3)
    with bench.store.database.read() as connection:
        assert [max(prefix) for prefix in common_prefixes(connection, 1)] == [4]
    assert compacted(bench).areas
    for publication, expected in ((4, answers[3]), (5, answers[4]), (6, answers[5])):
        found = [answer(bench.store, bench.compiled, key, *SPAN, as_of=publication).results["n"] for key in KEYS]
        sums = [sum(row.results["n"] for row in expected if row.key == key) for key in KEYS]
        assert found == sums
    with pytest.raises((StoreError, PublishRefusedError)):
        answer(bench.store, bench.compiled, KEYS[0], *SPAN, as_of=3)


def test_a_reader_in_the_middle_is_undisturbed(bench: Any) -> None:
    history = History(bench)
    for step in range(8):
        history.add(files=step % 2 == 0)
    bench.store.publishing.prune("orders", keep=1)
    expected = list(all_answers(bench.store, bench.compiled))
    reading = all_answers(bench.store, bench.compiled)
    first = next(reading)
    assert compacted(bench).areas
    bench.time += GRACE - 1
    bench.store.publishing.prune("orders", keep=1)
    assert [first, *reading] == expected
    assert list(all_answers(bench.store, bench.compiled)) == expected


def test_a_run_that_is_being_built_stands_on_what_was_joined(bench: Any) -> None:
    history = History(bench)
    for step in range(4):
        history.add(files=step % 2 == 0)
    bench.store.publishing.prune("orders", keep=1)
    store = bench.store
    store.batch.start("v1", "B5", boundary=5, parent="B4")
    before = {(row.key, row.start): row.events for row in all_answers(store, bench.compiled)}
    assert compacted(bench).areas
    key, tile = min(before)
    update = bench.Update(tile, 0, bench.block((1, key, 100, 1000)), ids=bench.ids())
    store.batch.write(bench.compiled, "B5", [update])
    store.batch.finish("B5", BatchManifest((GenerationCounts(5, received=100, counted=100),)))
    store.publishing.publish("orders", "v1", "B5")
    after = {(row.key, row.start): row.events for row in all_answers(store, bench.compiled)}
    assert after == {**before, (key, tile): before[key, tile] + 100}


def half_done(bench: Any) -> tuple[Any, ...]:
    """A compaction up to its swap."""
    database = bench.store.database
    with database.read() as connection:
        (prefix,) = common_prefixes(connection, 1)
        area = areas_of(connection, 1, prefix)[0]
    begin(database, 1, "c-slow", bench.time)
    assert list(joined_files(database, bench.compiled, 1, area))
    return database, 1, "c-slow", 0, area, [], bench.time


@pytest.mark.parametrize(
    ("meanwhile", "error", "said"),
    [
        pytest.param(lambda b, h: compacted(b), StoreError, "given up|changed", id="another compaction"),
        pytest.param(lambda b, h: abandon_older(b.store.database, 1, 0), StoreError, "given up", id="abandoned"),
        pytest.param(lambda b, h: b.store.publishing.prune("orders", 1, -1), StoreError, "given up", id="swept"),
    ],
)
def test_a_compaction_that_was_overtaken_swaps_nothing(
    bench: Any, meanwhile: Any, error: type[Exception], said: str
) -> None:
    history = History(bench)
    for step in range(6):
        history.add(files=step % 2 == 0)
    bench.store.publishing.prune("orders", keep=1)
    before, late = told(bench), half_done(bench)
    meanwhile(bench, history)
    with pytest.raises(error, match=said):
        swap(*late)
    assert told(bench) == before


def test_a_damaged_file_is_named_and_nothing_swapped(bench: Any) -> None:
    history = History(bench)
    for step in range(6):
        history.add(files=step % 2 == 0)
    bench.store.publishing.prune("orders", keep=1)
    # all of them: areas that are joined before one with a damaged file have their new files by then
    paths = sorted(Path(history.place).glob("*/*/*"))
    for path in paths:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    named = files_named(bench)
    with pytest.raises(DamagedStoreError, match="|".join(path.name for path in paths)):
        compacted(bench)
    assert files_named(bench) == named


def test_replaced_files_go_after_the_grace_time(bench: Any) -> None:
    history = History(bench)
    for step in range(6):
        history.add(files=step % 2 == 0)
    bench.store.publishing.prune("orders", keep=1)
    compacted(bench)
    before = told(bench)
    assert list(Path(history.place).glob("*/B*/*"))
    bench.time += GRACE + 1
    bench.store.publishing.prune("orders", keep=1)
    assert not list(Path(history.place).glob("*/B*/*"))
    assert told(bench) == before


def test_who_misses_a_file_asks_the_database_once_more(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(bench)
    for step in range(4):
        history.add(files=step % 2 == 0)
    bench.store.publishing.prune("orders", keep=1)
    expected, tries = answer(bench.store, bench.compiled, KEYS[0], *SPAN), list[int]()
    read = KeyRead.rows

    def late(self: KeyRead) -> Any:
        tries.append(1)
        if len(tries) == 1:  # as if it had slept for longer than files stay
            compacted(bench)
            bench.time += GRACE + 1
            bench.store.publishing.prune("orders", keep=1)
        return read(self)

    monkeypatch.setattr(KeyRead, "rows", late)
    assert answer(bench.store, bench.compiled, KEYS[0], *SPAN) == expected
    assert len(tries) == 2
