"""Checkpoints from the first instant of a job: its first step's only bundle isn't kept back by one of them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from on_engines.flink_worlds import flink_world

from tandem.runners.flink.cluster import Cluster

pytestmark = [
    pytest.mark.xdist_group("flink"),
    pytest.mark.timeout(600),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
TIMES = 4
"""Without Tandem's default one in three starts stood still."""


@pytest.mark.parametrize("_", range(TIMES))
def test_what_is_made_reaches_the_readers(_: int, stage: Any, flink: Cluster) -> None:
    with flink_world(stage, flink) as world:
        world.up("--checkpointing_interval=200", lanes=4, parallelism=1)
        world.publish()
        world.caught_up()
        world.end()
