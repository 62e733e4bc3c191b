"""Rollups: the same answers from fewer rows, of every measure, for windows of every kind and zone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from samples.orders_home import DAY_START, DEFINITION, HOUR, Installation, Order
from samples.updates import Tally, Update

from tandem.schemas.errors import DamagedStoreError
from tandem.schemas.time.calendars import Calendar, Period
from tandem.schemas.time.windows import EVER
from tandem.views.answers.all_keys import states_of_all_keys
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.cumulative import answer_ever, cumulative
from tandem.views.answers.merging import merge_results
from tandem.views.answers.point import answer, series, series_over
from tandem.views.layers.compaction.compacting import compact
from tandem.views.layers.compaction.tables import rollup_files
from tandem.views.layers.rollups import changes
from tandem.views.layers.rollups.auditing import let_go_of_wrong
from tandem.views.rows import BatchManifest, GenerationCounts
from tandem.views.windows import edges_of

MINUTE = 60_000_000
DAY = 24 * HOUR
KEYS = ['["mill","EUR"]', '["oak","EUR"]', '["none","EUR"]']
FIRST, LAST = DAY_START - 2 * DAY, DAY_START + 4 * DAY
MEASURES = """\
  rare: {distinct: shop}
  about: {approx_distinct: amount}
  first: {first: amount}
  last: {last: shop}
  by_sum: {top_k: shop, by: {sum: amount}}
"""


class Minutes(Installation):
    """Tiles of some minutes."""

    def __init__(self, folder: Path, tile: int = 1, extra: str = MEASURES) -> None:
        text = DEFINITION.partition("windows:")[0].replace("tile: 1h", f"tile: {tile}m") + extra
        super().__init__(folder, text.replace("lateness: 1h", f"lateness: {tile}m"))
        self.tile = tile * MINUTE

    def updates(self, orders: Sequence[Any]) -> Iterator[Update]:
        by_tile: dict[int, list[Any]] = {}
        for order in orders:
            at = (DAY_START + int(order.hour * HOUR)) // self.tile * self.tile
            by_tile.setdefault(at, []).append(order)
        for tile, mine in sorted(by_tile.items()):
            yield Update(tile, 0, self.block(mine), [Tally(1, len(mine))])

    def compacted(self) -> Any:
        place = str(self.home / "layers")
        return compact(self.store.database, self.compiled, place, self.store.publishing.clock)

    def rollups(self, grain: int) -> int:
        with self.store.database.read() as connection:
            query = sa.select(sa.func.sum(rollup_files.c.rows)).where(rollup_files.c.grain == grain)
            return int(connection.execute(query.where(rollup_files.c.path != "")).scalar() or 0)


def orders(seed: int, count: int, days: Sequence[int], generation: int = 1) -> list[Order]:
    chosen = random.Random(seed)
    return [
        Order(
            24 * chosen.choice(days) + chosen.choice([3, 4, 18, 23]) + chosen.random() / 2,
            round(chosen.uniform(-5, 99), 2),
            shop=chosen.choice(["mill", "oak"]),
            generation=generation,
        )
        for _ in range(count)
    ]


def told(made: Minutes) -> dict[str, Any]:
    """Everything that larger windows are asked for."""
    store, compiled, found = made.store, made.compiled, dict[str, Any]()
    for name, size, shift in (
        ("minute", MINUTE, 0),
        ("hour", HOUR, 0),
        ("half past", HOUR, HOUR // 2),
        ("day", DAY, 0),
    ):
        start = DAY_START + 3 * HOUR // size * size + shift
        found[name] = [answer(store, compiled, key, start, start + size) for key in KEYS]
    found["days"] = [answer(store, compiled, key, FIRST, LAST) for key in KEYS]
    found["cut"] = answer(store, compiled, KEYS[0], FIRST + 7 * MINUTE, LAST - 11 * MINUTE)
    for step in (HOUR, DAY, 2 * HOUR):
        found[f"series {step}"] = series(store, compiled, KEYS[0], FIRST, LAST, step)
    for zone in ("Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"):
        calendar = Calendar(Period.DAY, zone)
        edges = edges_of(calendar.span_at(FIRST)[0], calendar.span_at(LAST)[1], calendar)
        found[zone] = series_over(store, compiled, KEYS[0], edges)
        found[f"all, {zone}"] = list(all_answers(store, compiled, calendar)) if "K" in zone else []
    states = states_of_all_keys(store, compiled, FIRST, LAST)
    found["all keys"] = list(zip(states.keys, states.events.tolist(), states.results(), strict=True))
    found["first tile"] = states_of_all_keys(store, compiled, EVER, LAST).first_tile
    for step in (HOUR, DAY, 7 * DAY):
        found[f"all {step}"] = list(all_answers(store, compiled, step))
        found[f"span {step}"] = list(all_answers(store, compiled, step, span=(FIRST + HOUR, DAY_START + 5 * HOUR)))
    found["ever"] = answer_ever(store, compiled, KEYS[0], LAST)
    found["growing"] = cumulative(store, compiled, KEYS[0], FIRST, LAST, DAY)
    return found


def without_rollups(made: Minutes) -> dict[str, Any]:
    """The same from tiles: rollups are put away meanwhile."""
    with made.store.database.write() as connection:
        kept = connection.execute(sa.select(rollup_files)).all()
        connection.execute(rollup_files.delete())
    found = told(made)
    with made.store.database.write() as connection:
        connection.execute(rollup_files.insert(), [row._asdict() for row in kept])
    return found


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Minutes]:
    found = Minutes(tmp_path)
    yield found
    found.store.close()


def test_answers_are_those_of_tiles(made: Minutes) -> None:
    made.batch("b-1", 1, orders(1, 600, [-2, -1, 0]))
    made.store.publishing.publish("orders", made.version, "b-1")
    before = told(made)
    done = made.compacted()
    assert done.rollups
    assert made.rollups(HOUR) * 4 <= 600
    assert made.rollups(DAY) == 6
    assert told(made) == before
    assert not made.compacted().rollups
    # What comes later is of other days, of the same hours, and of what lies beside live rows.
    for number, days in ((2, [1, 2]), (3, [-2])):
        made.batch(f"b-{number}", number, orders(number, 60, days, number), parent=f"b-{number - 1}")
        made.store.publishing.publish("orders", made.version, f"b-{number}")
        assert told(made) == without_rollups(made)
    assert made.compacted().rollups
    assert told(made) == without_rollups(made)
    of_first = [answer(made.store, made.compiled, key, FIRST, LAST, as_of=1).results for key in KEYS]
    assert of_first == [each.results for each in before["days"]]


def test_tiles_that_were_begun_anew_are_read(made: Minutes) -> None:
    made.batch("b-1", 1, orders(1, 600, [-1, 0]))
    made.store.publishing.publish("orders", made.version, "b-1")
    made.compacted()
    before = answer(made.store, made.compiled, KEYS[0], FIRST, LAST).results["orders"]
    hour = answer(made.store, made.compiled, KEYS[0], DAY_START + 3 * HOUR, DAY_START + 4 * HOUR).results["orders"]
    made.store.batch.start(made.version, "b-2", boundary=2, parent="b-1")
    tiles = [DAY_START + 3 * HOUR + at * MINUTE for at in range(60)]
    made.store.batch.clear_tiles("b-2", tiles)
    counts = GenerationCounts(1, received=-hour, counted=-hour), GenerationCounts(2)
    made.store.batch.finish("b-2", BatchManifest(counts))
    made.store.publishing.publish("orders", made.version, "b-2")
    for _ in range(2):
        assert answer(made.store, made.compiled, KEYS[0], FIRST, LAST).results["orders"] == before - hour > 0
        assert told(made) == without_rollups(made)
        made.compacted()


def test_fewer_rows_are_read(made: Minutes, monkeypatch: pytest.MonkeyPatch) -> None:
    made.batch("b-1", 1, orders(1, 600, [-2, -1, 0]))
    made.store.publishing.publish("orders", made.version, "b-1")
    read = list[int]()
    merged = merge_results
    monkeypatch.setattr("tandem.views.answers.point.merge_results", lambda *a: read.append(len(a[1])) or merged(*a))
    answer(made.store, made.compiled, KEYS[0], FIRST, LAST)
    made.compacted()
    answer(made.store, made.compiled, KEYS[0], FIRST, LAST)
    assert read[1] == 3 < read[0] / 50


@pytest.mark.parametrize(
    ("tile", "extra", "grains"),
    [
        pytest.param(1, "", (True, True), id="minutes make hours and days"),
        pytest.param(45, "", (False, True), id="three quarters of an hour make days"),
        pytest.param(1440, "", (False, False), id="days are days"),
        pytest.param(1, "  bounded: {top_k: shop, k: 2, capacity: 3}\n", (False, False), id="what depends on nesting"),
    ],
)
def test_only_where_tiles_divide_them(tmp_path: Path, tile: int, extra: str, grains: tuple[bool, bool]) -> None:
    made = Minutes(tmp_path, tile, extra)
    made.batch("b-1", 1, orders(1, 600, [-2, -1, 0]))
    made.store.publishing.publish("orders", made.version, "b-1")
    made.compacted()
    assert (made.rollups(HOUR) > 0, made.rollups(DAY) > 0) == grains
    made.store.close()


def test_only_where_rows_shrink_fourfold(made: Minutes) -> None:
    sparse = [Order(24 * day + hour, 1.0) for day in range(3) for hour in (1, 5, 9)]
    made.batch("b-1", 1, sparse)
    made.store.publishing.publish("orders", made.version, "b-1")
    assert not made.compacted().rollups
    assert not made.compacted().rollups
    assert (made.rollups(HOUR), made.rollups(DAY)) == (0, 0)


def test_a_damaged_file_is_named(made: Minutes) -> None:
    made.batch("b-1", 1, orders(1, 600, [0]))
    made.store.publishing.publish("orders", made.version, "b-1")
    made.compacted()
    for path in (made.home / "layers").glob("*/*/rollups/*s-*.arrow"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(DamagedStoreError, match=r"s-.*arrow is damaged"):
        answer(made.store, made.compiled, KEYS[0], FIRST, LAST)
    assert let_go_of_wrong(made.store.database, made.store.chains, 1, 1) == 2
    found = answer(made.store, made.compiled, KEYS[0], FIRST, LAST)
    assert made.compacted().rollups == 2
    assert (let_go_of_wrong(made.store.database, made.store.chains, 1, 1), found) == (
        0,
        answer(made.store, made.compiled, KEYS[0], FIRST, LAST),
    )


def test_what_a_run_wrote_is_remembered(made: Minutes, monkeypatch: pytest.MonkeyPatch) -> None:
    made.batch("b-1", 1, orders(1, 600, [0]))
    made.store.publishing.publish("orders", made.version, "b-1")
    made.compacted()
    made.batch("b-2", 2, orders(2, 9, [0], 2), parent="b-1")
    made.store.publishing.publish("orders", made.version, "b-2")
    expected = answer(made.store, made.compiled, KEYS[0], FIRST, LAST)
    monkeypatch.setattr(changes, "select_rows", None)
    assert answer(made.store, made.compiled, KEYS[0], FIRST, LAST) == expected
