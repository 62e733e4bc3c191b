"""One tile: any panes, any restarts and any order of stored entries give what one update gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import sales
from samples.sales import Sale

from tandem.schemas.buckets import bucket_of
from tandem.schemas.columns import EVENTS, GENERATION, KEY
from tandem.schemas.states import aggregate, merge_blocks
from tandem.transforms.elements import Tally
from tandem.transforms.fold.state import TileState
from tandem.verification.splits import check_tallies, encoded

Routed = Callable[..., pa.RecordBatch]
TILE = (0, 0)
SALES = st.builds(
    Sale,
    id=st.sampled_from(["p", "q", "r", "s"]),
    at=st.integers(0, 3),
    shop=st.sampled_from(["a", None]),
    amount=st.sampled_from([0.1, 1e16, -1e16]),
    units=st.sampled_from([None, 3]),
)
PANES = st.lists(st.tuples(st.integers(1, 3), st.lists(SALES, min_size=1, max_size=4)), min_size=1, max_size=6)
"""Each pane: its generation, its sales."""

COMPILED = sales.compiled()


@dataclass
class Told:
    """What a state said of all its panes."""

    tallies: dict[int, Tally]
    cross_duplicates: set[tuple[int, int, int, int]]


def take(state: TileState, parts: Sequence[pa.RecordBatch], told: Told | None = None) -> tuple[bytes, list[bytes]]:
    """Update, and the entry and the parts of ids that a runner would keep."""
    update = state.update(parts, "early")
    if told is not None:
        told.tallies.update({tally.generation: tally for tally in update.tallies})
        told.cross_duplicates |= {
            (s.hash, s.content, s.counted_generation, s.earlier_generation) for s in update.cross_duplicates
        }
    return state.delta_bytes(update), state.new_parts(update)


def counts_of(tallies: Iterable[Tally]) -> list[tuple[int, int, int, int]]:
    """Generation, counted, duplicates and conflicts of each."""
    return [(tally.generation, tally.counted, tally.duplicates, tally.conflicts) for tally in tallies]


def whole(state: TileState) -> dict[tuple[str, int], tuple[int, bytes]]:
    """The encoded states by (key, generation)."""
    assert state.block is not None
    return encoded(COMPILED.measures, merge_blocks(COMPILED.measures, [state.block]))


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(panes=PANES, restarts=st.randoms(use_true_random=False))
def test_panes_and_restarts_give_what_no_restart_gives(
    routed: Routed, panes: list[tuple[int, list[Sale]]], restarts: Random
) -> None:
    steady, told = TileState(COMPILED, TILE), Told({}, set())
    shaken, shaken_told = TileState(COMPILED, TILE), Told({}, set())
    entries, ids = list[bytes](), list[bytes]()
    for generation, items in panes:
        part = routed(COMPILED, items, generation)
        take(steady, [part], told)
        if restarts.random() < 0.5:
            shaken = TileState(COMPILED, TILE)
            shaken.restore(restarts.sample(entries, len(entries)), restarts.sample(ids, len(ids)))
        entry, parts = take(shaken, [part], shaken_told)
        entries, ids = [*entries, entry], [*ids, *parts]
        if restarts.random() < 0.1:
            ids = shaken.all_parts()
        if restarts.random() < 0.3:
            entries = [shaken.snapshot_bytes()]
    assert whole(shaken) == whole(steady)
    assert shaken_told == told
    last = TileState(COMPILED, TILE)
    last.restore(entries, ids)
    assert (whole(last), last.tallies) == (whole(steady), steady.tallies)
    assert last.seen.dump().equals(steady.seen.dump())


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(panes=PANES)
def test_any_split_counts_what_one_update_counts(routed: Routed, panes: list[tuple[int, list[Sale]]]) -> None:
    """Which generation a straddler counts in depends on the split; the merged answer doesn't."""
    parts = [routed(COMPILED, items, generation) for generation, items in panes]
    split, once = TileState(COMPILED, TILE), TileState(COMPILED, TILE)
    for part in parts:
        take(split, [part])
    take(once, parts)
    assert over_generations(split) == over_generations(once)
    for state in (split, once):
        check_tallies(list(state.tallies.values()), sum(part.num_rows for part in parts))
    counted = sum(tally.counted for tally in once.tallies.values())
    assert counted == len({sale for _, items in panes for sale in items}), "each event once"
    # a conflict is an id with several contents in one bucket of keys: all but one of these
    ids = {(sale.id, bucket_of(sale.key)) for _, items in panes for sale in items}
    assert sum(tally.conflicts for tally in split.tallies.values()) == counted - len(ids)
    assert sum(tally.conflicts for tally in once.tallies.values()) == counted - len(ids)


def over_generations(state: TileState) -> dict[tuple[str, int], tuple[int, bytes]]:
    assert state.block is not None
    place = state.block.schema.get_field_index(GENERATION)
    zeros = pa.array([0] * state.block.num_rows, pa.int64())
    flat = state.block.set_column(place, state.block.schema.field(GENERATION), zeros)
    return encoded(COMPILED.measures, merge_blocks(COMPILED.measures, [flat]))


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(panes=PANES)
def test_an_update_holds_whole_states_of_just_the_keys_that_gained(
    routed: Routed, panes: list[tuple[int, list[Sale]]]
) -> None:
    state, known = TileState(COMPILED, TILE), dict[tuple[str, int], tuple[int, bytes]]()
    for generation, items in panes:
        update = state.update([routed(COMPILED, items, generation)], "early")
        changed = encoded(COMPILED.measures, update.block)
        assert update.ids.num_rows == sum(row[0] - known.get(place, (0,))[0] for place, row in changed.items())
        assert all(row[0] > known.get(place, (0, b""))[0] for place, row in changed.items())
        known |= changed
        assert known == whole(state), "the store would hold something else than the fold"


def test_a_straddler_is_named_with_both_generations(routed: Routed) -> None:
    state = TileState(COMPILED, TILE)
    sale = Sale("p", 1)
    state.update([routed(COMPILED, [sale], 4)], "early")
    (same,) = [state.update([routed(COMPILED, [sale], 5)], "early")]
    assert same.cross_duplicates == ()
    (named,) = state.update([routed(COMPILED, [sale, sale], 2)], "late").cross_duplicates
    assert (named.counted_generation, named.earlier_generation) == (4, 2)
    (again,) = state.update([routed(COMPILED, [sale], 3)], "late").cross_duplicates
    assert (again.hash, again.content, again.earlier_generation) == (named.hash, named.content, 3)


LATE_GENERATION = 2


@pytest.mark.parametrize(
    ("generation", "straddles"),
    [
        pytest.param(1, False, id="in an earlier generation"),
        pytest.param(2, False, id="in the same"),
        pytest.param(3, True, id="in a later generation"),
    ],
)
@pytest.mark.parametrize("order", ["late first", "late last", "at once", "late first, then a restart"])
def test_a_copy_that_came_too_late_elsewhere_is_a_straddler(
    routed: Routed, generation: int, straddles: bool, order: str
) -> None:
    """Batch will count the late copy, by its generation; live counts the one in time."""
    state, sale = TileState(COMPILED, TILE), Sale("p", 1)
    on_time, late = routed(COMPILED, [sale], generation), routed(COMPILED, [sale], LATE_GENERATION, late=True)
    panes = {"late last": [[on_time], [late]], "at once": [[late, on_time]]}.get(order, [[late], [on_time]])
    updates, entries, ids = [], list[bytes](), list[bytes]()
    for pane in panes:
        updates.append(state.update(pane, "early"))
        entries.append(state.delta_bytes(updates[-1]))
        ids += state.new_parts(updates[-1])
        if "restart" in order:
            state = TileState(COMPILED, TILE)
            state.restore(entries, ids)
            entries = [state.snapshot_bytes()]
    named = {(s.counted_generation, s.earlier_generation) for update in updates for s in update.cross_duplicates}
    assert named == ({(generation, LATE_GENERATION)} if straddles else set())
    assert counts_of(state.tallies.values()) == [(generation, 1, 0, 0)], "what is late is no duplicate, nor counted"
    assert sum(update.late.num_rows for update in updates) == 1


def test_of_copies_in_one_pane_the_lowest_generation_counts(routed: Routed) -> None:
    state, sale = TileState(COMPILED, TILE), Sale("p", 1)
    update = state.update([routed(COMPILED, [sale], 3), routed(COMPILED, [sale], 2)], "early")
    assert update.block.column(GENERATION).to_pylist() == [2]
    assert [(t.generation, t.counted, t.duplicates) for t in update.tallies] == [(2, 1, 0), (3, 0, 1)]
    assert update.cross_duplicates == ()


def test_without_deduplication_every_copy_counts(routed: Routed) -> None:
    compiled = sales.compiled(deduplicate=False)
    state, sale = TileState(compiled, TILE), Sale("p", 1)
    for _ in range(2):
        update = state.update([routed(compiled, [sale, sale])], "early")
    assert update.block.column(EVENTS).to_pylist() == [4]
    assert counts_of(update.tallies) == [(1, 4, 0, 0)]
    restored = TileState(compiled, TILE)
    restored.restore([state.snapshot_bytes()])
    assert restored.update([routed(compiled, [sale])], "early").block.column(EVENTS).to_pylist() == [5]


def test_entries_of_equal_states_are_equal_bytes(routed: Routed) -> None:
    states = [TileState(COMPILED, TILE) for _ in range(2)]
    parts = [routed(COMPILED, [Sale("p", 1), Sale("q", 2, None)], g) for g in (1, 2)]
    assert take(states[0], parts) == take(states[1], list(parts))
    assert states[0].snapshot_bytes() == states[1].snapshot_bytes()
    assert states[0].all_parts() == states[1].all_parts()


def test_a_state_without_events_can_be_kept(routed: Routed) -> None:
    empty = TileState(COMPILED, TILE)
    restored = TileState(COMPILED, TILE)
    restored.restore([empty.snapshot_bytes()])
    update = restored.update([routed(COMPILED, [Sale("p", 1)])], "early")
    assert update.block.equals(aggregate(COMPILED.measures, routed(COMPILED, [Sale("p", 1)])))
    assert update.block.column(KEY).to_pylist() == ['["a"]']


@pytest.mark.parametrize("order", [pytest.param(1, id="as written"), pytest.param(-1, id="backwards")])
def test_of_whole_states_in_a_bag_the_one_with_more_events_wins(routed: Routed, order: int) -> None:
    state, entries = TileState(COMPILED, TILE), []
    for number in range(4):
        entries.append(take(state, [routed(COMPILED, [Sale(f"p{number}", 1, amount=0.1)])])[0])
    restored = TileState(COMPILED, TILE)
    restored.restore(entries[::order])
    assert whole(restored) == whole(state)
    assert restored.tallies == state.tallies
    assert counts_of(restored.tallies.values()) == [(1, 4, 0, 0)]
