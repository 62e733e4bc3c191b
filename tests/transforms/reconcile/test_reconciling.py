"""Reconciling without a runner: whatever lawfully happens is explained, whatever is broken is named."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.reconciled import Reconciled, reconciled
from samples.sales import SECOND, START, Sale
from without_runner.scenarios import draw_steps
from without_runner.worlds import STEPS, World, world_of

import tandem.views.batch.rows
from tandem.journal.runs.generations import next_generation
from tandem.schemas.states import merge_blocks
from tandem.views.answers.merging import encoded_states

SCENARIOS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2**16 - 1)), min_size=5, max_size=45)


def settled(world: World) -> None:
    """Everything is in batch, and live has it all."""
    world.serve_live()
    work = world.build()
    if work is not None:
        assert world.publish_batch(work), world.refusals


def check_lawful(world: World) -> Iterator[Reconciled]:
    """Nothing to repair, and no cause but late events and straddlers; looked at in both ways."""
    for everything in (False, True):
        result = reconciled(world, everything=everything)
        for tile, judgement in result.judged.items():
            assert judgement.repair is None, (tile, result.found.suspects[tile], judgement)
            assert (judgement.batch_logic, judgement.live_logic) == ((), ()), (tile, judgement)
        unlawful = {place: cause for place, cause in result.causes.items() if not cause.explained}
        assert unlawful == {}
        yield result


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**16 - 1), steps=SCENARIOS, deduplicate=st.booleans())
def test_what_lawfully_differs_is_explained(seed: int, steps: list[tuple[str, int]], deduplicate: bool) -> None:
    with world_of(seed, deduplicate=deduplicate) as world:
        for kind, pick in steps:
            world.step(kind, pick)
        settled(world)
        list(check_lawful(world))


def test_long_scenarios_are_explained_and_have_late_events() -> None:
    late = 0
    for seed in (3, 16):
        with world_of(seed) as world:
            for kind, pick in draw_steps(seed, 60):
                world.step(kind, pick)
            settled(world)
            first, _ = check_lawful(world)
            late += first.total("late")
    assert late > 3, "hardly any event was late: the test shows less than it should"


def copied(world: World, sale: Sale) -> None:
    """A copy in generation 1, which live meets only after it has counted the one in generation 2."""
    for lane in (0, 1):
        world.live.pull(lane)
    world.broker.publish(sale.payload())
    world.live.pull(0, "after-acknowledge")
    next_generation(world.blobs, world.clock, 1, "test")
    world.clock.advance(SECOND)
    world.live.pull(1)
    world.broker.publish(sale.payload())
    world.broker.publish(Sale("other", START).payload())
    for lane in (1, 0):
        world.live.pull(lane)
        for key in sorted(world.live.pending):
            world.live.fire(key)


def test_a_straddler_is_named_from_the_store_alone() -> None:
    with world_of(1, lanes=(2,)) as world:
        copied(world, Sale("copied", START))
        settled(world)
        for result in check_lawful(world):
            causes = {generation: (cause.arrived, cause.left) for (_, generation), cause in result.causes.items()}
            assert {g: moved for g, moved in causes.items() if moved != (0, 0)} == {1: (1, 0), 2: (0, 1)}
            assert result.found.batch.tiles
        assert not reconciled(world).found.suspects, "the store knows all about it"


def late_event(world: World) -> None:
    """An event that comes when its tile is long over."""
    for number, sale in enumerate([Sale("a", START), Sale("far", START + 100 * SECOND), Sale("late", START)]):
        world.broker.publish(sale.payload())
        world.clock.advance(SECOND * (number + 1))
        world.live.pull(0)
        for key in sorted(world.live.pending):
            world.live.fire(key)


def test_a_late_event_is_named_from_the_store_alone() -> None:
    with world_of(1, lanes=(1,)) as world:
        late_event(world)
        settled(world)
        for result in check_lawful(world):
            assert (result.total("late"), result.total("arrived")) == (1, 0)
        assert not reconciled(world).found.suspects, "the store knows all about it"


BROKEN = [
    pytest.param(
        "update live_states set states = wrong.states,"
        " crc = tandem_crc('live_states', run, key, live_states.tile, generation, events, wrong.states)"
        " from (select tile as other, states from live_states) as wrong where other = {other} and tile = {tile}",
        {"logic": 1},
        id="live has another value of the same events: logic",
    ),
    pytest.param(
        "update live_id_digests set digest = zeroblob(16) where tile = {tile}",
        {"missing": 1, "extra": 1},
        id="live counted as many other events",
    ),
    pytest.param("delete from live_tallies where tile = {tile}", {"missing": 1}, id="live lacks an event"),
    pytest.param(
        "update live_tallies set counted = counted + 1 where tile = {tile}", {"extra": 1}, id="live has one too many"
    ),
]


@pytest.mark.parametrize(("statement", "wanted"), BROKEN)
def test_what_live_has_wrong_is_named_and_batch_is_left_alone(statement: str, wanted: dict[str, int]) -> None:
    other = START + 100 * SECOND
    with world_of(1, lanes=(1,)) as world:
        late_event(world)
        settled(world)
        with world.store.database.write() as connection:
            assert connection.exec_driver_sql(statement.format(tile=other, other=START)).rowcount == 1
        result = reconciled(world)
        assert set(result.found.suspects) == {other}
        assert result.judged[other].repair is None
        assert {name: result.total(name) for name in ("missing", "extra", "logic")} == {
            **dict.fromkeys(("missing", "extra", "logic"), 0),
            **wanted,
        }
        assert bool(result.judged[other].live_logic) == ("logic" in wanted)


def test_a_value_that_batch_computed_wrong_is_logic_and_not_repaired() -> None:
    """Its rows are as it wrote them, its ids are live's: only the values differ."""
    with world_of(1, lanes=(1,)) as world:
        late_event(world)
        world.serve_live()
        right = encoded_states
        twice = lambda measures, block: right(measures, merge_blocks(measures, [block, block]))  # noqa: E731
        with mock.patch.object(tandem.views.batch.rows, "encoded_states", twice):
            work = world.build()
        assert work is not None
        assert world.publish_batch(work)
        result, far = reconciled(world), START + 100 * SECOND
        assert {tile: judged.batch_logic for tile, judged in result.judged.items()} == {far: ('["a"]',)}
        assert result.judged[far].repair is None
        # the other tile has a late event, so live can't vouch for its value: only the journal can
        deep = reconciled(world, everything=True)
        assert {tile for tile, judged in deep.judged.items() if judged.batch_logic} == {far, START}
