"""A Flink of their own for the tests of its faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from on_engines.flink_fixtures import flink, flink_jars
from on_engines.flink_worlds import FlinkWorld, flink_world
from processes.stage_fixtures import emulator, patiently, polling, stage

from tandem.runners.flink.cluster import Cluster

__all__ = ["emulator", "flink", "flink_jars", "patiently", "polling", "stage"]


@pytest.fixture
def world(stage: Any, flink: Cluster) -> Iterator[FlinkWorld]:
    """Nothing runs yet."""
    with flink_world(stage, flink) as made:
        yield made
