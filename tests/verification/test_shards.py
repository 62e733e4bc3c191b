"""Any number of shards gives one answer: a story with 1, 2, 4 and 8, scenarios that mix them, and a resumed run."""

from __future__ import annotations

import pytest
from oracles.shard_checks import check_resumed, check_shards
from without_runner.scenarios import draw_steps, run_scenario


def test_answers_and_certificates_don_t_depend_on_shards() -> None:
    check_shards()


def test_a_resumed_run_keeps_its_shards() -> None:
    check_resumed()


@pytest.mark.parametrize("shards", [(2,), (4,), (8,), (1, 8, 2, 4)], ids=str)
def test_scenarios_hold_with_any_shards(shards: tuple[int, ...]) -> None:
    for seed in (1, 3):
        run_scenario(seed, draw_steps(seed, 30), shards=shards)
