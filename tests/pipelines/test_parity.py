"""Guarantees 1 to 3 without a runner: whatever comes, fails and is split, batch and live give one exact answer.

Real journal segments, readers, DoFns and stores; the runner's choices are drawn. See tests/support/worlds.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity_checks import draw_steps, run_scenario
from worlds import STEPS

SCENARIOS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2**16 - 1)), min_size=5, max_size=45)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**16 - 1), steps=SCENARIOS)
def test_one_lane_and_any_steps_give_one_answer(seed: int, steps: list[tuple[str, int]]) -> None:
    run_scenario(seed, steps, lanes=(1,))


@pytest.mark.parametrize("seed", [3, 16, 24, 57])
def test_several_lanes_give_one_answer(seed: int) -> None:
    """Lanes that differ in event time; a run may have other lanes than the one before."""
    run_scenario(seed, draw_steps(seed, 40), lanes=(1, 2, 3))


@pytest.mark.parametrize("seed", [2, 5])
def test_without_deduplication_every_copy_counts_in_both(seed: int) -> None:
    run_scenario(seed, draw_steps(seed, 30), deduplicate=False, lanes=(1, 2))


def test_the_scenarios_hold_what_they_should() -> None:
    """Guards the tests above: there are late events, copies, generations, batch runs and cleared tiles in them."""
    told: dict[str, int] = {}
    for seed in (3, 16):
        for name, count in run_scenario(seed, draw_steps(seed, 40), lanes=(1, 2, 3)).items():
            told[name] = told.get(name, 0) + count
    assert {name for name, count in told.items() if count < 3} <= {"refusals"}, told
