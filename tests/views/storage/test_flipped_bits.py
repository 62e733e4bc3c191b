"""Bits of a store's file flipped at random: every answer is as it was, or an error of one line."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tandem.schemas.errors import StoreError
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.report import status_report
from tandem.views.rows import BatchManifest, GenerationCounts
from tandem.views.store import ViewStore

T = 60_000_000
KEYS = [f"key-{number:02}" for number in range(40)]
TILES = 6
SPANS = [(0, TILES * T), (T, 2 * T), (2 * T, TILES * T)]


@pytest.fixture(scope="module")
def whole(bench_class: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Batch of two layers up to generation 2, live from 3 on: 40 keys in 6 tiles, and late events."""
    bench = bench_class(str(tmp_path_factory.mktemp("whole") / "views.db"))
    bench.store.live.start("v1", "L1", journal="j")
    rows = {g: [(g, key, at % 5 + g) for at, key in enumerate(KEYS) if at % 4 != g] for g in (1, 2, 3)}
    for number, generation in enumerate((1, 2, 3), start=1):
        for tile in range(TILES):
            mine = rows[generation]
            tallies = (bench.Tally(generation, sum(events for *_, events in mine)),)
            block = bench.block(*((g, key, events, 10 * events) for g, key, events in mine))
            bench.store.live.write(bench.compiled, "L1", [bench.Update(tile * T, 0, block, tallies)])
        events = TILES * sum(events for *_, events in rows[generation])
        segment = bench.Segment("L1/a", number, generation, events, events)
        bench.store.live.write_segments("v1", "L1", [segment])
    for generation in (1, 2):
        parent = f"B{generation - 1}" if generation > 1 else None
        bench.store.batch.start("v1", f"B{generation}", boundary=generation, parent=parent)
        for tile in range(TILES):
            block = bench.block(*((g, key, events, 10 * events) for g, key, events in rows[generation]))
            update = bench.Update(tile * T, 0, block, ids=bench.ids((tile, 1, generation)))
            bench.store.batch.write(bench.compiled, f"B{generation}", [update])
        finish(bench, generation, TILES * sum(events for *_, events in rows[generation]))
    bench.store.live.set_watermark("v1", "L1", TILES * T)
    bench.store.publishing.publish("orders", "v1", "B2", "L1")
    bench.store.close()
    return bench


def finish(bench: Any, generation: int, events: int) -> None:
    counts = GenerationCounts(generation, received=events, counted=events)
    bench.store.batch.finish(f"B{generation}", BatchManifest((counts,)))


def questions(store: ViewStore, compiled: Any) -> Iterator[tuple[str, Any]]:
    """Answers by what was asked; errors of Tandem as None."""

    def asked(work: Any) -> Any:
        try:
            return work()
        except StoreError as error:
            return None if "\n" not in str(error) else str(error)

    for key, (start, end) in product([*KEYS, "nobody"], SPANS):
        yield f"{key} {start}", asked(partial(answer, store, compiled, key, start, end))
    yield "all", asked(lambda: list(all_answers(store, compiled)))
    yield "status", asked(lambda: status_report(store, "orders"))


def changed(whole: Any, path: Path, flips: range, seed: int) -> list[str]:
    """What was answered otherwise."""
    source = Path(whole.store.database.url.database)
    store = ViewStore(str(source), create=False)
    wanted = dict(questions(store, whole.compiled))
    store.close()
    assert all(found is not None for found in wanted.values())
    data, wrong, noticed = source.read_bytes(), list[str](), 0
    for flip in flips:
        shuffled = random.Random(f"{seed} {flip}")
        place, bit = shuffled.randrange(len(data)), shuffled.randrange(8)
        damaged = bytearray(data)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        for name in ("views.db-wal", "views.db-shm"):
            path.with_name(name).unlink(missing_ok=True)
        try:
            store = ViewStore(str(path), create=False)
        except StoreError:
            noticed += 1
            continue
        for question, found in questions(store, whole.compiled):
            noticed += found is None
            if found is not None and found != wanted[question]:
                wrong.append(f"byte {place} bit {bit}: {question}")
                break
        store.close()
    assert noticed
    return wrong


def test_no_flipped_bit_changes_an_answer(whole: Any, tmp_path: Path) -> None:
    assert not changed(whole, tmp_path / "views.db", range(25), 1)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2_000, 100))
def test_none_of_many_flipped_bits_does(whole: Any, tmp_path: Path, first: int) -> None:
    """In parts: each flip opens a store and asks 125 questions, which takes a third of a second of a quiet core."""
    assert not changed(whole, tmp_path / "views.db", range(first, first + 100), 2)
