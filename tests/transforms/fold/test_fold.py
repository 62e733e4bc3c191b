"""The fold: on a real engine with panes that are early, on time and late, and with a runner's state taken apart."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
import sqlalchemy as sa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from samples import sales
from samples.collected import Collect, seen
from samples.sales import SECOND, TILE, Sale, differences, expected

import tandem.transforms.routing.panes
from tandem.journal.storage.blobs import LocalBlobs
from tandem.journal.storage.layout import lane_name, watermark_path
from tandem.runners.local.tied_prism import keep_bundles_whole
from tandem.schemas.columns import CONTENT, GENERATION, HASH, LATE
from tandem.schemas.states import from_ipc, to_ipc
from tandem.schemas.time.durations import DAY
from tandem.transforms.elements import FoldUpdate, SegmentTally, TileKey
from tandem.transforms.fold.fold import FoldTiles, _Fold
from tandem.transforms.fold.state import TileState
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.packing import pack, unpack
from tandem.transforms.routing.panes import GatherPanes, _Gather
from tandem.transforms.sinks.views import WriteLiveStates
from tandem.transforms.sources.reader_epochs import stamped
from tandem.verification.world.runner_state import Bag, RunnerState
from tandem.views.answers.all_steps import all_answers
from tandem.views.rows import BatchManifest, GenerationCounts
from tandem.views.storage.opening import open_store
from tandem.views.storage.tables import live_attempts
from tandem.views.store import ViewStore

Routed = Callable[..., pa.RecordBatch]
DEFINITION = sales.definition()
COMPILED = sales.compiled()
KEY: TileKey = (0, 0)


def fold_of(run: LiveRunRef) -> _Fold:
    """A worker's instance."""
    fold = _Fold(DEFINITION, run)
    fold.setup()
    return fold


def started(store: str, name: str) -> LiveRunRef:
    """A live run that the store knows."""
    opened = open_store(store)
    opened.definitions.register(COMPILED, sales.text())
    opened.live.start(COMPILED.version, name, journal=f"{Path(str(opened.database.where)).parent}/journal")
    return LiveRunRef(store, name, None)


def process(fold: _Fold, state: RunnerState, events: pa.RecordBatch, *, commits: bool = True) -> FoldUpdate:
    """One bundle with one pane."""
    bundle = state.bundle()
    (update,) = list(fold.process((KEY, ("early", events)), bundle.entries, bundle.ids, bundle.token, bundle.clear))
    if commits:
        bundle.commit()
    return update


@pytest.fixture
def run(tmp_path: Path) -> LiveRunRef:
    """A name of its own: states are kept in the process by the run's name."""
    return started(f"sqlite:///{tmp_path}/views.db", f"run-{secrets.token_hex(4)}")


def panes(routed: Routed, count: int) -> list[pa.RecordBatch]:
    """Panes of a new event each, every third with a copy of an earlier one."""
    made = []
    for number in range(count):
        items = [Sale(f"s{number}", number % 7, amount=0.1 * number)]
        if number % 3 == 2:
            items.append(Sale(f"s{number - 1}", (number - 1) % 7, amount=0.1 * (number - 1)))
        made.append(routed(COMPILED, items))
    return made


def steady(parts: Sequence[pa.RecordBatch]) -> list[FoldUpdate]:
    """What the tile's state says when nothing ever goes wrong."""
    state = TileState(COMPILED, KEY)
    return [state.update([part], "early") for part in parts]


def check_same(found: Sequence[FoldUpdate], wanted: Sequence[FoldUpdate]) -> None:
    """Equal updates, byte for byte."""
    for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
        assert one.tallies == other.tallies, f"update {number}"
        assert one.cross_duplicates == other.cross_duplicates, f"update {number}"
        assert to_ipc(one.block) == to_ipc(other.block), f"update {number}"
        assert to_ipc(one.ids) == to_ipc(other.ids), f"update {number}"


@pytest.mark.parametrize("moves", [0.0, 0.3, 1.0], ids=["one worker", "moves now and then", "moves each time"])
def test_a_tile_that_moves_between_workers_goes_on_alike(routed: Routed, run: LiveRunRef, moves: float) -> None:
    random, state, parts = Random(5), RunnerState(Random(3)), panes(routed, 40)
    found = []
    for part in parts:
        if random.random() < moves:
            # the worker that had the tile is gone, and so is its cache
            fold_of(run).forget(KEY, *_throwaway())
        found.append(process(fold_of(run), state, part))
    check_same(found, steady(parts))


def _throwaway() -> tuple[object, object, object]:
    bundle = RunnerState().bundle()
    return bundle.entries, bundle.ids, bundle.token


def test_a_bundle_that_fails_counts_once(routed: Routed, run: LiveRunRef) -> None:
    """What it put into the process is not what the runner kept."""
    state, fold, parts = RunnerState(), fold_of(run), panes(routed, 30)
    found = []
    for number, part in enumerate(parts):
        if number % 2:
            process(fold, state, part, commits=False)
        found.append(process(fold, state, part))
    check_same(found, steady(parts))


def test_a_bundle_that_fails_half_way_counts_once(routed: Routed, run: LiveRunRef) -> None:
    state, fold, parts = RunnerState(), fold_of(run), panes(routed, 4)
    found = [process(fold, state, parts[0])]
    bundle = state.bundle()
    bundle.token.write = _fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="broken"):
        list(fold.process((KEY, ("early", parts[1])), bundle.entries, bundle.ids, bundle.token, bundle.clear))
    found += [process(fold, state, part) for part in parts[1:]]
    check_same(found, steady(parts))


def _fail(value: bytes) -> None:
    raise OSError("broken")


def test_a_cache_of_another_state_is_not_used(routed: Routed, run: LiveRunRef) -> None:
    """The runner went back to a checkpoint: its token is an older one."""
    state, fold, parts = RunnerState(), fold_of(run), panes(routed, 6)
    for part in parts[:3]:
        process(fold, state, part)
    checkpoint = RunnerState(Random(1), list(state.entries), state.token, state.timer, list(state.ids))
    for part in parts[3:]:
        process(fold, state, part)
    found = [process(fold, checkpoint, part) for part in parts[3:]]
    check_same(found, steady(parts)[3:])


def test_entries_are_compacted_at_each_doubling(routed: Routed, run: LiveRunRef) -> None:
    state, fold, parts = RunnerState(), fold_of(run), panes(routed, 120)
    sizes = []
    for part in parts:
        process(fold, state, part)
        sizes.append(len(state.entries))
    assert max(sizes) <= 64, "the bag never holds more entries than the tile has had panes in half of its life"
    assert 2 <= sizes.count(1) <= 5, "compacted a few times"
    restored = TileState(COMPILED, KEY)
    restored.restore(state.entries, state.ids)
    last = TileState(COMPILED, KEY)
    for part in parts:
        last.update([part], "early")
    assert restored.tallies == last.tallies
    assert restored.seen.dump().equals(last.seen.dump())


def test_what_a_bundle_writes_does_not_grow_with_the_tile(routed: Routed, run: LiveRunRef) -> None:
    """Ids are only added to those that are there: each is written once in the life of its tile."""
    state, fold, pane = RunnerState(), fold_of(run), 1_000
    parts = [routed(COMPILED, [Sale(f"s{number}-{n}", n % 7) for n in range(pane)]) for number in range(70)]
    wrote = [written(fold, state, part) for part in parts]
    assert {each.ids for each in wrote} == {16 * pane + 24}, "16 bytes an id and a head"
    assert all(each.ids_cleared == 0 for each in wrote)
    assert max(each.states for each in wrote[35:]) <= max(each.states for each in wrote[:35]) + 100
    assert len(state.ids) == len(parts)


@dataclass(frozen=True)
class Written:
    """What a bundle wrote into the runner's state: bytes of new values, and how often ids were taken away."""

    states: int
    ids: int
    ids_cleared: int


def written(fold: _Fold, state: RunnerState, events: pa.RecordBatch) -> Written:
    """One bundle with one pane, and what it wrote."""
    bundle = state.bundle()
    entries, ids = _CountingBag(bundle.entries), _CountingBag(bundle.ids)
    list(fold.process((KEY, ("early", events)), entries, ids, bundle.token, bundle.clear))
    bundle.commit()
    return Written(entries.added, ids.added, ids.cleared)


class _CountingBag:
    """A bag that counts bytes which are added, and calls that clear it."""

    def __init__(self, bag: Bag) -> None:
        self.bag, self.added, self.cleared = bag, 0, 0

    def read(self) -> list[bytes]:
        return self.bag.read()

    def add(self, value: bytes) -> None:
        self.added += len(value)
        self.bag.add(value)

    def clear(self) -> None:
        self.cleared += 1
        self.bag.clear()


def test_a_savepoint_of_before_ids_were_parts_is_read(routed: Routed, run: LiveRunRef) -> None:
    """Its ids become parts with the first pane that comes, and its entries are written anew without them."""
    parts, before, state, fold = panes(routed, 40), TileState(COMPILED, KEY), RunnerState(), fold_of(run)
    for part in parts[:6]:
        update = before.update([part], "early")
        header, (block,) = unpack(before.delta_bytes(update))
        state.entries.append(pack(header, [block, to_ipc(update.ids), to_ipc(update.late)]))
    state.token = secrets.token_bytes(8)
    found = []
    for part in parts[6:]:
        found.append(process(fold, state, part))
        fold.forget(KEY, *_throwaway())
    check_same(found, steady(parts)[6:])
    assert len(state.ids) == 1 + 33, "what there was at once, then each pane's"
    assert all(len(unpack(entry)[1]) == 1 for entry in state.entries), "states alone"


def test_a_tile_is_set_aside_once_all_that_comes_is_late(routed: Routed, run: LiveRunRef) -> None:
    """Not much later: memory is bounded by the open tiles. What comes all the same goes on where it was."""
    state, fold, parts = RunnerState(), fold_of(run), panes(routed, 3)
    store = open_store(run.store)
    for part in parts[:2]:
        store.live.write(COMPILED, run.run, [process(fold, state, part)])
    assert state.timer is not None
    late = KEY[0] + TILE + DEFINITION.lateness
    assert late < state.timer <= late + 2 * TILE
    passed(fold, state)
    assert state.timer > late + DAY
    assert (state.entries, state.ids) == ([], []), "the runner keeps a token; the store has the rest"
    again, last = process(fold, state, parts[0]), process(fold, state, parts[2])
    assert again.timing == last.timing == "late"
    unbroken = steady([*parts[:2], parts[0], parts[2]])
    check_same([again, last], unbroken[2:])
    assert late + DAY > state.timer > late + 2 * TILE, "more of the kind may come"


def test_a_day_later_nothing_is_left_but_the_ids_in_the_store(routed: Routed, run: LiveRunRef) -> None:
    state, fold = RunnerState(), fold_of(run)
    process(fold, state, panes(routed, 1)[0])
    passed(fold, state)
    passed(fold, state)
    assert (state.entries, state.ids, state.token) == ([], [], None)
    again = process(fold, state, panes(routed, 1)[0])
    assert [(tally.counted, tally.duplicates) for tally in again.tallies] == [(0, 1)], "the store remembers the ids"


def test_what_comes_for_a_forgotten_tile_moves_with_its_ids(routed: Routed, run: LiveRunRef) -> None:
    """They were read from the store by the worker that had it first, which is gone."""
    state, fold, parts = RunnerState(), fold_of(run), panes(routed, 2)
    process(fold, state, parts[0])
    passed(fold, state)
    passed(fold, state)
    process(fold, state, parts[1])
    fold.forget(KEY, *_throwaway())
    again = process(fold, state, parts[0])
    assert [(tally.counted, tally.duplicates) for tally in again.tallies] == [(1, 1)]


def test_a_tile_that_came_back_moves_to_another_worker_whole(routed: Routed, run: LiveRunRef) -> None:
    state, fold, parts = RunnerState(), fold_of(run), panes(routed, 4)
    found = [process(fold, state, part) for part in parts[:2]]
    passed(fold, state)
    found.append(process(fold, state, parts[2]))
    fold.forget(KEY, *_throwaway())
    found += [process(fold, state, part) for part in (parts[0], parts[3])]
    check_same(found, steady([*parts[:3], parts[0], parts[3]]))


def test_a_runner_that_went_back_finds_what_its_checkpoint_had_evicted(routed: Routed, run: LiveRunRef) -> None:
    """Not what was evicted since, which has ids of events that come to it again, and would pass for copies."""
    store, state, fold, parts = open_store(run.store), RunnerState(), fold_of(run), panes(routed, 4)
    store.live.write(COMPILED, run.run, [process(fold, state, part) for part in parts[:2]])
    passed(fold, state)
    checkpoint = RunnerState(Random(1), list(state.entries), state.token, state.timer, list(state.ids))
    store.live.write(COMPILED, run.run, [process(fold, state, parts[2])])
    passed(fold, state)
    whole = process(fold, checkpoint, parts[2])
    assert (whole.replaces, whole.attempt) == (True, 1), "it has caught up with the store's rows"
    store.live.write(COMPILED, run.run, [whole, process(fold, checkpoint, parts[3])])
    assert set(store.residues.of_rows(COMPILED.version, run.run).values()) == {0}
    assert sum(row.events for row in all_answers_of(store, run)) == 4


def test_a_tile_of_which_batch_has_all_begins_anew(routed: Routed, run: LiveRunRef) -> None:
    """The store keeps nothing of it then; what batch counted is a copy all the same."""
    store, state, fold, parts = open_store(run.store), RunnerState(), fold_of(run), panes(routed, 2)
    store.live.write(COMPILED, run.run, [process(fold, state, parts[0])])
    store.live.write_segments(COMPILED.version, run.run, [SegmentTally(f"{run.run}/0000", 1, 1, 1, 1, 0, 0, ())])
    store.publishing.serve_live("sales", COMPILED.version, run.run)
    passed(fold, state)
    store.batch.start(COMPILED.version, "b1", boundary=1)
    store.batch.write(COMPILED, "b1", [TileState(COMPILED, KEY).update([parts[0]], "batch")])
    store.batch.finish("b1", BatchManifest((GenerationCounts(1, received=1, counted=1),)))
    store.publishing.publish("sales", COMPILED.version, "b1", run.run)
    store.publishing.prune("sales", keep=1)
    assert state.token is not None
    assert store.evicted_tiles.find(COMPILED.version, run.run, *KEY, state.token[:-1]) is None
    late = process(fold, state, routed(COMPILED, [Sale("s0", 0, amount=0.0), Sale("new", 1)], 2))
    assert [(tally.generation, tally.counted, tally.duplicates) for tally in late.tallies] == [(2, 1, 1)]


def test_states_of_a_forgotten_tile_go_with_later_ones(routed: Routed, run: LiveRunRef) -> None:
    """A runner that goes back may ask for them a while longer; the ids stay until batch has them."""
    store, fold, part = open_store(run.store), fold_of(run), panes(routed, 1)[0]
    states = {tile: RunnerState() for tile in (0, DAY, 2 * DAY, 4 * DAY)}
    tokens: dict[int, Any] = {}
    for tile, state in states.items():
        bundle = state.bundle()
        list(fold.process(((tile, 0), ("early", part)), bundle.entries, bundle.ids, bundle.token, bundle.clear))
        bundle.commit()
        for _ in range(2):
            bundle = state.bundle()
            bundle.clear.clear()
            fold.evict((tile, 0), bundle.entries, bundle.ids, bundle.token, bundle.clear)
            tokens[tile] = bundle.token.read() or tokens.get(tile)
            bundle.commit()
    kept = {
        tile: store.evicted_tiles.find(COMPILED.version, run.run, tile, 0, token[:-1]) is not None
        for tile, token in tokens.items()
    }
    assert kept == {0: False, DAY: False, 2 * DAY: False, 4 * DAY: True}
    assert all(len(store.evicted_tiles.ids(COMPILED.version, run.run, tile, 0)) == 1 for tile in states)


def passed(fold: Any, state: RunnerState) -> None:
    """The watermark passes the timer."""
    bundle = state.bundle()
    bundle.clear.clear()
    fold.evict(KEY, bundle.entries, bundle.ids, bundle.token, bundle.clear)
    bundle.commit()


def test_a_state_that_went_back_writes_nothing_until_it_has_caught_up(routed: Routed, run: LiveRunRef) -> None:
    """Then all of its tile at once, as a later attempt; the rows of the first are gone, and its stragglers stay out."""
    store, fold, state = open_store(run.store), fold_of(run), RunnerState()
    early, late = ([Sale("copied", 1), Sale(name, 2)] for name in ("one", "two"))
    parts = [routed(COMPILED, early, 1), routed(COMPILED, late, 2)]

    def pane(part: pa.RecordBatch) -> list[FoldUpdate]:
        bundle = state.bundle()
        found = list(fold.process((KEY, ("early", part)), bundle.entries, bundle.ids, bundle.token, bundle.clear))
        bundle.commit()
        store.live.write(COMPILED, run.run, found)
        return found

    first = [update for part in parts for update in pane(part)]
    assert [update.cross_duplicates for update in first] == [(), ()]
    state.entries, state.ids, state.token = [], [], None
    assert pane(parts[1]) == [], "behind: of generation 1 it has seen nothing"
    (whole,) = pane(parts[0])
    assert (whole.attempt, whole.replaces, len(whole.cross_duplicates)) == (1, True, 1)
    store.live.write(COMPILED, run.run, first)
    assert sum(row.events for row in all_answers_of(store, run)) == 3
    assert set(store.residues.of_rows(COMPILED.version, run.run).values()) == {0}
    (after,) = pane(routed(COMPILED, [Sale("three", 3)], 2))
    assert (after.attempt, after.replaces) == (1, False)
    assert sum(row.events for row in all_answers_of(store, run)) == 4


@pytest.mark.parametrize(
    ("opening", "marked"),
    [
        pytest.param(None, 1, id="from the journal"),
        pytest.param(9, 1, id="of the lane's reader"),
        pytest.param(4, 0, id="of a reader that was replaced"),
    ],
)
def test_a_worker_that_was_taken_for_dead_holds_up_no_publishing(
    routed: Routed, run: LiveRunRef, tmp_path: Path, opening: int | None, marked: int
) -> None:
    """To what it had, the store is ahead for good: its replacement has gone on."""
    store, fold, state, parts = open_store(run.store), fold_of(run), RunnerState(), panes(routed, 3)
    paused = RunnerState()
    store.live.write(COMPILED, run.run, [process(fold, state, part) for part in parts[:2]])
    fold.forget(KEY, *_throwaway())
    LocalBlobs(str(tmp_path / "journal")).replace(watermark_path(run.run, 0, 9), b"{}")
    lane = lane_name(run.run, 0)
    pane = stamped(parts[1], {lane: opening} if opening is not None else {})
    bundle = paused.bundle()
    assert list(fold.process((KEY, ("early", pane)), bundle.entries, bundle.ids, bundle.token, bundle.clear)) == []
    bundle.commit()
    with store.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(live_attempts)).scalar_one() == marked
    bundle = paused.bundle()
    list(fold.process((KEY, ("early", parts[1])), bundle.entries, bundle.ids, bundle.token, bundle.clear))
    with store.database.read() as connection:
        assert connection.execute(sa.select(live_attempts.c.behind)).scalars().all() == [True], "it may be anybody's"


def test_a_late_copy_after_a_tile_of_duplicates_was_cleared_is_no_attempt(routed: Routed, run: LiveRunRef) -> None:
    """The base had counted all of it, so no id is the run's own; the store has its tallies all the same."""
    store, known = open_store(run.store), Sale("known", 1)
    store.batch.start(COMPILED.version, "b1", boundary=1)
    store.batch.write(COMPILED, "b1", [TileState(COMPILED, KEY).update([routed(COMPILED, [known])], "batch")])
    fold, state = fold_of(replace(run, base_batch_run="b1")), RunnerState()
    store.live.write(COMPILED, run.run, [process(fold, state, routed(COMPILED, [known], 2))])
    bundle = state.bundle()
    fold.forget(KEY, bundle.entries, bundle.ids, bundle.token)
    bundle.commit()
    late = routed(COMPILED, [known], 2)
    at = late.schema.get_field_index(LATE)
    process(fold, state, late.set_column(at, late.schema.field(at), pa.array([True])))
    assert store.live.tile_progress(COMPILED.version, run.run, *KEY).attempt == 0
    assert store.publishing.serve_live("sales", COMPILED.version, run.run).live_run == run.run


def all_answers_of(store: ViewStore, run: LiveRunRef) -> list[Any]:
    """What is answered from the live run."""
    if store.publishing.served("sales") is None:
        store.publishing.serve_live("sales", COMPILED.version, run.run)
    return list(all_answers(store, COMPILED))


def test_runs_share_a_process_and_no_states(routed: Routed, run: LiveRunRef) -> None:
    """Even if their tokens were equal."""
    part, state = panes(routed, 1)[0], RunnerState()
    process(fold_of(run), state, part)
    foreign = RunnerState(token=state.token)
    assert process(fold_of(started(run.store, f"{run.run}x")), foreign, part).tallies[0].counted == 1
    assert process(fold_of(run), state, part).tallies[0].duplicates == 1


def test_what_the_base_counted_is_a_duplicate(routed: Routed, run: LiveRunRef) -> None:
    """Also after the tile moved to another worker, however often."""
    store = open_store(run.store)
    known, fresh = Sale("known", 1), Sale("fresh", 2)
    store.batch.start(COMPILED.version, "b1", boundary=1)
    counted = TileState(COMPILED, KEY).update([routed(COMPILED, [known])], "batch")
    store.batch.write(COMPILED, "b1", [counted])
    fold, state = fold_of(replace(run, base_batch_run="b1")), RunnerState()
    for attempt in range(40):
        update = process(fold, state, routed(COMPILED, [known, fresh], 2))
        (tally,) = update.tallies
        assert (tally.counted, tally.duplicates) == (1, 1 + 2 * attempt)
        fold.forget(KEY, *_throwaway())
    assert update.cross_duplicates == ()


def gathered(gather: _Gather, parts: Sequence[tuple[TileKey, pa.RecordBatch]]) -> list[tuple[TileKey, str, int, int]]:
    """(tile and shard, timing, rows, timestamp) of the panes of one bundle."""
    gather.start_bundle()
    panes = [pane for part in parts for pane in gather.process(part)] + list(gather.finish_bundle())
    return [(pane.value[0], pane.value[1][0], pane.value[1][1].num_rows, pane.timestamp.micros) for pane in panes]


def test_a_bundle_brings_one_pane_of_each_tile(routed: Routed) -> None:
    gather = _Gather(TILE)
    one, two = (routed(COMPILED, [Sale(f"{name}{n}", n) for n in range(3)]) for name in "ab")
    later: TileKey = (TILE, 0)
    wanted = [(KEY, "early", 6, TILE - 1_000), (later, "early", 3, 2 * TILE - 1_000)]
    assert gathered(gather, [(KEY, one), (later, one), (KEY, two)]) == wanted
    assert gathered(gather, []) == [], "nothing is left of the bundle before"


def test_a_bundle_that_failed_leaves_nothing_behind(routed: Routed) -> None:
    """Its parts come again."""
    gather, part = _Gather(TILE), routed(COMPILED, [Sale("a", 1)])
    gather.start_bundle()
    list(gather.process((KEY, part)))
    assert gathered(gather, [(KEY, part)]) == [(KEY, "early", 1, TILE - 1_000)]


def test_a_large_pane_is_passed_on_in_several(routed: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of other tiles wait for the bundle's end."""
    monkeypatch.setattr(tandem.transforms.routing.panes, "_ROWS_OF_PANE", 5)
    part, later = routed(COMPILED, [Sale(f"s{n}", n) for n in range(3)]), (TILE, 0)
    found = gathered(_Gather(TILE), [(KEY, part), (later, part), *[(KEY, part)] * 4])
    assert [(key, rows) for key, _, rows, _ in found] == [(KEY, 6), (KEY, 6), (later, 3), (KEY, 3)]


def test_a_large_bundle_is_passed_on_in_several_panes(routed: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tandem.transforms.routing.panes, "_ROWS_HELD", 5)
    part, later = routed(COMPILED, [Sale(f"s{n}", n) for n in range(3)]), (TILE, 0)
    found = gathered(_Gather(TILE), [(KEY, part), (later, part), *[(KEY, part)] * 3])
    assert [(key, rows) for key, _, rows, _ in found] == [(KEY, 3), (later, 3), (KEY, 6), (KEY, 3)]


def test_panes_are_late_once_the_watermark_has_passed_the_tile(routed: Routed, run: LiveRunRef) -> None:
    """Whether or not the worker has the state at hand; and the update that says so changes nothing."""
    state, fold, parts = RunnerState(), fold_of(run), panes(routed, 4)
    timings = [process(fold, state, parts[0]).timing]
    bundle = state.bundle()
    (over,) = fold.pass_end(KEY, bundle.token)
    bundle.commit()
    open_store(run.store).live.write(COMPILED, run.run, [over])
    assert (over.timing, over.block.num_rows, over.tallies) == ("on time", 0, ())
    assert list(fold.pass_end(KEY, state.bundle().token)) == [], "it is said once"
    found = [process(fold_of(run), state, part) for part in parts[1:3]]
    fold.forget(KEY, *_throwaway())
    found.append(process(fold_of(run), state, parts[3]))
    assert [*timings, *(update.timing for update in found)] == ["early", "late", "late", "late"]
    check_same(found, steady(parts)[1:])


def encode_part(part: tuple[TileKey, pa.RecordBatch]) -> bytes:
    return pack(list(part[0]), [to_ipc(part[1])])


def decode_part(data: bytes) -> tuple[TileKey, pa.RecordBatch]:
    (tile, shard), (events,) = unpack(data)
    return (tile, shard), from_ipc(events)


@pytest.mark.xdist_group("processes")
def test_panes_of_a_real_engine_fold_into_the_answer(routed: Routed, tmp_path: Path) -> None:
    """Early, on time and late panes of three tiles on Prism, with the clocks in the test's hand."""
    run = started(f"sqlite:///{tmp_path}/views.db", "000001-aa")
    store = open_store(run.store)
    items = [Sale(f"s{n}", (n % 3) * TILE + n, amount=0.1 * n) for n in range(30)]
    stream, name = Stream(coder=beam.coders.BytesCoder()), f"fold-{tmp_path.name}"

    def send(chosen: Sequence[Sale], generation: int) -> None:
        nonlocal stream
        for tile in sorted({sale.tile for sale in chosen}):
            events = routed(COMPILED, [sale for sale in chosen if sale.tile == tile], generation)
            element = encode_part(((tile, 0), events))
            stream = stream.add_elements([TimestampedValue(element, Timestamp(micros=tile))])

    stream = stream.advance_watermark_to(0)
    send(items[:9], 1)
    stream = stream.advance_processing_time(5)
    send(items[6:15], 1)
    stream = stream.advance_watermark_to(2 * TILE / SECOND)
    send(items[15:24], 2)
    stream = stream.advance_processing_time(5)
    stream = stream.advance_watermark_to(4 * TILE / SECOND)
    send(items[20:], 3)
    stream = stream.advance_processing_time(5).advance_watermark_to_infinity()
    options = PipelineOptions(["--runner=tandem.runners.local.tied_prism.TiedPrismRunner", "--streaming"])
    keep_bundles_whole(options)
    pipeline = beam.Pipeline(options=options)
    updates = (
        pipeline
        | stream.with_output_types(bytes)
        | beam.Map(decode_part).with_output_types(tuple[TileKey, pa.RecordBatch])
        | GatherPanes(DEFINITION)
        | FoldTiles(DEFINITION, run)
        | beam.ParDo(Collect(name)).with_output_types(FoldUpdate)
    )
    _ = updates | WriteLiveStates(DEFINITION, run)
    pipeline.run().wait_until_finish()
    # whether a pane counts as late is a race between its bundle and the timer of its tile's end
    timings = {update.timing for update in seen(name)}
    assert {"early", "on time"} <= timings <= {"early", "on time", "late"}
    answers = {(row.key, row.start): row.results for row in all_answers(store, COMPILED)}
    assert differences(answers, expected(items)) == []
    assert set(store.residues.of_rows(COMPILED.version, run.run).values()) == {0}
    for update in seen(name):
        assert update.ids.schema.names == [HASH, CONTENT, GENERATION]
