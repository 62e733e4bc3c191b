"""Guarantees 1 to 3 without a runner: whatever comes, fails and is split, batch and live give one exact answer.

Real journal segments, readers, DoFns and stores; the runner's choices are drawn.
See tests/support/without_runner/worlds.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.parity_checks import check_end
from samples.sales import SECOND, START, Sale
from without_runner.scenarios import (
    check_finality,
    check_late_copy,
    check_late_pane,
    check_publishing,
    draw_steps,
    run_scenario,
)
from without_runner.worlds import STEPS, world_of

from tandem.journal.runs.generations import next_generation

SEEDS = (3, 16, 58)
SCENARIOS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2**16 - 1)), min_size=5, max_size=45)


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**16 - 1), steps=SCENARIOS)
def test_any_steps_give_one_answer(seed: int, steps: list[tuple[str, int]]) -> None:
    run_scenario(seed, steps)


def test_long_scenarios_give_one_answer() -> None:
    """Of lanes that differ in event time; a run may have other lanes than the one before."""
    told: dict[str, int] = {}
    for seed in SEEDS:
        for name, count in run_scenario(seed, draw_steps(seed)).items():
            told[name] = told.get(name, 0) + count
    # else the scenarios would show less than they should
    assert {name for name, count in told.items() if count < 3} <= {"refusals"}, told


def test_without_deduplication_every_copy_counts_in_both() -> None:
    run_scenario(2, draw_steps(2, 30), deduplicate=False, lanes=(1, 2))


def test_nothing_is_final_while_something_is_missing() -> None:
    assert check_finality((1, 7)) > 5, "hardly any answer was FINAL: the test shows less than it should"


@pytest.mark.parametrize(
    ("first", "lead"),
    [
        pytest.param("late", 100 * SECOND, id="late first"),
        pytest.param("on time", 100 * SECOND, id="late last"),
        pytest.param("on time", 3 * 86_400 * SECOND, id="late last, by so much that the tile was cleared"),
    ],
)
def test_a_copy_that_is_late_in_another_lane_counts_once(first: str, lead: int) -> None:
    check_late_copy(first, lead)


def test_a_pane_that_fires_long_after_its_tile_closed_counts() -> None:
    check_late_pane()


def test_the_pointer_moves_in_one_step() -> None:
    check_publishing()


@pytest.mark.parametrize(
    "again",
    [
        pytest.param((0, 1), id="lanes in the same order"),
        pytest.param((1, 0), id="lanes in another order"),
    ],
)
def test_a_runner_that_goes_back_to_its_checkpoint_counts_once(again: tuple[int, int]) -> None:
    """Copies in two generations, of which the other one comes first in the second attempt."""
    with world_of(1, lanes=(2,)) as world:
        copied = Sale("copied", START)
        for lane in (0, 1):
            world.live.pull(lane)
        go_back = world.live.checkpoint()
        world.broker.publish(copied.payload())
        world.live.pull(0, "after-acknowledge")
        next_generation(world.blobs, world.clock, 1, "test")
        world.clock.advance(SECOND)
        world.live.pull(1)
        world.broker.publish(copied.payload())
        world.broker.publish(Sale("other", START).payload())
        world.live.pull(1, "after-acknowledge")
        assert sorted(copy.generation for copy in world.sold() if copy.sale == copied) == [1, 2]
        for order in ((0, 1), again):
            go_back()
            for lane in order:
                for _ in range(4):
                    world.live.pull(lane)
                for key in sorted(world.live.pending):
                    world.live.fire(key)
                world.clock.advance(SECOND)
        check_end(world)
