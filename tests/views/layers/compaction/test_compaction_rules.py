"""Each rule of compaction and rollups, and the product broken on purpose where it is kept: its check must see it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from breaking.compaction_breaks import COMPACTION_BREAKS

from tandem.schemas.errors import TandemError
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer, series
from tandem.views.answers.provenance import provenance
from tandem.views.layers.compaction.areas import areas_of
from tandem.views.layers.compaction.compacting import compact
from tandem.views.layers.compaction.joining import joined_files
from tandem.views.layers.compaction.prefix import common_prefixes
from tandem.views.layers.compaction.swapping import NewFile, abandon_older, begin, swap
from tandem.views.layers.cutting import Part
from tandem.views.layers.lists import revision_of
from tandem.views.layers.removing import sweep
from tandem.views.rows import BatchManifest, GenerationCounts

T = 60_000_000
HOUR = 60 * T
DAY = 24 * HOUR
A, B = '["a"]', '["b"]'
Rows = list[tuple[int, str, int]]
"""(tile, key, events)."""


def layers(bench: Any) -> str:
    return str(Path(bench.store.database.url.database).parent / "layers")


def build(bench: Any, rows: Rows, *, files: bool = False, clear: list[int] | None = None) -> None:
    """The next run, published."""
    store, number = bench.store, len(bench.store.publishing.publications("orders")) + 1
    parent = f"B{number - 1}" if number > 1 else None
    store.batch.start("v1", f"B{number}", boundary=number, parent=parent)
    if clear:
        store.batch.clear_tiles(f"B{number}", clear)
    if files:
        block = bench.block(*((tile, key, n, 10 * n) for tile, key, n in rows))
        store.batch.write_part(bench.compiled, f"B{number}", layers(bench), Part(0, 30, 0, 255), block)
    for tile in sorted({tile for tile, _, _ in rows}) if not files else ():
        block = bench.block(*((1, key, n, 10 * n) for at, key, n in rows if at == tile))
        store.batch.write(bench.compiled, f"B{number}", [bench.Update(tile, 0, block, ids=bench.ids())])
    events = sum(n for *_, n in rows)
    counts = GenerationCounts(number, received=events, counted=events)
    store.batch.finish(f"B{number}", BatchManifest((counts,)))
    store.publishing.publish("orders", "v1", f"B{number}")


def join(bench: Any) -> None:
    compact(bench.store.database, bench.compiled, layers(bench), lambda: bench.time)


def served(bench: Any) -> list[tuple[str, int, int]]:
    return [(row.key, row.start, row.events) for row in all_answers(bench.store, bench.compiled)]


def check_older_publications_stay(bench: Any) -> None:
    build(bench, [(0, A, 1)])
    build(bench, [(0, A, 2)])
    build(bench, [(T, A, 4)])
    join(bench)
    found = [answer(bench.store, bench.compiled, A, 0, HOUR, as_of=number).certificate.events for number in (1, 2, 3)]
    assert found == [1, 3, 7]


def overtaken(bench: Any, meanwhile: Callable[[], object]) -> None:
    """A compaction that goes on after something else has happened."""
    database = bench.store.database
    with database.read() as connection:
        (prefix,) = common_prefixes(connection, 1)
        area, revision = areas_of(connection, 1, prefix)[0], revision_of(connection, 1)
    begin(database, 1, "late", bench.time)
    new = [
        NewFile(part, "", f"late-{part.name}", data) for part, data in joined_files(database, bench.compiled, 1, area)
    ]
    meanwhile()
    with suppress(TandemError):
        swap(database, 1, "late", revision, area, new, bench.time)
    with suppress(TandemError):
        assert served(bench) == [(A, 0, 3), (A, T, 4)]
        return
    raise AssertionError("a file that isn't there is named")


def check_swaps_compare(bench: Any) -> None:
    build(bench, [(0, A, 1)])
    build(bench, [(0, A, 2)])
    build(bench, [(T, A, 4)])
    bench.store.publishing.prune("orders", keep=1)
    overtaken(bench, lambda: join(bench))


def check_given_up_is_given_up(bench: Any) -> None:
    build(bench, [(0, A, 1)])
    build(bench, [(0, A, 2)])
    build(bench, [(T, A, 4)])
    bench.store.publishing.prune("orders", keep=1)
    overtaken(bench, lambda: abandon_older(bench.store.database, 1, bench.time))


def check_newest_rows_count(bench: Any) -> None:
    build(bench, [(0, A, 1), (T, B, 5)], files=True)
    build(bench, [(0, A, 2)], files=True)
    bench.store.publishing.prune("orders", keep=1)
    join(bench)
    assert served(bench) == [(A, 0, 3), (B, T, 5)]


def check_rows_keep_their_run(bench: Any) -> None:
    build(bench, [(0, A, 1)])
    build(bench, [(T, A, 2)])
    bench.store.publishing.prune("orders", keep=1)
    join(bench)
    parts = provenance(bench.store, bench.compiled, A, 0, HOUR).parts
    assert [(part.tile, part.layer) for part in parts] == [(0, "B1"), (T, "B2")]


def check_what_is_cleared_stays_so(bench: Any) -> None:
    large = [(T * tile, key, 1) for tile in range(200) for key in (A, B)]
    build(bench, large, files=True)
    build(bench, [(300 * T, A, 9)], clear=[0])
    bench.store.publishing.prune("orders", keep=1)
    before = served(bench)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tandem.views.layers.compaction.areas._SMALL", 1)  # so that the first file stays
        join(bench)
    assert served(bench) == before


def check_readers_are_left_alone(bench: Any) -> None:
    build(bench, [(0, A, 1)], files=True)
    build(bench, [(0, A, 2)], files=True)
    bench.store.publishing.prune("orders", keep=1)
    before = sorted(Path(layers(bench)).glob("*/B*/*"))
    join(bench)
    bench.time += 1
    sweep(bench.store.database, 86_400_000_000)
    assert sorted(Path(layers(bench)).glob("*/B*/*")) == before


def dense(bench: Any) -> None:
    build(bench, [(T * tile, A, 1) for tile in range(1440)], files=True)
    join(bench)


def check_later_runs_are_seen(bench: Any) -> None:
    dense(bench)
    build(bench, [(HOUR, A, 100)])
    assert answer(bench.store, bench.compiled, A, 0, DAY).certificate.events == 1540


def check_edges_are_kept(bench: Any) -> None:
    dense(bench)
    points = series(bench.store, bench.compiled, A, 0, DAY, HOUR // 2).points
    assert {point.events for point in points} == {30}


def check_nothing_counts_twice(bench: Any) -> None:
    dense(bench)
    assert answer(bench.store, bench.compiled, A, 0, DAY).certificate.events == 1440


GUARDS: dict[str, Callable[[Any], None]] = {
    "everything_is_joined": check_older_publications_stay,
    "lists_are_not_compared": check_swaps_compare,
    "given_up_compactions_go_on": check_given_up_is_given_up,
    "the_oldest_row_counts": check_newest_rows_count,
    "rows_forget_their_run": check_rows_keep_their_run,
    "what_hides_other_files_goes": check_what_is_cleared_stays_so,
    "replaced_files_go_at_once": check_readers_are_left_alone,
    "later_runs_are_overlooked": check_later_runs_are_seen,
    "edges_are_overlooked": check_edges_are_kept,
    "hours_beside_days_count_again": check_nothing_counts_twice,
}
"""For each break the check that must find it."""


@pytest.mark.parametrize("check", dict.fromkeys(GUARDS.values()), ids=lambda check: check.__name__)
def test_a_rule_holds(bench: Any, check: Callable[[Any], None]) -> None:
    check(bench)


@pytest.mark.parametrize("name", COMPACTION_BREAKS)
def test_a_break_is_found(bench: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    COMPACTION_BREAKS[name](monkeypatch)
    with pytest.raises(AssertionError):
        GUARDS[name](bench)
